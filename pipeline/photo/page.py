"""One picture of a photo, with what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .color_management import color_space, grey_tones, srgb_profile
from .metadata import Metadata, upright_exif
from .raster import Raster


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
    if space == "GRAY" and raster.is_single_channel:
        tones = grey_tones(profile)
        if tones is not None:
            raster.tones, metadata.icc = tones, srgb_profile()
            return
        space = ""
    if space == "RGB":
        metadata.icc = profile
    elif not space:
        notes.append("its colour profile cannot be read and is left out.")


def make_exif_upright(metadata: Metadata, turned: bool, notes: list[str]) -> None:
    """Say in the EXIF that the picture stands upright; leave out what is damaged, with a note.

    ``turned``: whether width and height have changed places.
    """
    if metadata.exif:
        metadata.exif = upright_exif(metadata.exif, turned)
        if not metadata.exif:
            notes.append("its EXIF cannot be read and is left out.")
