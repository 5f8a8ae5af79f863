"""Photos from disk, at the depth they have, upright, with what else their files hold."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile, ImageSequence
from torch import Tensor

from ...video import FFmpeg
from . import jp2, jpeg, png
from .color_management import (
    SRGB_GAMMA,
    color_space,
    gamma_tones,
    srgb_profile,
    to_srgb,
)
from .encodings import is_deep_avif, is_deep_jp2, is_irreversible_jp2, is_lossless_webp
from .errors import PhotoError
from .formats import (
    AVIF,
    GIF,
    HEIF,
    JPEG,
    JPEG2000,
    MPO,
    PNG,
    PPM,
    TGA,
    TIFF,
    UNKNOWN,
    WEBP,
    kind_of,
)
from .heif import read_heif
from .metadata import Metadata, exif_directory, resolution_of, sound_dpi
from .netpbm import deep_netpbm
from .page import Page, turn_upright, with_profile
from .pillow_files import DAMAGE, check_size, load, open_picture, quiet
from .raster import Raster, has_color
from .tiff_file import TiffFile

_BILEVEL = 1


def _no_page(index: int) -> Page:
    raise IndexError(index)


@dataclass
class Photo:
    """A photo on disk: its first picture, and the others of a multi-page TIFF on demand."""

    path: Path
    format: str
    """What the content is, as Pillow names it."""
    first: Page
    page_count: int = 1
    _read_page: Callable[[int], Page] = _no_page
    _others_are_bilevel: bool = True

    @property
    def height(self) -> int:
        return self.first.raster.height

    @property
    def width(self) -> int:
        return self.first.raster.width

    @property
    def bits(self) -> int:
        """Bits a level of the source: 1, 8, 16, or 32 for fractions and 32-bit numbers."""
        return self.first.bits

    @property
    def is_bilevel(self) -> bool:
        """Whether there is only black and white in all pictures: no room for colour."""
        return self.bits == _BILEVEL and self._others_are_bilevel

    @cached_property
    def has_color(self) -> bool:
        """Whether the first picture is in colour already; sepia and the like are not."""
        return has_color(self.first.raster)

    @cached_property
    def image(self) -> Tensor:
        """The first picture, ``(H, W, 3)`` float32 in [0, 1]."""
        return _tensor(self.first.raster)[0]

    @cached_property
    def alpha(self) -> Tensor | None:
        """The first picture's opacity ``(H, W)`` in [0, 1], or None."""
        return _tensor(self.first.raster)[1]

    def pages(self) -> Iterator[Page]:
        """Every picture of the file, each read when its turn comes."""
        yield self.first
        for index in range(1, self.page_count):
            yield _logged(self.path, self._read_page(index))


def read_photo(path: Path) -> Photo:
    """Open a photo of any kind that the installed Pillow reads, by its content.

    A damaged one is read as far as it goes, with a warning in the log that names it. Raises
    ``PhotoError`` for what is no photo or not readable.
    """
    path = Path(path)
    try:
        kind = kind_of(path)
        if kind.kind != "photo":
            if kind.reason == UNKNOWN:
                raise PhotoError(f"{path} is not a picture that can be read; check the file.")
            reason = kind.reason or "it is a clip"
            raise PhotoError(f"{path} is not a picture that can be read: {reason}.")
        if kind.format == TIFF:
            photo = _read_tiff(path)
        elif kind.format == HEIF:
            photo = Photo(path, HEIF, read_heif(path))
        else:
            photo = Photo(path, kind.format, _read_pillow(path, kind.format))
    except PhotoError:
        raise
    except DAMAGE as error:
        raise PhotoError(f"{path} cannot be read as a picture: {error}.") from error
    _logged(path, photo.first)
    return photo


def read_picture_frames(path: Path) -> list[tuple[Tensor, Tensor | None]]:
    """Every picture of a file, moving ones as well: RGB ``(H, W, 3)`` and opacity or None.

    Pictures of another size than the first are left out. Raises ``PhotoError``.
    """
    kind = kind_of(Path(path))
    if kind.format in (GIF, PNG, WEBP) and kind.kind != "photo":
        frames = _moving(Path(path), kind.format)
    else:
        frames = [_tensor(page.raster) for page in read_photo(path).pages()]
    return [frame for frame in frames if frame[0].shape == frames[0][0].shape]


def _moving(path: Path, format: str) -> list[tuple[Tensor, Tensor | None]]:
    frames = []
    with open_picture(path, format) as file:
        try:
            for frame in ImageSequence.Iterator(file):
                frame.load()
                rgba = np.array(frame.convert("RGBA"))
                alpha = torch.from_numpy(rgba[..., 3] / np.float32(255))
                opaque = not _is_see_through(frame)
                frames.append((torch.from_numpy(rgba[..., :3] / np.float32(255)),
                               None if opaque else alpha))  # fmt: skip
        except DAMAGE as error:
            if not frames:
                raise PhotoError(f"{path} cannot be read as a picture: {error}.") from error
            logging.warning("%s: damaged (%s); what could be read is used.", path, error)
    return frames


def _logged(path: Path, page: Page) -> Page:
    for note in page.notes:
        logging.warning("%s: %s", path, note)
    return page


def _tensor(raster: Raster) -> tuple[Tensor, Tensor | None]:
    image = torch.empty(raster.height, raster.width, 3)
    alpha = None if raster.alpha is None else torch.empty(raster.height, raster.width)
    for rows in raster.bands():
        image[rows] = torch.from_numpy(raster.rows(rows))
        if alpha is not None:
            alpha[rows] = torch.from_numpy(raster.alpha_rows(rows))
    return image, alpha


def _read_tiff(path: Path) -> Photo:
    file = TiffFile(path)

    def page(index: int) -> Page:
        notes: list[str] = []
        found = file.read(index, notes)
        if found is None:
            try:
                with open_picture(path, TIFF) as picture:
                    with quiet():
                        picture.seek(file.frame(index))
                    _load(path, picture, notes)
                    raster, bits = _decode(picture, notes)
            except (PhotoError, *DAMAGE) as error:
                if "unknown" not in str(error):
                    raise
                raise file.refusal(index) from error
            notes += file.loss(index)
            metadata = file.metadata(index, notes)
            _with_profile(picture, raster, metadata, notes)
        else:
            raster, bits = found
            metadata = file.metadata(index, notes)
            with_profile(raster, metadata, file.profile(index), notes)
        return Page(raster, metadata, bits, notes)

    return Photo(path, TIFF, page(0), file.count, page, file.others_are_bilevel)


def _read_pillow(path: Path, format: str) -> Page:
    if format == PNG:
        return _read_png(path)
    notes: list[str] = []
    with open_picture(path, JPEG if format == MPO else format) as picture:
        if format == PPM and (deep := deep_netpbm(path)) is not None:
            return Page(Raster(*deep), Metadata(), 16, notes)
        _load(path, picture, notes)
        metadata = _metadata(path, picture)
        if format == JPEG2000 and (profile := jp2.read_boxes(path, metadata)):
            picture.info["icc_profile"] = profile  # which Pillow does not look for there
        deep_jp2 = format == JPEG2000 and picture.mode in ("RGB", "RGBA", "LA")
        if (deep_jp2 and is_deep_jp2(path)) or (format == AVIF and is_deep_avif(path)):
            notes.append("its levels finer than 8 bits are read with 8 bits.")
        raster, bits = _decode(picture, notes)
    turn_upright(raster, metadata, notes)
    _with_profile(picture, raster, metadata, notes)
    return Page(raster, metadata, bits, notes)


def _with_profile(
    picture: Image.Image, raster: Raster, metadata: Metadata, notes: list[str]
) -> None:
    """`with_profile` for what `_decode` has made of ``picture``."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("CMYK", "LAB"):  # it is sRGB now
        metadata.icc = srgb_profile()
    else:
        with_profile(raster, metadata, profile, notes)


def _metadata(path: Path, picture: Image.Image) -> Metadata:
    """What Pillow has found beside the pixels."""
    info = picture.info
    dpi = info.get("dpi")
    xmp = info.get("xmp")
    exif = info.get("exif", b"")
    with quiet(), suppress(*DAMAGE):
        if not exif and "Raw profile type exif" in info:  # in PNGs of old
            exif = picture.getexif().tobytes()
    metadata = Metadata(
        exif=exif.removeprefix(b"Exif\0\0") or None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        dpi=sound_dpi(float(dpi[0]), float(dpi[1])) if dpi else None,
    )
    if picture.format in (JPEG, MPO):
        jpeg.read_segments(picture, metadata)
        if not info.get("jfif_unit"):  # Pillow takes the one across for both, or makes up 72
            metadata.dpi = resolution_of(exif_directory(metadata.exif))
    elif picture.format == WEBP:
        metadata.encoding["lossless"] = is_lossless_webp(path)
    elif picture.format == TGA:
        metadata.encoding["compression"] = info.get("compression")
    elif picture.format == JPEG2000:
        metadata.encoding["irreversible"] = is_irreversible_jp2(path)
    return metadata


def _is_see_through(picture: Image.Image) -> bool:
    # Pillow's own question of it fails for a GIF's later frames, whose palette it has let go.
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def _load(path: Path, picture: ImageFile.ImageFile, notes: list[str]) -> None:
    if damage := load(path, picture):
        notes.append(f"damaged ({damage}); what could be read is kept.")


def _decode(picture: Image.Image, notes: list[str]) -> tuple[Raster, int]:
    """The pixels of a loaded picture as they are stored, and the bits a level."""
    mode = picture.mode
    profile = picture.info.get("icc_profile")
    if mode.startswith("I;16"):
        levels = np.array(picture, dtype=np.uint16)[..., None]
        value = picture.info.get("transparency")
        alpha = (levels[..., 0] != value).astype(np.uint16) if isinstance(value, int) else None
        return Raster(levels, 65535, alpha=alpha, alpha_white=1), 16
    if mode == "I":  # PNG and PGM with 16 bits, in older Pillow
        levels = np.clip(np.asarray(picture), 0, 65535).astype(np.uint16)[..., None]
        return Raster(levels, 65535), 16
    if mode == "F":
        from .tiff_file import fractions

        return Raster(fractions(np.array(picture)[..., None], notes), 1.0), 32
    if mode == "1" or (mode == "L" and picture.info.get("bits") == 1):
        return Raster(picture.convert("L")), _BILEVEL
    if mode in ("P", "PA") and not _is_see_through(picture) and _has_grey_palette(picture):
        return Raster(picture.convert("L")), 8
    alpha = None
    if _is_see_through(picture):
        alpha = picture.convert("RGBA").getchannel("A")
    if mode in ("L", "LA", "La"):
        return Raster(picture if mode == "L" else picture.convert("LA").getchannel("L"),
                      alpha=alpha), 8  # fmt: skip
    if mode == "CMYK" and profile and color_space(profile) == "CMYK":
        picture = to_srgb(picture, profile) or picture
    if alpha is not None and mode != "RGBA":
        picture = picture.convert("RGBA")
    return Raster(picture if picture.mode == "RGB" else picture.convert("RGB"), alpha=alpha), 8


def _has_grey_palette(picture: Image.Image) -> bool:
    colors = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return bool((colors == colors[:, :1]).all())


def _read_png(path: Path) -> Page:
    header, chunks = png.read_chunks(path)
    notes: list[str] = []
    named = dict(chunks)
    with open_picture(path, PNG) as picture:
        deep = None
        if len(header) == 13 and header[8] == 16 and header[9] in (2, 4, 6):
            see_through = header[9] != 2 or "transparency" in picture.info
            deep = _deep_png(path, picture.size, header[9] == 4, see_through)
            if deep is None:
                notes.append("its 16-bit levels could be read with 8 bits only.")
        if deep is None:
            _load(path, picture, notes)
        metadata, profile = _metadata(path, picture), picture.info.get("icc_profile")
        raster, bits = _decode(picture, notes) if deep is None else (deep, 16)
    metadata.exif = named.get(b"eXIf", metadata.exif)
    metadata.xmp = next(
        (_itxt(data) for name, data in chunks if name == b"iTXt"
         and png.keyword(data) == png.XMP_KEYWORD), metadata.xmp,
    )  # fmt: skip
    metadata.chunks = [
        (name, data)
        for name, data in chunks
        if name not in (b"eXIf", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP")
        and not (
            name in (b"tEXt", b"zTXt", b"iTXt")
            and png.keyword(data) in (png.XMP_KEYWORD, b"Raw profile type exif")
        )
    ]
    turn_upright(raster, metadata, notes)
    metadata.chunks = _png_color(raster, metadata, named, profile, notes) + metadata.chunks
    return Page(raster, metadata, bits, notes)


def _png_color(
    raster: Raster, metadata: Metadata, named: dict, profile: bytes | None, notes: list[str]
) -> list[tuple[bytes, bytes]]:
    """The chunks of the result that say what its levels mean, by the order PNG gives them."""
    color = [(name, named[name]) for name in (b"sRGB", b"gAMA", b"cHRM", b"cICP") if name in named]
    if b"cICP" in named:  # it suits grey and colour alike
        if profile and color_space(profile) == "RGB":
            metadata.icc = profile
        return color
    if profile:
        with_profile(raster, metadata, profile, notes)
        return [] if metadata.icc else color
    gamma = int.from_bytes(named.get(b"gAMA", b""), "big")
    if b"sRGB" in named or not gamma or abs(gamma / SRGB_GAMMA - 1) < 0.02:
        return color
    if not raster.is_single_channel and not _has_srgb_primaries(named.get(b"cHRM")):
        return color
    raster.tones = gamma_tones(gamma)
    return [(b"sRGB", b"\0"), (b"gAMA", SRGB_GAMMA.to_bytes(4, "big"))]


def _has_srgb_primaries(chromaticities: bytes | None) -> bool:
    if chromaticities is None or len(chromaticities) != 32:
        return True
    srgb = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    return all(
        abs(int.from_bytes(chromaticities[4 * i : 4 * i + 4], "big") - value) <= 100
        for i, value in enumerate(srgb)
    )


def _itxt(data: bytes) -> bytes | None:
    """The text of an international text chunk."""
    _, _, rest = data.partition(b"\0")
    packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    try:
        return (zlib.decompress(text[2]) if packed else text[2]) if len(text) == 3 else None
    except zlib.error:
        return None


def _deep_png(path: Path, size: tuple[int, int], grey: bool, see_through: bool) -> Raster | None:
    """16-bit colour, or grey with alpha, by ffmpeg (Pillow gives 8 bits); None if damaged."""
    width, height = size
    channels = 2 if grey else 4 if see_through else 3
    check_size(path, size)
    levels = np.empty((height, width, channels), ">u2")
    layout = {2: "ya16be", 3: "rgb48be", 4: "rgba64be"}[channels]
    arguments = [
        *("-protocol_whitelist", "pipe", "-format_whitelist", "png_pipe", "-f", "png_pipe"),
        *("-i", "pipe:0", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", layout, "pipe:1"),
    ]
    with FFmpeg(arguments, stdin=True, stdout=True) as ffmpeg:
        with suppress(BrokenPipeError):  # it gives nothing before it has all of the file
            for part in png.pixels_only(path):
                ffmpeg.write(part)
            ffmpeg.close_stdin()
        filled = ffmpeg.read_into(levels.data.cast("B"))
        if filled < levels.nbytes or ffmpeg.wait() or ffmpeg.errors:
            return None
    levels = levels.astype(np.uint16)
    colors = 1 if grey else 3
    alpha = levels[..., -1] if channels in (2, 4) else None
    return Raster(levels[..., :colors], 65535, alpha=alpha, alpha_white=65535)
