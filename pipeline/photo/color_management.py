"""What a picture's levels mean: grey profiles and gamma into sRGB, by littleCMS.

A grey picture's profile cannot describe a colour one, so its tones are converted to sRGB, with 16
bits of precision. A colour picture keeps its own profile and its levels.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# littleCMS's cmsFLAGS_NOOPTIMIZE: no table in place of the curves
_NO_OPTIMIZATION = ImageCms.Flags(0x0100)
_D50 = struct.pack(">3i", 63190, 65536, 54061)
SRGB_GAMMA = 45455  # of a PNG's gAMA chunk: close enough to sRGB for viewers to show it as that


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An sRGB profile, the same in every run."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = struct.pack(">6H", 2020, 1, 1, 0, 0, 0)  # littleCMS writes the present time
    return bytes(data)


def color_space(profile: bytes) -> str:
    """``"GRAY"``, ``"RGB"``, ``"CMYK"`` ..., or ``""`` for what is no ICC profile."""
    try:
        return _open(profile).profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        return ""


@lru_cache(maxsize=8)
def grey_tones(profile: bytes) -> np.ndarray | None:
    """The sRGB levels in [0, 1] of all 65,536 levels of grey in ``profile``; None if it fails."""
    ramp = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    try:
        transform = ImageCms.buildTransform(
            _open(profile),
            _open(_grey_srgb()),
            "I;16",
            "I;16",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            _NO_OPTIMIZATION,
        )
        tones = np.asarray(ImageCms.applyTransform(ramp, transform))
    except (OSError, ImageCms.PyCMSError):
        return None
    tones = (tones.reshape(-1) / 65535).astype(np.float32)
    tones.flags.writeable = False
    return tones


@lru_cache(maxsize=8)
def gamma_tones(gamma: int) -> np.ndarray:
    """As `grey_tones`, of levels with a PNG's gAMA: light = level ** (100000 / gamma)."""
    light = np.linspace(0, 1, 65536) ** (100000 / gamma)
    low, high = 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055  # IEC 61966-2-1
    tones = np.where(light <= 0.0031308, low, high).astype(np.float32)
    tones.flags.writeable = False
    return tones


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """``image`` of another colour space (CMYK) as sRGB; None if its profile fails."""
    try:
        return ImageCms.profileToProfile(
            image,
            _open(profile),
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
        )
    except (OSError, ImageCms.PyCMSError):
        return None


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _grey_srgb() -> bytes:
    """A grey profile with the curve of sRGB, so that littleCMS can compute it with 16 bits."""
    parameters = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = struct.pack(">4s4xHH5i", b"para", 3, 0, *(round(p * 65536) for p in parameters))
    tags = {
        b"desc": struct.pack(">4s4xI8s", b"desc", 8, b"sRGB TRC") + bytes(78),
        b"wtpt": struct.pack(">4s4x", b"XYZ ") + _D50,
        b"kTRC": curve,
    }
    at = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, at + len(data), len(tag))
        data += tag.ljust(-(-len(tag) // 4) * 4, b"\0")
    header = struct.pack(">I4xI4s4s4s", at + len(data), 0x04000000, b"mntr", b"GRAY", b"XYZ ")
    header += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _D50
    return header.ljust(128, b"\0") + table + data
