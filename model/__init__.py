"""Pure torch: the network, its weights, and the colorizer around them. Knows nothing of hosts."""

from .network import ColorizationNet

__all__ = ["ColorizationNet"]
