"""DDColor (Kang et al., ICCV 2023) as a chroma model, through spandrel."""

from .loading import detect, load
from .network import DDColorNetwork

__all__ = ["DDColorNetwork", "detect", "load"]
