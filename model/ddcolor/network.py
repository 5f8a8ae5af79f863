"""DDColor behind the door of `ChromaModel`: aspect kept, batches, its own input size."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...callbacks import Check
from ...options import ColorOptions
from ..color import rgb_to_chroma
from ..resize import resize, scaled
from .lab import grey_to_lightness, lab_to_rgb

INPUT_AREA = 512 * 512  # px, of the published command line
MULTIPLE = 32  # px a side: the encoder halves five times
BATCH_AREA = 2 * INPUT_AREA  # px that go at once on a CPU, and are asked of a host
BYTES_PER_PIXEL = 3500  # at the peak in float32 on a CPU: `benchmarks.ddcolor`


class DDColorNetwork(nn.Module):
    """A DDColor ``network`` of spandrel; ``metadata`` is what its file says."""

    teachable = False
    detailed = True

    def __init__(self, network: nn.Module, metadata: dict[str, str]) -> None:
        super().__init__()
        self.ddcolor = network
        self.metadata = metadata

    def chroma_model(
        self, options: ColorOptions, device: torch.device | str = "cpu", *, film: bool = False
    ) -> DDColorModel:
        """The network as ``options`` say, on ``device``; film is looked at as pictures are."""
        return DDColorModel(self.ddcolor, options, torch.device(device))

    def memory_required(
        self, options: ColorOptions, count: int, height: int, width: int, *, film: bool = False
    ) -> int:
        """Bytes that a device needs for ``count`` pictures of ``height`` x ``width`` at a time."""
        area = math.prod(input_size(options, height, width))
        return min(max(BATCH_AREA, area), count * area) * BYTES_PER_PIXEL


def input_size(options: ColorOptions, height: int, width: int) -> tuple[int, int]:
    """The picture's size with DDColor's input area, or as its short side is chosen.

    Never larger than the picture.
    """
    if options.render_size is None:
        scale = math.sqrt(INPUT_AREA / (height * width))
    else:
        scale = options.render_size / min(height, width) if options.render_size else 1.0
    return scaled((height, width), min(1.0, scale))


class DDColorModel:
    """A `ChromaModel`: small luma in, the chroma of DDColor's a* and b* out."""

    def __init__(self, network: nn.Module, options: ColorOptions, device: torch.device) -> None:
        self.device = device
        self._options = options
        # Its authors' weights overflow in float16; bfloat16 has float32's range.
        half = device.type == "cuda" and options.precision in ("auto", "fp16", "bf16")
        reduced = torch.bfloat16 if half and torch.cuda.is_bf16_supported() else torch.float32
        self._dtype = torch.bfloat16 if options.precision == "bf16" else reduced
        self._network = network.to(device)
        self._together = 1 << 30

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width at which such a picture is looked at."""
        return input_size(self._options, height, width)

    @torch.no_grad()
    def chroma(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """The chroma ``(B, 2, h, w)`` float32 of small ``luma`` ``(B, 1, h, w)``, saturated."""
        return rgb_to_chroma(self.rgb(luma, check)).mul_(self._options.gain)

    @torch.no_grad()
    def rgb(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """The picture ``(B, 3, h, w)`` in the luma's lightness; strong colours leave [0, 1]."""
        luma = luma.to(self.device, torch.float32)
        ab = self.predict_ab(luma, check)
        return lab_to_rgb(grey_to_lightness(luma), ab)

    @torch.no_grad()
    def predict_ab(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """CIE a*, b* ``(B, 2, h, w)`` of ``luma`` ``(B, 1, h, w)``, as the network gives them."""
        size = luma.shape[-2:]
        inner = tuple(max(1, round(side / MULTIPLE)) * MULTIPLE for side in size)
        seen = resize(luma, inner).clamp_(0, 1)
        parts: list[Tensor] = []
        done = 0
        while done < len(seen):
            if check:
                check()
            batch = seen[done : done + self._batch(seen)]
            try:
                parts.append(self._run(batch.expand(-1, 3, -1, -1)))
            except RuntimeError as error:  # torch has no class for it common to all devices
                if "memory" not in str(error) or len(batch) == 1:
                    raise
                self._together = len(batch) // 2
                continue
            done += len(batch)
        return resize(torch.cat(parts), size)

    def _run(self, rgb: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32):
            return self._network(rgb).float()

    def _batch(self, luma: Tensor) -> int:
        return max(1, min(self._together, BATCH_AREA // math.prod(luma.shape[-2:])))
