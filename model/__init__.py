"""Pure torch: the network, its weights, and the colorizer around them. Knows nothing of hosts."""

from .colorizer import Colorizer
from .network import ColorizationNet
from .weights import WeightsError, load_model, save_model

__all__ = ["ColorizationNet", "Colorizer", "WeightsError", "load_model", "save_model"]
