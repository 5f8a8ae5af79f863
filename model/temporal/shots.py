"""A film divided into shots that are long enough to be worth their own colours."""

from collections import deque
from collections.abc import Iterable, Iterator

from torch import Tensor

from .cuts import CutDetector
from .dissolves import MAX_DETECTION_DELAY

MAX_FLASH = 6  # frames; what differs for longer is a shot
MIN_SHOT = 8  # frames; a shorter one belongs to the shot before
DELAY = max(MAX_FLASH + 1, MAX_DETECTION_DELAY, MIN_SHOT)  # frames until all is known of a frame


def mark_shots(frames: Iterable[Tensor], sensitivity: float = 0.5) -> Iterator[tuple[bool, Tensor]]:
    """Each of the ``frames``, in order, with whether a shot begins with it, `DELAY` frames late.

    ``frames``: luma ``(1, h, w)`` in [0, 1], about 48 px on the short side. ``sensitivity``: 0
    (only the plainest cuts) to 1; another raises ``ValueError``. Frame 0 is not marked.
    """
    return _mark(frames, CutDetector(sensitivity, MAX_FLASH))


def _mark(frames: Iterable[Tensor], detector: CutDetector) -> Iterator[tuple[bool, Tensor]]:
    waiting: deque[Tensor] = deque()
    cuts: set[int] = set()
    shot_begin = 0

    def oldest() -> tuple[bool, Tensor]:
        nonlocal shot_begin
        frame = detector.index - len(waiting)
        long_enough = frame - shot_begin >= MIN_SHOT and len(waiting) >= MIN_SHOT
        begins = frame in cuts and long_enough
        shot_begin = frame if begins else shot_begin
        return begins, waiting.popleft()

    for frame in frames:
        cuts.update(detector(frame[None]))
        waiting.append(frame)
        if len(waiting) > DELAY:
            yield oldest()
    cuts.update(detector.flush())
    while waiting:
        yield oldest()
