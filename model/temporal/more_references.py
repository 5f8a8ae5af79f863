"""Which frames of a shot, once coloured, would tell most of what its references leave unknown."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .keyframes import Candidates, keyframe_thumbnail


class ReferenceAdvisor:
    """Collects one shot with the confidence of its colours, and names the next references.

    Call it with luma ``(n, 1, h, w)`` and confidence ``(n, 1, h, w)`` (`recall_chroma`), batches of
    any size in order; then ``suggest``. Memory does not grow with the length of the shot.

    What is unknown of a frame is taken to grow with the distance of its thumbnail from that of the
    nearest reference: a new reference at ``d`` of the distance before leaves ``d`` of it. Frames
    are chosen one by one, each to leave the least in sum.
    """

    def __init__(self) -> None:
        # Their thumbnails, and how much of them is unknown.
        self.frames: Candidates[tuple[Tensor, float]] = Candidates()

    def __call__(self, luma: Tensor, confidence: Tensor) -> None:
        unknown = 1 - confidence.float().mean((1, 2, 3)).cpu()
        for frame, rest in zip(luma, unknown.tolist(), strict=True):
            self.frames.add(_candidate, frame, rest)

    @property
    def unknown(self) -> float:
        """How much of the shot is unknown, in frames."""
        return self.frames.stride * sum(rest for _, rest in self.frames.kept)

    def suggest(self, count: int, references: Sequence[int]) -> list[tuple[int, float]]:
        """Up to ``count`` frames, the one that helps most first, each with how much.

        ``references``: the frames of the shot that are coloured already, counted from its start.
        How much is the share of what is unknown of the shot that the frame, coloured after those
        before it, is expected to tell. Frames that help nothing are not named.
        """
        if not self.frames.kept:
            return []
        thumbnails, rests = zip(*self.frames.kept, strict=True)
        points, unknown, stride = torch.stack(thumbnails), torch.tensor(rests), self.frames.stride
        distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        last = len(points) - 1
        known = [min(last, max(0, round(frame / stride))) for frame in references]
        # Without a reference near at all, the farthest frame stands for it.
        nearest = distances[known].amin(0) if known else distances.amax(1)
        total, found = max(float(unknown.sum()), 1e-9), []
        for _ in range(count):
            share = torch.where(nearest > 0, distances / nearest, 1.0)
            left = torch.minimum(unknown, unknown * share)
            gain = unknown.sum() - left.sum(1)
            gain[known] = 0
            best = int(gain.argmax())
            if gain[best] <= 0:
                break
            found.append((best * stride, float(gain[best]) / total))
            known.append(best)
            unknown, nearest = left[best], torch.minimum(nearest, distances[best])
        return found


def _candidate(luma: Tensor, unknown: float) -> tuple[Tensor, float]:
    return keyframe_thumbnail(luma), unknown
