"""One picture of a photo, with what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .color_management import color_space, grey_tones, srgb_profile
from .metadata import (
    SIDEWAYS,
    Metadata,
    exif_directory,
    orientation_of,
    sideways_resources,
    upright_exif,
    upright_xmp,
)
from .png import sideways_chunks
from .raster import Raster, has_color


@dataclass
class Page:
    """One picture of a photo, and what is kept of it. ``bits`` a level: 1, 8, 16 or 32."""

    raster: Raster
    metadata: Metadata
    bits: int
    notes: list[str] = field(default_factory=list)


def with_profile(raster: Raster, metadata: Metadata, profile: bytes | None, notes: list) -> None:
    """Give the tones their meaning, and ``metadata`` the profile that fits the result."""
    if not profile:
        return
    space = color_space(profile)
    # WebP and AVIF give greys as RGB.
    if space == "GRAY" and not has_color(raster):
        tones = grey_tones(profile)
        if tones is not None:
            raster.tones, metadata.icc = tones, srgb_profile()
            return
        space = ""
    if space == "RGB":
        metadata.icc = profile
    elif not space:
        notes.append("its colour profile cannot be read and is left out.")
    else:
        kind = "grey" if space == "GRAY" else space
        notes.append(f"its colour profile is for {kind}, which it is not, and is left out.")


def turn_upright(raster: Raster, metadata: Metadata, notes: list[str]) -> None:
    """Turn the pixels as EXIF or XMP say, and then `say_upright`."""
    orientation = orientation_of(exif_directory(metadata.exif), metadata.xmp)
    raster.turn(orientation)
    say_upright(metadata, orientation in SIDEWAYS, notes)


def say_upright(metadata: Metadata, sideways: bool, notes: list[str]) -> None:
    """Say in EXIF and XMP that the picture stands upright; a damaged EXIF is left out and told.

    ``sideways``: whether width and height have changed places, and resolutions with them.
    """
    if metadata.exif:
        metadata.exif = upright_exif(metadata.exif, sideways)
        if not metadata.exif:
            notes.append("its EXIF cannot be read and is left out.")
    if metadata.xmp:
        metadata.xmp = upright_xmp(metadata.xmp, sideways)
    if not sideways:
        return
    if metadata.dpi:
        metadata.dpi = metadata.dpi[::-1]
    if metadata.photoshop:
        metadata.photoshop = sideways_resources(metadata.photoshop)
    if metadata.chunks:
        metadata.chunks = sideways_chunks(metadata.chunks)
