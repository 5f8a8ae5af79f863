"""Pure torch: the network, its weights, and the colorizer around them. Knows nothing of hosts."""

from .color import merge, rgb_to_chroma, rgb_to_luma
from .colorizationnet.network import ColorizationNet
from .colorizationnet.teach import teach
from .colorizationnet.weights import WeightsError, load_model, save_model
from .temporal import CutDetector, KeyframePicker

__all__ = [
    "ColorizationNet",
    "CutDetector",
    "KeyframePicker",
    "WeightsError",
    "load_model",
    "merge",
    "rgb_to_chroma",
    "rgb_to_luma",
    "save_model",
    "teach",
]
