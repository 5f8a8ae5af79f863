"""Where one shot ends and the next begins, found in small luma while the frames stream by."""

from typing import NamedTuple

import torch
from torch import Tensor

from .dissolves import HISTORY, MAX_DETECTION_DELAY, dissolve_delays
from .shot_distance import shot_distance, thumbnails

BLANK_CONTRAST = 0.02  # standard deviation of luma below which a frame is blank (black, white)
CUT_DISTANCE = 0.04  # `shot_distance` from which on a shot begins, at sensitivity 0.5
SENSITIVITY_RANGE = 16  # that distance at sensitivity 0 to that at 1
MIN_DISSOLVE_GAP = 2 * MAX_DETECTION_DELAY  # pictures after a cut in which no dissolve begins


class _Change(NamedTuple):
    """What changed with a picture that is not blank."""

    picture: Tensor  # thumbnail (1, h, w)
    previous: Tensor  # the last one before it that is not blank
    differs: bool
    dissolve_delay: int  # frames since a dissolve; 0: none


class _Cut(NamedTuple):
    frame: int
    before: Tensor  # the last picture of the old shot


class CutDetector:
    """Finds the first frames of shots in a stream of small luma.

    Call it with ``(n, 1, h, w)`` luma in [0, 1], batches of any size in order: it returns the
    indices, counted from the start of the stream, of the shots found to begin. A hard cut is
    reported with the frame itself; a dissolve (by a frame within it) up to `MAX_DETECTION_DELAY`
    frames later, once it is well under way, if not too much moves in it. A fade begins the new
    shot where the picture comes back. Frame 0 is not reported.

    Frames are compared after compensating motion and exposure, so a pan, a flash, pumping or dirt
    is no cut. ``sensitivity``: 0 (only the plainest cuts) to 1; another raises ``ValueError``.
    ``max_flash``: hold a cut back for this many frames and drop it if the old picture returns
    within them (a flash that burns out most of the picture, a torn frame); ``flush()`` then gives
    what is left at the end.
    """

    def __init__(self, sensitivity: float = 0.5, max_flash: int = 0) -> None:
        if not 0 <= sensitivity <= 1:
            raise ValueError(f"sensitivity is {sensitivity}; choose a value from 0 to 1.")
        self.threshold = CUT_DISTANCE * SENSITIVITY_RANGE ** (0.5 - sensitivity)
        self.max_flash = max_flash
        self.index = 0  # of the next frame
        self.history: Tensor | None = None  # the last thumbnails that are not blank
        self.pictures_since = 0  # a shot was found to begin, or a dissolve to go on
        self.dissolving = False  # whether the last shot found began with a dissolve
        self.pending: _Cut | None = None  # not reported yet

    def __call__(self, luma: Tensor) -> list[int]:
        return sum(self.by_frame(luma), [])

    def by_frame(self, luma: Tensor) -> list[list[int]]:
        """The same, apart for each frame: the shots found to begin once that frame is known."""
        pictures = thumbnails(luma)
        # A blank frame tells nothing: the next picture is compared with the last one before it.
        shown = (~(pictures.flatten(1).std(1) < BLANK_CONTRAST)).nonzero().flatten().tolist()
        changes = dict(zip(shown, self._compare(pictures[shown]), strict=True)) if shown else {}
        return [self._report(changes.get(frame)) for frame in range(len(pictures))]

    def flush(self) -> list[int]:
        """The cut still held back, if any."""
        cuts = [] if self.pending is None else [self.pending.frame]
        self.pending = None
        return cuts

    def _compare(self, pictures: Tensor) -> list[_Change]:
        """What changed with each of the next thumbnails that are not blank."""
        history = pictures[:1] if self.history is None else self.history
        series = torch.cat((history, pictures))
        self.history = series[-HISTORY:]
        previous = series[len(history) - 1 : -1]
        differs = self._differ(pictures, previous).tolist()
        delays = dissolve_delays(series, len(pictures), self.threshold)
        return list(map(_Change, pictures, previous, differs, delays))

    def _report(self, change: _Change | None) -> list[int]:
        """The cuts to be reported with the next frame; a blank one has no ``change``."""
        cuts = []
        if self.pending and self.index > self.pending.frame + self.max_flash:
            cuts += self.flush()
        if change:
            if change.differs:
                cuts += self._begin_shot(change)
            self.pictures_since += 1
            if change.dissolve_delay:
                cuts += self._dissolve(change.dissolve_delay)
        if not self.max_flash:
            cuts += self.flush()
        self.index += 1
        return cuts

    def _begin_shot(self, change: _Change) -> list[int]:
        """Hold this frame's hard cut back; the cut held so far is dropped or given."""
        cuts = []
        if self.pending and not self._differ(change.picture[None], self.pending.before[None]):
            self.pending = None  # the old picture is back
        else:
            cuts = self.flush()
            self.pending = _Cut(self.index, change.previous)
        self.pictures_since, self.dissolving = 0, False
        return cuts

    def _dissolve(self, delay: int) -> list[int]:
        """The first frame of a new shot, unless the dissolve found is the one that goes on."""
        is_new = self.pictures_since > MIN_DISSOLVE_GAP
        if is_new or self.dissolving:
            self.pictures_since, self.dissolving = 0, True
        return [self.index - delay] if is_new else []

    def _differ(self, current: Tensor, previous: Tensor) -> Tensor:
        return shot_distance(current, previous, self.threshold) > self.threshold
