"""Where one shot ends and the next begins, told from small luma while the frames stream by."""

from collections import deque

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from .motion import box

THUMB = (24, 32)  # rows, columns
REACH = 3  # thumb pixels that a block may have moved from one frame to the next
BLANK = 0.02  # standard deviation of luma below which a frame shows nothing (black, white)
CONTRAST = 0.18  # standard deviation of luma in an ordinary picture
THRESHOLD = 0.04  # of `difference`, at sensitivity 0.5
DISSOLVE = 8  # frames from the middle of a dissolve to where its pictures are compared


class CutDetector:
    """Finds the first frames of shots in a stream of small luma.

    Call it with ``(n, 1, h, w)`` luma in [0, 1], batches of any size in order: it returns the
    indices, counted from the start of the stream, of the shots found to begin. A hard cut is
    reported with the frame itself; a dissolve (by a frame within it) some frames later, once it is
    well under way. A fade begins the new shot where the picture comes back. Frame 0 is not
    reported.

    Frames are compared after compensating motion and exposure, so a pan, a flash, pumping or dirt
    is no cut. ``sensitivity``: 0 (only the plainest cuts) to 1. ``lookahead``: hold a cut back for
    this many frames and drop it if the old picture returns within them (a flash that burns out
    most of the picture, a torn frame); then ``flush()`` gives what is left at the end.
    """

    def __init__(self, sensitivity: float = 0.5, lookahead: int = 0) -> None:
        if not 0 <= sensitivity <= 1:
            raise ValueError(f"sensitivity is {sensitivity}; choose a value from 0 to 1.")
        self.threshold = THRESHOLD * 16 ** (0.5 - sensitivity)
        self.lookahead = lookahead
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next frame is number 0."""
        self.index = 0
        self.last: Tensor | None = None
        self.held: tuple[int, Tensor] | None = None  # a cut not yet reported, the picture before it
        self.recent: deque[Tensor] = deque(maxlen=2 * DISSOLVE + 1)

    def __call__(self, luma: Tensor) -> list[int]:
        return [cut for thumb in adaptive_avg_pool2d(luma, THUMB) for cut in self._see(thumb)]

    def flush(self) -> list[int]:
        """The cut still held back, if any."""
        cuts = [] if self.held is None else [self.held[0]]
        self.held = None
        return cuts

    def _see(self, thumb: Tensor) -> list[int]:
        cuts = []
        if self.held and self.index > self.held[0] + self.lookahead:
            cuts += self.flush()
        # A blank frame says nothing: the next picture is compared with the last one before it.
        if thumb.std() >= BLANK:
            if self.last is not None and difference(thumb, self.last) > self.threshold:
                if self.held and difference(thumb, self.held[1]) <= self.threshold:
                    self.held = None
                    self.recent.clear()
                else:
                    cuts += self.flush()
                    self.held = self.index, self.last
                    self.recent.clear()
            self.last = thumb
            self.recent.append(thumb)
            if self._dissolved():
                cuts.append(self.index - DISSOLVE)
                self.recent.clear()
        if not self.lookahead:
            cuts += self.flush()
        self.index += 1
        return cuts

    def _dissolved(self) -> bool:
        """Whether the middle of the recent frames is a mix of the first and the last of them."""
        if len(self.recent) < self.recent.maxlen:
            return False
        before, middle, after = (
            self.recent[i].flatten() - self.recent[i].mean() for i in (0, DISSOLVE, 2 * DISSOLVE)
        )
        shares = torch.linalg.lstsq(torch.stack((before, after), 1), middle[:, None]).solution
        rest = middle - torch.stack((before, after), 1) @ shares[:, 0]
        return (
            shares.min() > 0.3
            and shares.max() < 0.7
            and rest.square().mean() < 0.04 * middle.square().mean()
            and difference(self.recent[2 * DISSOLVE], self.recent[0]) > self.threshold
        )


def difference(now: Tensor, before: Tensor) -> float:
    """How unlike two thumbs ``(1, h, w)`` are: 0 (the same scene) to about 0.5.

    The product of two measures that err in different places: the share of the new picture's
    variance that the old one, its blocks moved and its exposure matched, does not explain, and the
    plain mean difference at one contrast. (Fast motion raises the first, a flash the second, a cut
    both.)
    """
    height, width = now.shape[1:]
    texture, old_texture = now - box(now, 7), before - box(before, 7)
    texture = texture / (texture.square().mean().sqrt() + 0.003)
    old_texture = old_texture / (old_texture.square().mean().sqrt() + 0.003)

    def moves(x: Tensor) -> Tensor:
        x = pad(x, (REACH,) * 4, mode="replicate")[0]
        return x.unfold(0, height, 1).unfold(1, width, 1).flatten(0, 1)

    best = box((moves(old_texture) - texture).square().unsqueeze(1), 3).squeeze(1).argmin(0)
    moved = moves(before).gather(0, best.unsqueeze(0)).flatten()
    moved, target = moved - moved.mean(), now.flatten() - now.mean()
    variance = target.square().mean()
    shared = (moved * target).mean().clamp(min=0).square() / (moved.square().mean() + 1e-6)
    unexplained = (variance - shared) / (variance + 4e-4)
    plain = (_even(now) - _even(before)).abs().mean()
    return float(unexplained * plain)


def _even(thumb: Tensor) -> Tensor:
    """``thumb`` at a common exposure, so that the end of a fade counts like a picture in full."""
    return (thumb - thumb.mean()) * (CONTRAST / thumb.std().clamp(min=CONTRAST / 3))
