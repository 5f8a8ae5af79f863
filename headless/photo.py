"""Photos on disk: read as the colorizer wants them, written as they came."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

SUFFIXES = frozenset(
    suffix
    for suffix, name in Image.registered_extensions().items()
    if name in ("BMP", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP") and name in Image.SAVE
)
MAX_VALUE = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I": 65535, "F": 1.0}


class PhotoError(ValueError):
    """The file is no photo that can be read; the message names it."""


def read_photo(path: Path) -> tuple[Tensor, Image.Image | None, dict]:
    """``(H, W, 3)`` float32 in [0, 1], the alpha channel if any, and what to keep for saving.

    The picture is turned upright by its EXIF orientation. 16-bit grey scans keep their levels up
    to here; files are written with 8 bits a channel.
    """
    try:
        with Image.open(path) as file:
            if getattr(file, "n_frames", 1) > 1:
                raise PhotoError(
                    f"{path} holds {file.n_frames} pictures; split it into single ones."
                )
            image = ImageOps.exif_transpose(file)
            keep = {key: image.info[key] for key in ("dpi", "exif") if image.info.get(key)}
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path} is not a picture that can be read; check the file.") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path} cannot be read as a picture: {error}.") from error
    if image.mode in MAX_VALUE:
        grey = torch.from_numpy(np.array(image, dtype=np.float32)).div_(MAX_VALUE[image.mode])
        return grey.clamp_(0, 1).unsqueeze(-1).expand(-1, -1, 3), None, keep
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    rgb = np.asarray(image.convert("RGB"))
    # A grey profile no longer fits a colour picture; a colour one still does.
    if image.mode in ("RGB", "RGBA", "P") and image.info.get("icc_profile"):
        keep["icc_profile"] = image.info["icc_profile"]
    return torch.from_numpy(rgb.copy()).float().div_(255), alpha, keep


def write_photo(path: Path, image: Tensor, alpha: Image.Image | None, keep: dict) -> None:
    """Write ``(H, W, 3)`` in [0, 1]; whole under its name or not at all."""
    picture = Image.fromarray(image.mul(255).round_().to(torch.uint8).cpu().numpy())
    options = dict(keep)
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg", ".jpe", ".jfif"):
        options |= {"quality": 95, "subsampling": 0}
    elif alpha is not None:
        picture.putalpha(alpha)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        picture.save(part, **options)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
