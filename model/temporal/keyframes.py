"""Which frames of a shot teach it best, told from small luma while the frames stream by."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

THUMB = (18, 32)  # rows, columns
CANDIDATES = 256  # thumbs kept; a longer shot is thinned out evenly
HEAD, TAIL = 24, 12  # frames at a shot's ends that a dissolve may reach into
RISK = 1.2  # how much better such a frame must be to be chosen
SWAPS = 20  # rounds of exchange; it settles within a few


class KeyframePicker:
    """Collects one shot and names the frames least far from all of its others.

    Call it with ``(n, 1, h, w)`` luma in [0, 1], batches of any size in order; then ``pick(count)``
    gives the indices, counted from the start of the shot and in ascending order. Memory does not
    grow with the length of the shot. ``reset()`` begins the next one.

    The keyframes are the k medoids of the shot (Kaufman and Rousseeuw 1990, "Partitioning Around
    Medoids") under the root mean square difference of small pictures; not the first and last, which
    a dissolve may mix, unless they are clearly better.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the shot; the next frame is number 0."""
        self.count, self.stride = 0, 1
        self.thumbs: list[Tensor] = []

    def __call__(self, luma: Tensor) -> None:
        for frame in luma:
            if self.count % self.stride == 0:
                self.thumbs.append(adaptive_avg_pool2d(frame.float(), THUMB).flatten().cpu())
            self.count += 1
            if len(self.thumbs) > CANDIDATES:
                self.thumbs = self.thumbs[::2]
                self.stride *= 2

    def pick(self, count: int = 1) -> list[int]:
        """The ``count`` keyframes, or all frames of a shot that has fewer.

        Raises ``ValueError`` for a shot without frames.
        """
        if not self.thumbs:
            raise ValueError("A shot without frames has no keyframe; check where it is cut.")
        thumbs = torch.stack(self.thumbs)
        distances = torch.cdist(thumbs, thumbs, compute_mode="donot_use_mm_for_euclid_dist")
        frames = torch.arange(len(thumbs)) * self.stride
        edges = (frames < HEAD) | (frames >= self.count - TAIL)
        risk = torch.where(edges, RISK, 1.0)
        medoids = _medoids(distances, risk, min(count, len(thumbs)))
        return sorted(frames[medoids].tolist())


def _medoids(distances: Tensor, risk: Tensor, count: int) -> list[int]:
    """The ``count`` points to whose nearest one the points' distances sum to the least.

    A point's sum counts ``risk`` times as much, which differs from point to point.
    """
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(_best_addition(distances, risk, chosen))
    for _ in range(SWAPS):
        before = list(chosen)
        for place in range(count):
            others = chosen[:place] + chosen[place + 1 :]
            chosen[place] = _best_addition(distances, risk, others)
        if chosen == before:
            break
    return chosen


def _best_addition(distances: Tensor, risk: Tensor, chosen: list[int]) -> int:
    nearest = distances[chosen].amin(0) if chosen else distances.new_tensor(torch.inf)
    total = torch.minimum(distances, nearest).sum(1) * risk
    total[chosen] = torch.inf
    return int(total.argmin())
