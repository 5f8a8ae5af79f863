"""ffmpeg in a subprocess: what a clip is, frames out of it, frames into it. Knows no networks."""

from .audio import read_audio
from .clip import AudioStream, Clip, SubtitleStream, matrix_for_size
from .ffmpeg import VideoError
from .formats import FORMATS, Format, exact_rate, find_format
from .planes import PlaneFormat
from .probe import as_clip, probe
from .read import count_frames, read_frames, read_luma
from .recolor import recolor
from .transcode import ColourStream
from .write import FrameWriter

__all__ = [
    "FORMATS",
    "AudioStream",
    "Clip",
    "ColourStream",
    "Format",
    "FrameWriter",
    "PlaneFormat",
    "SubtitleStream",
    "VideoError",
    "as_clip",
    "count_frames",
    "exact_rate",
    "find_format",
    "matrix_for_size",
    "probe",
    "read_audio",
    "read_frames",
    "read_luma",
    "recolor",
]
