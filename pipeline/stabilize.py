"""Colours of any colorizer that hold still, at full size."""

from collections import deque

from torch import Tensor

from ..model.color import merge, rgb_to_chroma, rgb_to_luma
from ..model.resize import resize, scaled
from ..model.temporal.steady import DEFAULT_STABILITY, Steady


class Stabilizer:
    """Holds the colours of a film still that any colorizer made, and keeps its luma exactly.

    What changes is computed at ``SHORT_SIDE`` pixels and put on the full-size chroma as a
    correction, so fine detail in the colours stays. Call it with the film's frames in order, and
    `finish` at the end: frames come out `steady.LOOK_AHEAD` frames late.
    """

    SHORT_SIDE = 128

    def __init__(self, stability: float = DEFAULT_STABILITY) -> None:
        self.steady = Steady(stability, detailed=True)
        self.waiting: deque[tuple[Tensor, Tensor]] = deque()  # frames and their small chroma

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Take the next frames ``(n, H, W, 3)`` in [0, 1]; give those that are ready by now.

        They come in order, ``(H, W, 3)`` each and of the input's dtype. Batches of any size: the
        size does not change the result. Raises ``ValueError`` for other shapes.
        """
        if images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"Frames of shape {tuple(images.shape)} cannot be steadied; they must be "
                "(frames, height, width, 3): remove their alpha channel first."
            )
        if self.steady.stability == 0:
            return list(images)
        full = images.shape[1:3]
        size = scaled(full, min(1.0, self.SHORT_SIDE / min(full)))
        ready = []
        for image in images:
            rgb = resize(image.float().permute(2, 0, 1).unsqueeze(0), size)
            chroma = rgb_to_chroma(rgb)
            self.waiting.append((image, chroma))
            ready += self._corrected(self.steady(chroma, rgb_to_luma(rgb)))
        return ready

    def finish(self) -> list[Tensor]:
        """The frames that are left, as a call gives them; the next frame begins a new film."""
        return self._corrected(self.steady.finish())

    def _corrected(self, steadied: list[Tensor]) -> list[Tensor]:
        return [self._correct(*self.waiting.popleft(), chroma) for chroma in steadied]

    def _correct(self, image: Tensor, small: Tensor, steadied: Tensor) -> Tensor:
        rgb = image.float().permute(2, 0, 1).unsqueeze(0)
        correction = resize(steadied - small, image.shape[:2])
        steady = merge(rgb_to_luma(rgb), rgb_to_chroma(rgb) + correction)
        return steady.squeeze(0).permute(1, 2, 0).to(image.dtype)
