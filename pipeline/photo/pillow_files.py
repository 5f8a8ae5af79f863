"""Files opened with Pillow: without its limit of pixels, its warnings, or its refusal of damage.

Pillow has each of these as a setting of the whole process, which is the host's; here nothing of it
is changed.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image, ImageFile

from .errors import PhotoError
from .formats import JPEG, MPO

MAX_SIDE = 16384  # pixels
# Pillow has no class for what a torn file can raise.
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, RuntimeError, TypeError,
    ArithmeticError, AttributeError, AssertionError,
)  # fmt: skip
_END_OF_IMAGE = b"\xff\xd9"
_filters = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Without Python warnings, which Pillow gives of damaged metadata."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def open_picture(path: Path, format: str | None = None) -> Iterator[ImageFile.ImageFile]:
    """A file as Pillow opens it, of up to 16384 x 16384 pixels; ``format`` is its name in Pillow.

    Raises ``PhotoError``.
    """
    with Path(path).open("rb") as file:  # a file, because Pillow maps named ones into memory
        picture = _open(path, file, format)
        check_size(path, picture.size)
        yield picture


def check_size(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_SIDE**2:
        raise PhotoError(
            f"{path} has more than {MAX_SIDE} x {MAX_SIDE} pixels; scale it down or cut it."
        )


def _open(path: Path, file: BinaryIO, format: str | None) -> ImageFile.ImageFile:
    Image.init()
    head = file.read(16)
    cause = ""
    for name in [format] if format else Image.ID:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or (accept and accept(head) is not True):
            continue
        file.seek(0)
        try:
            with quiet():
                return factory(file, "")
        except Image.DecompressionBombError as error:
            raise PhotoError(f"{path} is larger than Pillow opens; scale it down.") from error
        except DAMAGE as error:
            cause = str(error)
    if format and not cause:
        raise PhotoError(f"{path} is {format}, which the installed Pillow cannot read; update it.")
    reason = f" ({cause})" if cause else ""
    raise PhotoError(f"{path} is not a picture that can be read{reason}; check the file.")


def load(path: Path, picture: ImageFile.ImageFile) -> str:
    """Decode what can be decoded; the damage in words, or ``""``. Raises ``PhotoError``."""
    end = None
    if picture.format in (JPEG, MPO):
        end = _WithEnd(cast(BinaryIO, picture.fp))
        picture.fp = cast(BinaryIO, end)
    try:
        picture.load()
    except DAMAGE as error:
        cause = str(error).rstrip(".")
    except MemoryError:
        raise PhotoError(f"{path} needs more memory than there is; scale it down.") from None
    else:
        cause = "the file ends early" if end is not None and end.is_short else ""
    if not cause:
        return ""
    picture.tile = []
    try:
        bare = all(low == high for low, high in _extrema(picture))
    except DAMAGE:
        bare = True
    if bare:
        raise PhotoError(f"{path} cannot be read as a picture: {cause}.")
    return cause


def _extrema(picture: Image.Image) -> list[tuple[float, float]]:
    extrema = picture.getextrema()
    return list(extrema) if isinstance(extrema[0], tuple) else [extrema]


class _WithEnd:
    """A JPEG file with the end marker that it lacks, with which libjpeg gives what it has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.is_short = file, False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if not data and size:
            self.is_short = True
            return _END_OF_IMAGE
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)
