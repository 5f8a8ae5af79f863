"""ColorizationNet as a chroma model: at which size it looks, how often, and with what gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...callbacks import Check
from ...options import ColorOptions
from ..clean import clean
from ..color import rgb_to_chroma
from ..resize import resize, scaled, short_side_scale
from .engine import Engine, choose_dtype, memory_used
from .restraint import restrain

DEFAULT_RENDER_SIZE = 48  # px, of weights that do not say
BEST_SCALES = (2 / 3, 4 / 3, 7 / 3)  # of the render size: at what sizes "best" looks
SINGLE_LOOK = 0.9  # of the gain that suits the mean of looks, which is paler than each


@dataclass(frozen=True)
class _View:
    """What `ColorOptions` come to for weights with their metadata."""

    render_size: int
    quality: str
    gain: float
    tint: float
    clean: bool

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        size = height, width
        side = self.render_size * (BEST_SCALES[-1] if self.quality == "best" else 1)
        scale = min(1.0, short_side_scale(size, side)) if side else 1.0
        return scaled(size, scale if self.quality == "full" else scale / 2)


def _view(metadata: Mapping[str, str], options: ColorOptions, film: bool) -> _View:
    render_size = options.render_size
    if render_size is None:
        render_size = int(metadata.get("render_size", DEFAULT_RENDER_SIZE))
    quality = options.quality
    if quality == "auto":
        # In network mode the output is the whole network's, whatever suits the merge.
        quality = metadata.get("quality", "full") if options.mode == "merge" else "full"
        if quality == "best" and film:
            quality = "fast"
    gain = options.gain * float(metadata.get("saturation", 1))
    if metadata.get("quality") == "best" != quality:
        gain *= SINGLE_LOOK
    tint = float(metadata.get("tint", 1))
    if options.look == "vivid":
        tint = (1 + tint) / 2
    return _View(render_size, quality, gain, tint, metadata.get("clean") == "yes")


class Predictor:
    """The `ChromaModel` of ColorizationNet's four ``layers``, by ``options``, on ``device``.

    ``memory``: bytes that the work may take, see `Engine`.
    """

    def __init__(
        self,
        layers: Sequence[nn.Conv2d],
        metadata: Mapping[str, str],
        options: ColorOptions,
        device: torch.device,
        film: bool,
        memory: int | None = None,
    ) -> None:
        self.device = device
        self._view = _view(metadata, options, film)
        self._engine = Engine(layers, device, choose_dtype(options.precision, device), memory)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a picture of this height and width, at the most."""
        return self._view.input_size(height, width)

    @torch.no_grad()
    def chroma(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """The chroma ``(B, 2, h, w)`` of small ``luma`` ``(B, 1, h, w)``.

        It is cleaned and restrained as the weights ask, by their metadata, and has their gain.
        ``check`` is called several times a second; what it raises ends the work.
        """
        luma = luma.to(self.device, torch.float32)
        chroma = rgb_to_chroma(self.rgb(luma, check))
        if self._view.clean:
            chroma = clean(chroma, luma)
        if self._view.tint != 1:
            chroma = restrain(chroma, self._view.tint)
        return chroma.mul_(self._view.gain)

    @torch.no_grad()
    def rgb(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """The network's RGB ``(B, 3, h, w)`` of small ``luma`` ``(B, 1, h, w)``."""
        luma = luma.to(self.device, torch.float32)
        # Telecined and animated film, and title cards, repeat whole frames.
        fresh = torch.ones(len(luma), dtype=torch.bool, device=luma.device)
        fresh[1:] = (luma[1:] != luma[:-1]).flatten(1).any(1)
        rgb = self._run(luma[fresh], check)
        return rgb if len(rgb) == len(luma) else rgb[fresh.cumsum(0) - 1]

    def _run(self, luma: Tensor, check: Check | None) -> Tensor:
        if self._view.quality == "full":
            return self._engine.full(luma, check)
        if self._view.quality == "fast":
            return self._engine.parity(luma, check)
        size = luma.shape[2:]
        largest = self._view.render_size * BEST_SCALES[-1] / 2 or min(size)
        sizes = {
            # What is smaller than the render size is looked at once where it would be enlarged.
            scaled(size, min(1.0, short_side_scale(size, scale / BEST_SCALES[-1] * largest)))
            for scale in BEST_SCALES
        }
        predictions = [
            resize(self._engine.parity(resize(luma, size_).clamp_(0, 1), check), size)
            for size_ in sorted(sizes)
        ]
        return torch.stack(predictions).mean(0)


def memory_required(
    metadata: Mapping[str, str],
    options: ColorOptions,
    count: int,
    height: int,
    width: int,
    film: bool,
) -> int:
    """Bytes that a device other than the CPU needs for ``count`` pictures at a time.

    In float32, as the precision may be left to the host.
    """
    view = _view(metadata, options, film)
    size = view.input_size(height, width)
    if view.quality != "full":  # one parity, the network without its dilation
        size = 2 * size[0], 2 * size[1]
    return memory_used(count, *size, torch.float32)
