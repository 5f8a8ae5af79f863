"""Where one shot ends and the next begins, told from small luma while the frames stream by."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from .motion import box

THUMB = (24, 32)  # rows, columns
REACH = 3  # thumb pixels that a block may have moved from one frame to the next
BLANK = 0.02  # standard deviation of luma below which a frame shows nothing (black, white)
CONTRAST = 0.18  # standard deviation of luma in an ordinary picture
THRESHOLD = 0.04  # of `differences`, at sensitivity 0.5
HALVES = (4, 8, 12)  # frames from within a dissolve to those each side that mix in it
LATEST = HALVES[-1]  # frames after the one reported that a dissolve may be found
SHARE = 0.3  # of each of the two pictures in the middle, at least
REST = 0.15  # of the middle's variance may be of neither
DIP = 0.85  # variance of the middle to that of the two: at most, for two pictures' mix is flatter


class CutDetector:
    """Finds the first frames of shots in a stream of small luma.

    Call it with ``(n, 1, h, w)`` luma in [0, 1], batches of any size in order: it returns the
    indices, counted from the start of the stream, of the shots found to begin. A hard cut is
    reported with the frame itself; a dissolve (by a frame within it) some frames later, once it is
    well under way, if not too much moves in it. A fade begins the new shot where the picture comes
    back. Frame 0 is not reported.

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
        self.recent: Tensor | None = None  # the last thumbs that show something
        self.since = 0  # such thumbs since a shot was found to begin, or a dissolve to go on
        self.dissolving = False  # whether the last shot found began with a dissolve
        self.held: tuple[int, Tensor] | None = None  # a cut not yet reported, the picture before it

    def __call__(self, luma: Tensor) -> list[int]:
        return sum(self.by_frame(luma), [])

    def by_frame(self, luma: Tensor) -> list[list[int]]:
        """The same cuts, each in the list of the frame that tells of it."""
        thumbs = adaptive_avg_pool2d(luma, THUMB)
        # A blank frame says nothing: the next picture is compared with the last one before it.
        blank = (thumbs.flatten(1).std(1) < BLANK).tolist()
        shown = thumbs[[not b for b in blank]]
        frames = iter(self._compare(shown) if len(shown) else ())
        return [self._see(None if b else next(frames)) for b in blank]

    def flush(self) -> list[int]:
        """The cut still held back, if any."""
        cuts = [] if self.held is None else [self.held[0]]
        self.held = None
        return cuts

    def _compare(self, thumbs: Tensor) -> list[tuple[Tensor, Tensor, bool, int]]:
        """Of each thumb: itself, the one before, whether they differ, frames since a dissolve.

        0 if it shows none.
        """
        recent = thumbs[:1] if self.recent is None else self.recent
        series = torch.cat((recent, thumbs))
        self.recent = series[-2 * LATEST :]
        before = series[len(recent) - 1 : -1]
        differ = self._differ(thumbs, before).tolist()
        since = self._dissolves(series, len(thumbs))
        return list(zip(thumbs, before, differ, since, strict=True))

    def _see(self, frame: tuple[Tensor, Tensor, bool, int] | None) -> list[int]:
        cuts = []
        if self.held and self.index > self.held[0] + self.lookahead:
            cuts += self.flush()
        if frame:
            thumb, before, differs, dissolved = frame
            if differs:
                if self.held and not self._differ(thumb[None], self.held[1][None]):
                    self.held = None
                else:
                    cuts += self.flush()
                    self.held = self.index, before
                self.since, self.dissolving = 0, False
            self.since += 1
            new = self.since > 2 * LATEST
            if dissolved and (new or self.dissolving):  # as long as it goes on, it is the same
                if new:
                    cuts.append(self.index - dissolved)
                self.since, self.dissolving = 0, True
        if not self.lookahead:
            cuts += self.flush()
        self.index += 1
        return cuts

    def _differ(self, now: Tensor, before: Tensor) -> Tensor:
        return differences(now, before, self.threshold) > self.threshold

    def _dissolves(self, series: Tensor, count: int) -> list[int]:
        """How many frames before each of the last ``count`` thumbs one lies within a dissolve.

        0 if there is none. It is flatter than the thumbs so far to both sides, which differ, and a
        mix of the two.
        """
        since = [0] * count
        even, deviation = _even(series), series.flatten(1).std(1)
        for half in HALVES:
            found = min(count, len(series) - 2 * half)
            if found <= 0:
                break
            ends = [len(series) - places * half for places in (2, 1, 0)]
            before, middle, after = (slice(end - found, end) for end in ends)
            flatter = _flatter(deviation[before], deviation[middle], deviation[after])
            differ = (even[after] - even[before]).abs().mean((1, 2, 3)) > self.threshold
            likely = (flatter & differ).nonzero().flatten()
            if len(likely):
                mixes = self._are_mixes(*(series[end - found + likely] for end in ends))
                for i in likely[mixes].tolist():
                    since[i - found] = since[i - found] or half
        return since

    def _are_mixes(self, before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
        """Where least squares finds even shares of two unlike thumbs in a third, and no more."""
        before, after = _panned(before, middle), _panned(after, middle)
        x, y, z = (t.flatten(1) - t.mean((1, 2, 3))[:, None] for t in (before, middle, after))
        pairs = torch.stack((x, z), dim=2)
        shares = torch.linalg.lstsq(pairs, y.unsqueeze(2)).solution
        rest = (y - (pairs @ shares).squeeze(2)).norm(dim=1) / y.norm(dim=1)
        even = shares.amin((1, 2)) > SHARE
        mixed = even & (rest.square() < REST) & _flatter(x.std(1), y.std(1), z.std(1))
        likely = mixed.nonzero().flatten()
        if len(likely):
            mixed[likely] = self._differ(after[likely], before[likely])
        return mixed


def _flatter(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
    """Whether a deviation of luma is below that of the two around, as a mix of pictures is."""
    return middle.square() < DIP * (before.square() + after.square()) / 2


def _panned(thumbs: Tensor, targets: Tensor) -> Tensor:
    """Each thumb moved as a whole, up to ``REACH`` pixels, to be most like its target."""
    views = _moves(thumbs)
    centred = (views - views.mean((2, 3), keepdim=True)).flatten(2)
    likeness = (centred @ targets.flatten(1).unsqueeze(2)).squeeze(2) / (centred.norm(dim=2) + 1e-6)
    return views[torch.arange(len(views)), likeness.argmax(1)].unsqueeze(1)


def _moves(thumbs: Tensor) -> Tensor:
    """Thumbs ``(n, 1, h, w)`` moved by up to ``REACH`` pixels each way: ``(n, moves, h, w)``."""
    height, width = thumbs.shape[2:]
    wide = pad(thumbs, (REACH,) * 4, mode="replicate")[:, 0]
    return wide.unfold(1, height, 1).unfold(2, width, 1).flatten(1, 2)


def differences(now: Tensor, before: Tensor, least: float) -> Tensor:
    """How unlike thumbs ``(n, 1, h, w)`` are: 0 (the same scene) to about 0.5, one a pair.

    The product of two measures that err in different places: the share of the new picture's
    variance that the old one, its blocks moved and its exposure matched, does not explain, and the
    plain mean difference at one contrast. (Fast motion raises the first, a flash the second, a cut
    both.) The first is at most 1 and costs more: it is left at 1 where the second is below
    ``least``.
    """
    result = (_even(now) - _even(before)).abs().mean((1, 2, 3))
    doubtful = (result > least).nonzero().flatten()
    if len(doubtful):
        result[doubtful] *= _unexplained(now[doubtful], before[doubtful])
    return result


def _unexplained(now: Tensor, before: Tensor) -> Tensor:
    def texture(x: Tensor) -> Tensor:
        detail = x - box(x, 7)
        return detail / (detail.square().mean((1, 2, 3), keepdim=True).sqrt() + 0.003)

    best = box((_moves(texture(before)) - texture(now)).square(), 3).argmin(1, keepdim=True)
    moved = _moves(before).gather(1, best).flatten(1)
    target = now.flatten(1)
    moved, target = moved - moved.mean(1, keepdim=True), target - target.mean(1, keepdim=True)
    variance = target.square().mean(1)
    shared = (moved * target).mean(1).clamp(min=0).square() / (moved.square().mean(1) + 1e-6)
    return (variance - shared) / (variance + 4e-4)


def _even(thumbs: Tensor) -> Tensor:
    """``thumbs`` at a common exposure, so that the end of a fade counts like a picture in full."""
    deviation = thumbs.flatten(1).std(1).view(-1, 1, 1, 1)
    return (thumbs - thumbs.mean((1, 2, 3), keepdim=True)) * (
        CONTRAST / deviation.clamp(min=CONTRAST / 3)
    )
