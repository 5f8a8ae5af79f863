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
    from ..video import (
        FORMATS,
        Clip,
        VideoError,
        count_frames,
        find_format,
        find_pictures,
        is_pattern,
        probe,
        probe_pictures,
    )
    from .confidence import FilmConfidence
    from .film import colorize_film
    from .frames import LoadedFrames, load_frames, save_frames, to_images
    from .images import colorize_images
    from .keyframe_match import match_keyframes, with_thumbnails
    from .more_keyframes import Suggestion, suggest_keyframes, with_keyframes
    from .photo import PhotoError, colorize_photo, read_photo, result_suffix, write_photo
    from .reference_names import find_references, in_order
    from .result_names import result_paths
    from .segments import colorize_long_film
    from .shots import ClipShots, Shot, find_shots, keyframe_images, load_keyframes, small_keyframe
    from .stabilize import stabilize_images
    from .taught_networks import TaughtNetworks
    from .teaching import is_kept, key_of_taught, painted_pixels, teach

__all__ = [
    "FORMATS",
    "Clip",
    "ClipShots",
    "ColorOptions",
    "EncodeOptions",
    "FilmConfidence",
    "FilmOptions",
    "LoadedFrames",
    "Network",
    "PhotoError",
    "Shot",
    "ShotOptions",
    "Suggestion",
    "TaughtNetworks",
    "TeachOptions",
    "VideoError",
    "colorize_film",
    "colorize_images",
    "colorize_long_film",
    "colorize_photo",
    "count_frames",
    "find_format",
    "find_pictures",
    "find_references",
    "find_shots",
    "in_order",
    "is_kept",
    "is_pattern",
    "key_of_taught",
    "keyframe_images",
    "load_frames",
    "load_keyframes",
    "load_model",
    "match_keyframes",
    "painted_pixels",
    "probe",
    "probe_pictures",
    "read_photo",
    "result_paths",
    "result_suffix",
    "save_frames",
    "save_model",
    "small_keyframe",
    "stabilize_images",
    "suggest_keyframes",
    "teach",
    "to_images",
    "with_keyframes",
    "with_thumbnails",
    "write_photo",
]

# `probe` and `find_format` need no torch, which takes a second or two to import.
__getattr__ = imported_on_demand(
    __name__,
    {
        "..model": "Network load_model save_model",
        "..options": "ColorOptions EncodeOptions FilmOptions ShotOptions TeachOptions",
        "..video": "FORMATS Clip VideoError count_frames find_format find_pictures is_pattern "
        "probe probe_pictures",
        ".confidence": "FilmConfidence",
        ".film": "colorize_film",
        ".frames": "LoadedFrames load_frames save_frames to_images",
        ".images": "colorize_images",
        ".keyframe_match": "match_keyframes with_thumbnails",
        ".more_keyframes": "Suggestion suggest_keyframes with_keyframes",
        ".photo": "PhotoError colorize_photo read_photo result_suffix write_photo",
        ".reference_names": "find_references in_order",
        ".result_names": "result_paths",
        ".segments": "colorize_long_film",
        ".shots": "ClipShots Shot find_shots keyframe_images load_keyframes small_keyframe",
        ".stabilize": "stabilize_images",
        ".taught_networks": "TaughtNetworks",
        ".teaching": "is_kept key_of_taught painted_pixels teach",
    },
)
