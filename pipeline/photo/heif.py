"""HEIC and HEIF photos, by pillow-heif where that is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .errors import PhotoError
from .metadata import Metadata
from .page import Page, say_upright, with_profile
from .pillow_files import DAMAGE, check_size
from .raster import Raster


def read_heif(path: Path) -> Page:
    try:
        import pillow_heif
    except ImportError:
        raise PhotoError(
            f"{path} is a HEIC or HEIF photo; install pillow-heif (pip install pillow-heif) to "
            "read it, or save it as JPEG."
        ) from None
    notes: list[str] = []
    try:
        heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        check_size(path, heif.size)
        levels = np.asarray(heif)
    except PhotoError:
        raise
    except (*DAMAGE, RuntimeError) as error:
        raise PhotoError(f"{path} cannot be read as a picture: {error}.") from error
    levels = levels if levels.ndim == 3 else levels[..., None]
    white = 65535 if levels.dtype == np.uint16 else 255
    alpha = levels[..., -1] if levels.shape[2] in (2, 4) else None
    colors = levels[..., : 1 if levels.shape[2] < 3 else 3]
    info = heif.info
    metadata = Metadata(exif=info.get("exif"), xmp=info.get("xmp"))
    say_upright(metadata, False, notes)  # libheif has turned the pixels
    raster = Raster(colors, white, alpha=alpha, alpha_white=white)
    with_profile(raster, metadata, info.get("icc_profile"), notes)
    return Page(raster, metadata, 16 if white > 255 else 8, notes)


def save_heif(image: Image.Image, part: Path, metadata: Metadata) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise PhotoError(
            "HEIC photos need pillow-heif (pip install pillow-heif); or name a .png or .jpg."
        ) from None
    heif = pillow_heif.from_pillow(image)
    if metadata.icc:
        heif.info["icc_profile"] = metadata.icc
    heif.save(part, quality=90, chroma=444, exif=metadata.exif, xmp=metadata.xmp)
