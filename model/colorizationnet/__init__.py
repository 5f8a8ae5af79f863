"""ColorizationNet: the network, its weights, its engine and its teaching."""

from .network import ColorizationNet
from .reference_set import COLOURLESS
from .teach import teach
from .weights import detect, load, save_model

__all__ = ["COLOURLESS", "ColorizationNet", "detect", "load", "save_model", "teach"]
