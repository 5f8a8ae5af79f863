"""ffmpeg in a subprocess: what a clip is, frames out of it, frames into it. Knows no networks."""

from .ffmpeg import VideoError
from .formats import FORMATS, Format, exact_rate, find_format
from .probe import AudioStream, Chapter, Clip, SubtitleStream, matrix_for_size, probe
from .read import count_frames, read_audio, read_frames
from .recolor import Planes, recolor
from .write import FrameWriter

__all__ = [
    "FORMATS",
    "AudioStream",
    "Chapter",
    "Clip",
    "Format",
    "FrameWriter",
    "Planes",
    "SubtitleStream",
    "VideoError",
    "count_frames",
    "exact_rate",
    "find_format",
    "matrix_for_size",
    "probe",
    "read_audio",
    "read_frames",
    "recolor",
]
