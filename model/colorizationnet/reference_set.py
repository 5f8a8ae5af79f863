"""What is taught: coloured references at the sizes at which the network looks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..color import rgb_to_chroma, rgb_to_luma
from ..resize import resize
from ..strokes import shrink_painted

SCALES = (0.9, 0.95, 1.0, 1.05, 1.1)  # of the render size
UNIT_SCALE = SCALES.index(1.0)
BLOCK = 6  # side of a held-out block, in pixels at the render size
STROKE_BLOCK = 2  # the same where only a part is reference: smaller than most of what is painted
HELD_OUT = 0.125  # of the blocks
CROPPED = 0.3  # of the views shown are cropped, since a moving camera moves the border
CROP = 0.2  # of the short side, at most, at each border
COLOURLESS = 1 / 255  # largest chroma of a picture that has none


@dataclass(frozen=True)
class View:
    """A reference at one size: ``luma``, ``chroma``, ``weight`` and ``held_out``, ``(1, c, h, w)``.

    ``weight`` says how much of a pixel is reference, 0 to 1; ``held_out`` is 1 where the pixel is
    kept for validation, to see how well the rest was understood.
    """

    luma: Tensor
    chroma: Tensor
    weight: Tensor
    held_out: Tensor
    in_part: bool

    def crop(self, top: int, bottom: int, left: int, right: int) -> "View":
        """The view without so many pixels at its borders."""
        height, width = self.luma.shape[-2:]
        return self._cut(slice(top, height - bottom), slice(left, width - right))

    def parity(self, index: int) -> "View":
        """One pixel of every 2x2, which is all that the network's dilated filters see at once."""
        return self._cut(slice(index // 2, None, 2), slice(index % 2, None, 2))

    def _cut(self, rows: slice, columns: slice) -> "View":
        planes = (self.luma, self.chroma, self.weight, self.held_out)
        luma, chroma, weight, held_out = (plane[..., rows, columns] for plane in planes)
        return View(luma, chroma, weight, held_out, self.in_part)


class ReferenceSet:
    """References as views; ``views[reference][scale]`` holds them at ``SCALES``."""

    def __init__(
        self,
        references: Sequence[Tensor],
        masks: Sequence[Tensor | None],
        render_size: int,
        device: torch.device,
        random: torch.Generator,
    ) -> None:
        self.views = []
        for reference, mask in zip(references, masks, strict=True):
            rgb = reference.permute(2, 0, 1).to(device, torch.float32, copy=True).clamp_(0, 1)
            weight = torch.ones_like(rgb[:1]) if mask is None else mask.to(rgb, copy=True)[None]
            height, width = weight.shape[1:]
            shrink = min(1.0, render_size / min(height, width))
            sizes = [(_scaled(height, shrink * s), _scaled(width, shrink * s)) for s in SCALES]
            block = BLOCK if mask is None else STROKE_BLOCK
            held = _held_blocks(sizes[UNIT_SCALE], block, random).to(device)
            luma, painted = rgb_to_luma(rgb), rgb_to_chroma(rgb) * weight
            self.views.append([_view(luma, painted, weight, held, size) for size in sizes])

    def sample(self, random: torch.Generator) -> View:
        """One parity of one reference at one of its sizes, now and then cropped."""
        views = self.views[_choice(len(self.views), random)]
        view = views[_choice(len(views), random)].parity(_choice(4, random))
        if torch.rand((), generator=random) < CROPPED:
            most = 1 + int(CROP * min(view.luma.shape[-2:]))
            view = view.crop(*(_choice(most, random) for _ in range(4)))
        return view

    def validation_views(self, most: int = 16) -> list[View]:
        """The parities of the references on whose held-out blocks the network is measured.

        A few strokes may all have been spared; then they are what it is measured on.
        """
        chosen = [views[UNIT_SCALE] for views in self.views[:: -(-len(self.views) // most)]]
        parities = max(1, 4 // len(chosen))
        if not any((view.weight * view.held_out).any() for view in chosen):
            chosen = [replace(view, held_out=torch.ones_like(view.held_out)) for view in chosen]
        return [view.parity(index) for view in chosen for index in range(parities)]


def _scaled(side: int, scale: float) -> int:
    return max(2, round(side * scale))


def _choice(count: int, random: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=random))


def _held_blocks(size: tuple[int, int], block: int, random: torch.Generator) -> Tensor:
    """``(1, rows, columns)`` blocks of ``size``, 1 where held out."""
    rows, columns = (max(1, length // block) for length in size)
    order = torch.randperm(rows * columns, generator=random)
    return (order < rows * columns * HELD_OUT).float().view(1, rows, columns)


def _view(
    luma: Tensor, painted: Tensor, weight: Tensor, held: Tensor, size: tuple[int, int]
) -> View:
    chroma, weight = shrink_painted(painted, weight, size)
    return View(
        resize(luma, size).clamp_(0, 1)[None],
        chroma[None],
        weight[None],
        interpolate(held[None], size, mode="nearest"),
        bool(weight.min() < 0.999),
    )
