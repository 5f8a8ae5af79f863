"""What the pack does, as plain Python: colour photos, pictures, film; teach, find keyframes.

The public Python API. It knows no host: progress goes to ``on_progress(done, total, preview)`` and
a cancel comes in by ``check()``, see `callbacks`. Settings are the frozen objects of `options`.
"""

from ..model import Network, load_model, save_model
from ..options import (
    ColorOptions,
    EncodeOptions,
    FilmOptions,
    ShotOptions,
    TeachOptions,
)
from ..video import (
    FORMATS,
    Clip,
    VideoError,
    find_format,
    is_pattern,
    probe,
    probe_pictures,
)
from .film import colorize_film
from .frames import LoadedFrames, load_frames, save_frames, to_images
from .images import colorize_images
from .more_keyframes import Suggestion, suggest_keyframes, with_keyframes
from .photo import PhotoError, colorize_photo, read_photo, write_photo
from .reference_names import find_references
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
    "colorize_photo",
    "find_format",
    "find_references",
    "find_shots",
    "is_kept",
    "is_pattern",
    "keyframe_images",
    "load_frames",
    "load_keyframes",
    "load_model",
    "painted_pixels",
    "probe",
    "probe_pictures",
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
