"""At which frames of a film a small network looks: every other one, where that is enough.

Colours change slowly where the picture does. A frame whose small luma is midway between those of
its neighbours gets chroma midway between theirs; where it is not (a cut, a flash, what moves fast),
the network looks at it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..callbacks import Check
from ..model import ChromaModel, resize

# Small operations cost the same for one frame and for eight; steadying holds 12 frames anyway.
GROUP, GROUP_BYTES = 8, 24 << 20
MIDWAY = 16 / 255  # of luma, that a pixel may be off


def groups(batches: Iterable[np.ndarray], first: int) -> Iterator[list[np.ndarray]]:
    """Batches of Y planes in groups of about `GROUP` frames, fewer of large ones.

    Each but the last ends with an odd frame, counted from ``first`` on, so that how a film is
    batched does not change at which frames the network looks; a batch may be divided for that.
    """
    group: list[np.ndarray] = []
    count = 0
    for batch in batches:
        group.append(batch)
        count += len(batch)
        first += len(batch)
        if count < min(GROUP, GROUP_BYTES // batch[0].nbytes):
            continue
        if first % 2 == 0:
            yield group
            group, count = [], 0
        elif count > 1:
            *whole, last = group
            yield [*whole, last[:-1]] if len(last) > 1 else whole
            group, count = [last[-1:]], 1
    if group:
        yield group


class Looks:
    """The chroma of the consecutive frames of a shot by ``model``, of ``(height, width)`` px.

    ``sparse``: it looks at odd frames and at those that do not lie midway between their neighbours.
    """

    def __init__(self, model: ChromaModel, frame_size: tuple[int, int], *, sparse: bool) -> None:
        self.model = model
        self.size = model.input_size(*frame_size)
        self._sparse = sparse
        self._last: tuple[Tensor, Tensor] | None = None  # luma and chroma of the frame before

    def chroma(self, luma: Tensor, first: int, check: Check | None = None) -> Tensor:
        """Chroma ``(n, 2, h, w)`` of the next frames, the number of whose first is ``first``.

        ``luma`` ``(n, 1, H, W)`` in [0, 1], as fine as the model's input or finer.
        """
        if luma.shape[2:] != self.size:
            luma = resize(luma, self.size).clamp_(0, 1)
        if not self._sparse:
            return self.model.chroma(luma.to(self.model.device), check)
        before = () if self._last is None else (self._last[0],)
        series = torch.cat((*before, luma))
        offset = len(series) - len(luma)
        is_looked_at = torch.ones(len(series), dtype=torch.bool)
        is_looked_at[1:-1] = _off_midway(series)
        is_looked_at[offset + (first + 1) % 2 :: 2] = True
        seen = is_looked_at[offset:]
        found = self.model.chroma(luma[seen].to(self.model.device), check)
        result = found.new_empty(len(series), *found.shape[1:])
        if self._last is not None:
            result[0] = self._last[1]
        result[offset:][seen] = found
        between = (~is_looked_at).nonzero().flatten()
        result[between] = (result[between - 1] + result[between + 1]) / 2
        self._last = luma[-1:], result[-1:]
        return result[offset:]


def _off_midway(luma: Tensor) -> Tensor:
    """Of each frame but the first and the last: whether it is not midway between its neighbours."""
    off = (luma[1:-1] - (luma[2:] + luma[:-2]) / 2).abs_()
    return off.flatten(1).amax(1) > MIDWAY
