"""Film over time: what moves, where shots begin, which frames stand for them, and still colours.

Knows no network: it takes luma and chroma from anywhere.
"""

from .chroma_filter import averaged_frames
from .cuts import CutDetector
from .keyframes import KeyframePicker, keyframe_thumbnail
from .more_references import ReferenceAdvisor
from .motion import estimate_motion
from .operations import box_mean, warp
from .references import RecalledBatch, Reference, match_size, recall_chroma, stabilize_recalled
from .shots import mark_shots
from .stabilizer import LOOK_AHEAD, ChromaBatch, filter_size, stabilize_chroma

__all__ = [
    "LOOK_AHEAD",
    "ChromaBatch",
    "CutDetector",
    "KeyframePicker",
    "RecalledBatch",
    "Reference",
    "ReferenceAdvisor",
    "averaged_frames",
    "box_mean",
    "estimate_motion",
    "filter_size",
    "keyframe_thumbnail",
    "mark_shots",
    "match_size",
    "recall_chroma",
    "stabilize_chroma",
    "stabilize_recalled",
    "warp",
]
