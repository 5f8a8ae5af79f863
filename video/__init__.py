"""ffmpeg in a subprocess: what a clip is, frames out of it, frames into it. Knows no networks."""

from .audio import read_audio
from .clip import AudioStream, Clip, SubtitleStream, matrix_for_size
from .decoder import SCALER
from .encoder import ffmetadata
from .ffmpeg import FFmpeg, VideoError, input_file, url, versions
from .formats import FORMATS, Format, exact_rate, find_format, ratio
from .parts import Part, check_recolor, count_pictures, join_parts, recolor_parts
from .planes import PlaneFormat
from .probe import as_clip, probe
from .read import count_frames, read_frames, read_luma
from .recolor import recolor
from .streams import copied_streams
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
    "Part",
    "PlaneFormat",
    "SubtitleStream",
    "VideoError",
    "as_clip",
    "check_recolor",
    "copied_streams",
    "count_frames",
    "count_pictures",
    "exact_rate",
    "ffmetadata",
    "find_format",
    "input_file",
    "join_parts",
    "matrix_for_size",
    "probe",
    "ratio",
    "read_audio",
    "read_frames",
    "read_luma",
    "recolor",
    "recolor_parts",
    "url",
    "versions",
]
