"""What the pack does, as plain Python: colour photos, pictures, film; teach, find keyframes.

The public Python API. It knows no host: progress goes to ``on_progress(done, total, preview)`` and
a cancel comes in by ``check()``, see `callbacks`. Settings are the frozen objects of `options`.
"""

from typing import TYPE_CHECKING

from ..lazy import imported_on_demand

if TYPE_CHECKING:
    from ..model import Network, load_model, save_model
    from ..options import (
        ColorOptions,
        EncodeOptions,
        FilmOptions,
        ShotOptions,
        TeachOptions,
    )
    from ..video import FORMATS, Clip, VideoError, find_format, probe
    from .film import colorize_film
    from .frames import LoadedFrames, load_frames, save_frames, to_images
    from .images import colorize_images
    from .more_keyframes import Suggestion, suggest_keyframes, with_keyframes
    from .photo import PhotoError, colorize_photo, read_photo, write_photo
    from .reference_names import find_references
    from .segments import colorize_long_film
    from .shots import ClipShots, Shot, find_shots, keyframe_images, load_keyframes
    from .stabilize import stabilize_images
    from .teaching import is_kept, painted_pixels, teach

__all__ = [
    "FORMATS",
    "Clip",
    "ClipShots",
    "ColorOptions",
    "EncodeOptions",
    "FilmOptions",
    "LoadedFrames",
    "Network",
    "PhotoError",
    "Shot",
    "ShotOptions",
    "Suggestion",
    "TeachOptions",
    "VideoError",
    "colorize_film",
    "colorize_images",
    "colorize_long_film",
    "colorize_photo",
    "find_format",
    "find_references",
    "find_shots",
    "is_kept",
    "keyframe_images",
    "load_frames",
    "load_keyframes",
    "load_model",
    "painted_pixels",
    "probe",
    "read_photo",
    "save_frames",
    "save_model",
    "stabilize_images",
    "suggest_keyframes",
    "teach",
    "to_images",
    "with_keyframes",
    "write_photo",
]

# `probe` and `find_format` need no torch, which takes a second or two to import.
__getattr__ = imported_on_demand(
    __name__,
    {
        "..model": "Network load_model save_model",
        "..options": "ColorOptions EncodeOptions FilmOptions ShotOptions TeachOptions",
        "..video": "FORMATS Clip VideoError find_format probe",
        ".film": "colorize_film",
        ".frames": "LoadedFrames load_frames save_frames to_images",
        ".images": "colorize_images",
        ".more_keyframes": "Suggestion suggest_keyframes with_keyframes",
        ".photo": "PhotoError colorize_photo read_photo write_photo",
        ".reference_names": "find_references",
        ".segments": "colorize_long_film",
        ".shots": "ClipShots Shot find_shots keyframe_images load_keyframes",
        ".stabilize": "stabilize_images",
        ".teaching": "is_kept painted_pixels teach",
    },
)
