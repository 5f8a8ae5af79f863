"""ffmpeg in a subprocess: what a clip is, frames out of it, frames into it. Knows no networks."""

from .audio import read_audio
from .clip import AudioStream, Clip, SubtitleStream, matrix_for_size
from .decoder import SCALER
from .encoder import ffmetadata
from .ffmpeg import FFmpeg, VideoError, input_file, url, versions
from .formats import FORMATS, Format, exact_rate, find_format, ratio
from .parts import IncompletePart, Part, count_pictures, join_parts, recolor_parts
from .pictures import find_pictures, is_pattern
from .planes import PlaneFormat
from .probe import as_clip, probe, probe_pictures
from .read import count_frames, read_frames, read_luma
from .recolor import as_encoded, check_recolor, recolor
from .streams import copied_streams
from .tags import read_tags
from .transcode import ColourStream
from .write import FrameWriter

__all__ = [
    "FORMATS",
    "SCALER",
    "AudioStream",
    "Clip",
    "ColourStream",
    "FFmpeg",
    "Format",
    "FrameWriter",
    "IncompletePart",
    "Part",
    "PlaneFormat",
    "SubtitleStream",
    "VideoError",
    "as_clip",
    "as_encoded",
    "check_recolor",
    "copied_streams",
    "count_frames",
    "count_pictures",
    "exact_rate",
    "ffmetadata",
    "find_format",
    "find_pictures",
    "input_file",
    "is_pattern",
    "join_parts",
    "matrix_for_size",
    "probe",
    "probe_pictures",
    "ratio",
    "read_audio",
    "read_frames",
    "read_luma",
    "read_tags",
    "recolor",
    "recolor_parts",
    "url",
    "versions",
]
