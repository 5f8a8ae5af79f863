"""Coloured frames in, a network that knows a shot's colours out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from .. import model
from ..callbacks import Check, OnProgress
from ..model import ColorizationNet, Network, load_model, rgb_to_chroma
from ..options import TeachOptions
from .taught_networks import TaughtNetworks, teaching_key

DEFAULTS = TeachOptions()
PAINTED = 0.03  # of chroma: more than JPEG leaves on grey


def teach(
    network: Network,
    references: Sequence[Tensor],
    options: TeachOptions = DEFAULTS,
    *,
    masks: Sequence[Tensor | None] | None = None,
    strokes: bool = False,
    device: torch.device | str = "cpu",
    kept: TaughtNetworks | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> ColorizationNet:
    """A copy of ``network`` that has learned the colours of ``references``.

    ``references``: images ``(H, W, 3)`` in [0, 1], of any sizes. ``masks``: for each of them
    ``None`` or ``(H, W)`` in [0, 1], 1 where it counts. ``strokes``: they are grey frames with
    colour painted on them, and only pixels in colour count. The result is on ``device`` and says
    in its ``metadata`` what taught it. ``kept``: where it is looked for first, and kept afterwards.

    Raises ``ValueError`` for references that cannot teach, and for a network that cannot learn.
    """
    if not network.teachable:
        raise ValueError(
            "This network cannot be taught; colour keyframes with it, and give them to a "
            "ColorizationNet to carry through the shot."
        )
    given = masks
    if strokes:
        masks = _painted(references, masks)
    key = "" if kept is None else teaching_key(network, references, options, masks, device)
    if kept is not None and (found := kept.find(key)) is not None:
        if on_progress is not None:
            on_progress(options.steps, options.steps)
        return found.to(device)
    taught = model.teach(
        cast(ColorizationNet, network),  # the one that is teachable
        references,
        options,
        masks=masks,
        device=device,
        on_progress=on_progress,
        check=check,
    )
    taught.metadata |= {
        "mask": "none" if given is None else _digest(given),
        "strokes": "yes" if strokes else "no",
    }
    if kept is not None:
        kept.keep(key, taught)
    return taught


def key_of_taught(
    network: Network,
    references: Sequence[Tensor],
    options: TeachOptions = DEFAULTS,
    *,
    strokes: bool = False,
    device: torch.device | str = "cpu",
) -> str:
    """The key by which `teach` finds in ``kept`` what the same arguments have taught before."""
    masks = _painted(references, None) if strokes else None
    return teaching_key(network, references, options, masks, device)


def _painted(
    references: Sequence[Tensor], masks: Sequence[Tensor | None] | None
) -> Sequence[Tensor | None]:
    """The ``masks`` as far as something is painted there."""
    painted = [painted_pixels(reference) for reference in references]
    return [
        part if mask is None else part * mask
        for part, mask in zip(painted, masks or [None] * len(painted), strict=True)
    ]


def painted_pixels(image: Tensor) -> Tensor:
    """1 where ``image`` ``(H, W, 3)`` has colour, else 0: ``(H, W)``."""
    chroma = rgb_to_chroma(image.permute(2, 0, 1).float())
    return (chroma.norm(dim=0) > PAINTED).float()


def is_kept(path: str | os.PathLike, metadata: Mapping[str, str]) -> bool:
    """Whether the weights file ``path`` holds what was taught as ``metadata`` says."""
    return Path(path).exists() and load_model(path).metadata.items() >= metadata.items()


def _digest(masks: Sequence[Tensor | None]) -> str:
    digest = hashlib.sha256()
    for mask in masks:
        values = torch.zeros(0) if mask is None else mask.to("cpu", torch.float32)
        digest.update(repr(tuple(values.shape)).encode() + values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
