"""Which frames of a shot teach it best, chosen from small luma while the frames stream by."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

THUMBNAIL = (18, 32)  # rows, columns
MAX_CANDIDATES = 256  # frames of a shot to choose from; a longer one is thinned out evenly
HEAD, TAIL = 24, 12  # frames at a shot's ends that a dissolve may reach into
EDGE_PENALTY = 1.2  # times as far from the others as a frame there is taken to be
MAX_ROUNDS = 20  # of exchanges; a few are enough as a rule


Found = TypeVar("Found")


class Candidates(Generic[Found]):
    """What is known of a shot's frames, in order; of a long one's of every 2nd, 4th and so on."""

    def __init__(self) -> None:
        self.count = 0  # frames of the shot so far
        self.stride = 1  # one is kept of so many frames
        self.kept: list[Found] = []

    def add(self, find: Callable[..., Found], *of: object) -> None:
        """Take in ``find(*of)`` of the next frame, which is called only if it is kept."""
        if self.count % self.stride == 0:
            self.kept.append(find(*of))
        self.count += 1
        if len(self.kept) > MAX_CANDIDATES:
            self.kept = self.kept[::2]
            self.stride *= 2


def keyframe_thumbnail(luma: Tensor) -> Tensor:
    """What a frame's luma ``(1, h, w)`` is compared by: `THUMBNAIL` pixels in a row."""
    return adaptive_avg_pool2d(luma.float(), THUMBNAIL).flatten().cpu()


class KeyframePicker:
    """Collects one shot and names the frames least far from all of its others.

    Call it with ``(n, 1, h, w)`` luma in [0, 1], batches of any size in order; then ``pick(count)``
    gives the indices, counted from the start of the shot and in ascending order. Memory does not
    grow with the length of the shot.

    The keyframes are the k medoids of the shot (Kaufman and Rousseeuw 1990, "Partitioning Around
    Medoids") under the root mean square difference of thumbnails; not the first and last, which
    a dissolve may mix, unless they are clearly better.
    """

    def __init__(self) -> None:
        self.frames: Candidates[Tensor] = Candidates()  # their thumbnails

    def __call__(self, luma: Tensor) -> None:
        for frame in luma:
            self.frames.add(keyframe_thumbnail, frame)

    def thumbnail(self, frame: int) -> Tensor:
        """The thumbnail of a frame that `pick` gave."""
        return self.frames.kept[frame // self.frames.stride]

    def pick(self, count: int = 1) -> list[int]:
        """The ``count`` keyframes, or as many as there are to choose from.

        That is every frame of a shot of up to `MAX_CANDIDATES`; of a longer one it is every 2nd,
        4th and so on, and so at least half of `MAX_CANDIDATES`. Raises ``ValueError`` for a shot
        without frames.
        """
        if not self.frames.kept:
            raise ValueError("A shot without frames has no keyframe; check where it is cut.")
        points = torch.stack(self.frames.kept)
        distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        frames = torch.arange(len(points)) * self.frames.stride
        is_edge = (frames < HEAD) | (frames >= self.frames.count - TAIL)
        penalty = torch.where(is_edge, EDGE_PENALTY, 1.0)
        medoids = _medoids(distances, penalty, min(count, len(points)))
        return sorted(frames[medoids].tolist())


def _medoids(distances: Tensor, penalty: Tensor, count: int) -> list[int]:
    """The ``count`` points to whose nearest one the points' distances sum to the least.

    ``penalty``: factor on the sum for each point that may be chosen.
    """
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(_best_addition(distances, penalty, chosen))
    for _ in range(MAX_ROUNDS):
        before = list(chosen)
        for place in range(count):
            others = chosen[:place] + chosen[place + 1 :]
            chosen[place] = _best_addition(distances, penalty, others)
        if chosen == before:
            break
    return chosen


def _best_addition(distances: Tensor, penalty: Tensor, chosen: list[int]) -> int:
    nearest = distances[chosen].amin(0) if chosen else distances.new_tensor(torch.inf)
    total = torch.minimum(distances, nearest).sum(1) * penalty
    total[chosen] = torch.inf
    return int(total.argmin())
