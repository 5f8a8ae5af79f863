"""Photos on disk: read as the colorizer wants them, written as they came."""

import io
import os
import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

SUFFIXES = frozenset(
    suffix
    for suffix, name in Image.registered_extensions().items()
    if name in ("BMP", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP") and name in Image.SAVE
)
# Grey finer than 8 bits, by Pillow's mode: the bits a level and the value that is white.
DEEP_GREY = {mode: (16, 65535) for mode in ("I;16", "I;16B", "I;16L", "I")} | {"F": (32, 1.0)}
MAX_SIDE = 16384


class PhotoError(ValueError):
    """The file is no photo that can be read; the message names it."""


class Photo(NamedTuple):
    image: Tensor  # (H, W, 3) float32 in [0, 1], upright
    alpha: Image.Image | None
    keep: dict  # options for saving, from the source
    bits: int  # a level


def open_picture(path: Path) -> Image.Image:
    """Open with Pillow, up to 16384 x 16384 pixels; raises ``PhotoError`` beyond."""
    # Pillow's own limit is meant for uploads from strangers; large scans are everyday here.
    Image.MAX_IMAGE_PIXELS = MAX_SIDE**2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # From bytes: of a TIFF's file mapped into memory, Pillow scrambles rotated grey pixels.
            return Image.open(io.BytesIO(path.read_bytes()))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise PhotoError(
            f"{path} has more than {MAX_SIDE} x {MAX_SIDE} pixels; scale it down or cut it."
        ) from error


def read_photo(path: Path) -> Photo:
    """Read a photo, turned upright by its EXIF orientation.

    16-bit grey scans keep their levels up to here; files are written with 8 bits a channel.
    """
    try:
        with open_picture(path) as file:
            # A phone's JPEG may hold a small second picture (MPO); the first is the photo.
            if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
                raise PhotoError(
                    f"{path} holds {file.n_frames} pictures; split it into single ones."
                )
            image = ImageOps.exif_transpose(file)
            keep = {key: image.info[key] for key in ("dpi", "exif") if image.info.get(key)}
            if file.format == "WEBP":
                keep["lossless"] = _is_lossless_webp(path)
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path} is not a picture that can be read; check the file.") from error
    except (OSError, SyntaxError) as error:
        raise PhotoError(f"{path} cannot be read as a picture: {error}.") from error
    if image.mode in DEEP_GREY:
        bits, white = DEEP_GREY[image.mode]
        grey = torch.from_numpy(np.array(image, dtype=np.float32)).div_(white).clamp_(0, 1)
        return Photo(grey.unsqueeze(-1).expand(-1, -1, 3), None, keep, bits)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    rgb = np.asarray(image.convert("RGB"))
    # A grey profile no longer fits a colour picture; a colour one still does.
    if image.mode in ("RGB", "RGBA", "P") and image.info.get("icc_profile"):
        keep["icc_profile"] = image.info["icc_profile"]
    return Photo(torch.from_numpy(rgb.copy()).float().div_(255), alpha, keep, 8)


def _is_lossless_webp(path: Path) -> bool:
    """Whether the picture is in a ``VP8L`` chunk (RFC 9649); Pillow doesn't say."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8L"
            file.seek(size + size % 2, os.SEEK_CUR)
    return False


def write_photo(path: Path, image: Tensor, alpha: Image.Image | None, keep: dict) -> None:
    """Write ``(H, W, 3)`` in [0, 1]; whole under its name or not at all."""
    picture = Image.fromarray(image.mul(255).round_().to(torch.uint8).cpu().numpy())
    options = dict(keep)
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg", ".jpe", ".jfif"):
        options |= {"quality": 95, "subsampling": 0}
    elif alpha is not None:
        picture.putalpha(alpha)
    if suffix == ".webp":
        options |= {"quality": 95, "method": 6}
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        picture.save(part, **options)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
