"""Photos as people keep them: read at the depth they have, coloured in bands, and written with
everything else that was in the file."""

from typing import TYPE_CHECKING

from ...lazy import imported_on_demand

if TYPE_CHECKING:
    from .colorize import (
        Bands,
        Colorize,
        Paint,
        PhotoResult,
        colorize_bands,
        colorize_photo,
        paint_photo,
        photo_colorizer,
    )
    from .errors import PhotoError
    from .formats import PHOTO_SUFFIXES, RESULT_SUFFIXES, FileKind, is_photo, kind_of, result_suffix
    from .page import Page
    from .pillow_files import MAX_SIDE, open_picture
    from .read import Photo, read_photo, read_picture_frames
    from .write import write_photo

__all__ = [
    "MAX_SIDE",
    "PHOTO_SUFFIXES",
    "RESULT_SUFFIXES",
    "Bands",
    "Colorize",
    "FileKind",
    "Page",
    "Paint",
    "Photo",
    "PhotoError",
    "PhotoResult",
    "colorize_bands",
    "colorize_photo",
    "is_photo",
    "kind_of",
    "open_picture",
    "paint_photo",
    "photo_colorizer",
    "read_photo",
    "read_picture_frames",
    "result_suffix",
    "write_photo",
]

__getattr__ = imported_on_demand(
    __name__,
    {
        ".colorize": "Bands Colorize Paint PhotoResult colorize_bands colorize_photo paint_photo "
        "photo_colorizer",
        ".errors": "PhotoError",
        ".formats": "PHOTO_SUFFIXES RESULT_SUFFIXES FileKind is_photo kind_of result_suffix",
        ".page": "Page",
        ".pillow_files": "MAX_SIDE open_picture",
        ".read": "Photo read_photo read_picture_frames",
        ".write": "write_photo",
    },
)
