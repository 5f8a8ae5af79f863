"""DDColor (Kang et al., ICCV 2023) as a chroma model, through spandrel."""

from .lab import grey_to_lightness, lab_to_rgb
from .loading import detect, load
from .network import DDColorNetwork

__all__ = ["DDColorNetwork", "detect", "grey_to_lightness", "lab_to_rgb", "load"]
