"""Colours that hold still: chroma averaged over time along the motion of the luma."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .color import merge, rgb_to_chroma, rgb_to_luma
from .cuts import CutDetector
from .motion import box, estimate_motion, warp
from .resize import resize

DEFAULT_STABILITY = 0.5
LONGEST = 1000  # frames averaged at stability 1
LEAN = 0.1
SURPRISE = 12


class Steady:
    """Holds chroma still over time where the scene does, and follows it where it moves.

    A recursive average per pixel, carried along by the motion of the luma (as in
    motion-compensated noise reduction). How many frames a pixel averages grows with each frame
    that shows the same surface, up to ``1000 ** stability``; it starts anew where the luma, once
    its exposure is matched, says that something else is there, and it shortens where the
    chroma itself changes for longer than its own flicker explains.

    ``stability``: 0 (the chroma untouched) to 1. Memory does not grow with the length of the clip.
    """

    def __init__(self, stability: float = DEFAULT_STABILITY) -> None:
        if not 0 <= stability <= 1:
            raise ValueError(f"stability is {stability}; choose a value from 0 to 1.")
        self.stability = stability
        self.longest = LONGEST**stability
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the next frame begins a new clip."""
        self.detector = CutDetector()
        self.seen = 0
        self.state: Tensor | None = None

    def __call__(self, chroma: Tensor, luma: Tensor, cuts: Sequence[bool] | None = None) -> Tensor:
        """Steady the next ``chroma`` ``(n, 2, h, w)`` by their ``luma`` ``(n, 1, h, w)``.

        Batches of any size, in order: the size does not change the result. ``cuts`` says for each
        frame whether a shot begins with it; by default the luma is asked (`CutDetector`).
        """
        if self.stability == 0:
            return chroma
        steady = torch.empty_like(chroma)
        for i in range(len(chroma)):
            frame, light = chroma[i : i + 1], luma[i : i + 1]
            begins = self.seen in self.detector(light) if cuts is None else cuts[i]
            if begins or self.state is None:
                self.state = self._begin(frame, light)
            else:
                self.state = self._step(frame, light)
            steady[i] = self.state[0, :2]
            self.seen += 1
        return steady

    # The state's channels: steady chroma (2), reference luma, frames averaged,
    # recent deviation of the chroma (2, signed), its variance
    def _begin(self, chroma: Tensor, luma: Tensor) -> Tensor:
        blank = torch.zeros_like(luma)
        return torch.cat((chroma, luma, blank + 1, blank, blank, blank + 1e-4), dim=1)

    def _step(self, chroma: Tensor, luma: Tensor) -> Tensor:
        flow = estimate_motion(luma, self.state[:, 2:3])
        state = warp(self.state, flow, "bicubic") if flow.any() else self.state
        held, reference, count, lean, variance = state.split((2, 1, 1, 2, 1), dim=1)
        reference = _match_exposure(reference, luma)
        same = _sameness(luma, reference)

        deviation = chroma - held
        # A change that lasts leans to one side; flicker and grain do not.
        lean = lean + LEAN * (deviation - lean)
        variance = variance + LEAN * (deviation.square().sum(1, keepdim=True) - variance)
        expected = variance.clamp(min=1e-6) * LEAN / (2 - LEAN)
        surprise = box(lean, 5).square().sum(1, keepdim=True) / expected
        count = count.clamp(1, self.longest) * same
        count = count / (1 + (surprise - SURPRISE).clamp(min=0) * 0.1)
        count = count + 1
        held = held + deviation / count
        reference = reference + (luma - reference) / count.clamp(max=4)
        lean = lean * same
        return torch.cat((held, reference, count, lean, variance), dim=1)


class Stabilizer:
    """Holds the colours of a film still that any colorizer made, and keeps its luma exactly.

    What changes is computed at ``SHORT_SIDE`` pixels and put on the full-size chroma as a
    correction, so fine detail in the colours stays. Call it with the film's frames in order.
    """

    SHORT_SIDE = 128

    def __init__(self, stability: float = DEFAULT_STABILITY) -> None:
        self.steady = Steady(stability)

    def __call__(self, images: Tensor) -> Tensor:
        """The next frames ``(n, H, W, 3)`` in [0, 1], steadied: same shape and dtype.

        Batches of any size: the size does not change the result. Raises ``ValueError`` for other
        shapes.
        """
        if images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"Frames of shape {tuple(images.shape)} cannot be steadied; they must be "
                "(frames, height, width, 3): remove their alpha channel first."
            )
        if self.steady.stability == 0:
            return images
        result = torch.empty_like(images)
        height, width = images.shape[1:3]
        scale = min(1.0, self.SHORT_SIDE / min(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        for index, image in enumerate(images):
            rgb = image.float().permute(2, 0, 1).unsqueeze(0)
            luma, chroma = rgb_to_luma(rgb), rgb_to_chroma(rgb)
            small = resize(chroma, size)
            correction = self.steady(small, resize(luma, size)) - small
            steady = merge(luma, chroma + resize(correction, (height, width)))
            result[index] = steady.squeeze(0).permute(1, 2, 0)
        return result


def _match_exposure(reference: Tensor, luma: Tensor) -> Tensor:
    """``reference`` at the exposure of ``luma``: gain and offset fitted by regions, smoothly."""
    size = luma.shape[2:]
    quarter = [max(1, side // 4) for side in size]
    small = [interpolate(x, quarter, mode="area") for x in (reference, luma)]
    weight = torch.ones_like(small[0])
    for _ in range(2):
        gain, offset = _fit(*small, weight)
        error = (small[1] - gain * small[0] - offset).abs()
        weight = 1 / (1 + (error / 0.03).square())
    gain, offset = _fit(*small, weight)
    return reference * interpolate(gain, size, mode="bilinear") + interpolate(
        offset, size, mode="bilinear"
    )


def _fit(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    moments = torch.cat((weight, weight * x, weight * y, weight * x * x, weight * x * y), dim=1)
    w, wx, wy, wxx, wxy = box(moments, 2 * (min(x.shape[2:]) // 4) + 1).split(1, 1)
    x, y, xx, xy = wx / w, wy / w, wxx / w, wxy / w
    # Little contrast says little about gain: lean towards 1.
    gain = (xy - x * y + 1e-3) / (xx - x * x + 1e-3)
    return gain, y - gain * x


def _sameness(luma: Tensor, reference: Tensor) -> Tensor:
    """1 where both luma show the same surface, 0 where they do not, by the frame's own noise."""
    error = luma - reference
    noise = error.abs().median() * 1.4826 + 0.004
    edges = (box(reference, 3) - reference).abs()
    distance = box(error.square(), 3).sqrt() / (noise + box(edges, 3) / 2)
    return (2.0 - distance / 1.2).clamp(0, 1)
