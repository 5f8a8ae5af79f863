"""Luma in, chroma out, and what holds it still. Knows nothing of hosts, files of film, nodes."""

from .architectures import ARCHITECTURES, Architecture, load_model
from .chroma_model import ChromaModel, Network
from .color import KB, KG, KR, interleaved_luma, merge, rgb_to_chroma, rgb_to_luma
from .colorizationnet import COLOURLESS, TEACHING, ColorizationNet, save_model, teach
from .parallel import in_pieces, limited_threads, parallel_map, row_bands, run_single_threaded
from .planes import chroma_planes, small_luma
from .resize import resize, resize_columns, resize_rows, scaled, short_side_scale
from .strokes import shrink_painted
from .temporal import (
    LOOK_AHEAD,
    ChromaBatch,
    CutDetector,
    KeyframePicker,
    Reference,
    ReferenceAdvisor,
    averaged_frames,
    filter_size,
    keyframe_thumbnail,
    mark_shots,
    match_size,
    recall_chroma,
    stabilize_chroma,
    stabilize_recalled,
)
from .weights_file import WeightsError, WeightsFile

__all__ = [
    "ARCHITECTURES",
    "COLOURLESS",
    "KB",
    "KG",
    "KR",
    "LOOK_AHEAD",
    "TEACHING",
    "Architecture",
    "ChromaBatch",
    "ChromaModel",
    "ColorizationNet",
    "CutDetector",
    "KeyframePicker",
    "Network",
    "Reference",
    "ReferenceAdvisor",
    "WeightsError",
    "WeightsFile",
    "averaged_frames",
    "chroma_planes",
    "filter_size",
    "keyframe_thumbnail",
    "limited_threads",
    "load_model",
    "mark_shots",
    "match_size",
    "in_pieces",
    "interleaved_luma",
    "merge",
    "parallel_map",
    "recall_chroma",
    "resize",
    "resize_columns",
    "resize_rows",
    "rgb_to_chroma",
    "rgb_to_luma",
    "row_bands",
    "run_single_threaded",
    "save_model",
    "scaled",
    "short_side_scale",
    "shrink_painted",
    "small_luma",
    "stabilize_chroma",
    "stabilize_recalled",
    "teach",
]
