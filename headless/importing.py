"""torch, sooner imported."""

import gc
import sys


def import_torch() -> None:
    """Import torch without a search for garbage among the million objects that come with it.

    They stay to the end, so the collector leaves them alone from then on, at the end as well.
    """
    if "torch" in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        if was_enabled:
            gc.enable()
    gc.freeze()
