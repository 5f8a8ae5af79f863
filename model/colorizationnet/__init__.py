"""ColorizationNet: the network, its weights, its engine and its teaching."""

from .engine import Engine, choose_dtype
from .muon import Muon
from .network import ColorizationNet
from .reference_set import COLOURLESS
from .teach import TEACHING, teach
from .weights import detect, load, save_model

__all__ = [
    "COLOURLESS",
    "TEACHING",
    "ColorizationNet",
    "Engine",
    "Muon",
    "choose_dtype",
    "detect",
    "load",
    "save_model",
    "teach",
]
