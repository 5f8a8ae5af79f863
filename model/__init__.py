"""Pure torch: the network, its weights, and the colorizer around them. Knows nothing of hosts."""

from .color import merge, rgb_to_chroma, rgb_to_luma
from .colorizer import Colorizer
from .cuts import CutDetector
from .keyframes import KeyframePicker
from .network import ColorizationNet
from .stabilizer import Stabilizer
from .steady import Steady
from .teach import teach
from .weights import WeightsError, load_model, save_model

__all__ = [
    "ColorizationNet",
    "Colorizer",
    "CutDetector",
    "KeyframePicker",
    "Stabilizer",
    "Steady",
    "WeightsError",
    "load_model",
    "merge",
    "rgb_to_chroma",
    "rgb_to_luma",
    "save_model",
    "teach",
]
