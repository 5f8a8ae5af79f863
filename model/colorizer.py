"""From grey pictures to colour ones: see small, merge at full size."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .color import merge, rgb_to_chroma, rgb_to_luma
from .engine import PRECISIONS, Engine
from .network import ColorizationNet

DEFAULT_RENDER_SIZE = 224
DEFAULT_SATURATION = 1.0
QUALITIES = ("full", "fast")
MODES = ("merge", "network")


class Colorizer:
    """Gives pictures the network's colours and keeps their luma exactly.

    ``render_size``: short side in pixels at which the network looks (0: the source's own size).
    Smaller shows it more of the scene at once; a smaller picture is never enlarged.
    ``strength``: 0 (the input unchanged) to 1 (all colour from the network).
    ``saturation``: gain on the network's chroma, 0 and up.
    ``quality``: ``"full"`` runs the whole network, ``"fast"`` one pixel parity of it on a half-size
    picture, for a quarter of the work.
    ``precision``: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"auto"`` (fp32 on the CPU, fp16 on CUDA).
    ``mode``: ``"merge"``, or ``"network"`` for the network's own RGB without the source's luma.
    """

    def __init__(
        self,
        network: ColorizationNet,
        *,
        render_size: int = DEFAULT_RENDER_SIZE,
        strength: float = 1.0,
        saturation: float = DEFAULT_SATURATION,
        quality: str = "full",
        precision: str = "auto",
        mode: str = "merge",
        device: torch.device | str = "cpu",
    ) -> None:
        if quality not in QUALITIES:
            raise ValueError(f"quality is {quality!r}; choose one of {', '.join(QUALITIES)}.")
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; choose one of {', '.join(MODES)}.")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength}; choose a value from 0 to 1.")
        if saturation < 0 or render_size < 0:
            raise ValueError("saturation and render_size cannot be negative.")
        self.render_size, self.quality, self.mode = render_size, quality, mode
        self.strength, self.saturation = strength, saturation
        self.device = torch.device(device)
        self.engine = Engine(network, self.device, choose_dtype(precision, self.device))

    def __call__(
        self,
        images: Tensor,
        mask: Tensor | None = None,
        on_frame: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """Colorize ``images`` ``(B, H, W, 3)`` in [0, 1]; the result has their shape and dtype.

        ``mask`` ``(B or 1, h, w)`` in [0, 1] says where the colour goes; another size than the
        images' is stretched to theirs. ``on_frame`` hears how many frames are newly done and sees
        the last of them, ``(H, W, 3)``; what it raises ends the work. Raises ``ValueError`` for
        other shapes.
        """
        if images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"Images of shape {tuple(images.shape)} cannot be coloured; they must be "
                "(batch, height, width, 3): make grey or transparent pictures RGB first."
            )
        if self.strength == 0 or images.numel() == 0:
            return images
        mask = _fit_mask(mask, images)
        result = torch.empty_like(images)
        for index, image in enumerate(images):
            weight = None if mask is None else mask[index if len(mask) > 1 else 0]
            result[index] = self._colorize(image, weight)
            if on_frame:
                on_frame(1, result[index])
        return result

    def _colorize(self, image: Tensor, mask: Tensor | None) -> Tensor:
        rgb = image.to(self.device, torch.float32).permute(2, 0, 1).unsqueeze(0)
        luma = rgb_to_luma(rgb)
        if self.mode == "network":
            colored = _resize(self.render(luma), luma.shape[2:]).clamp_(0, 1)
        else:
            colored = merge(luma, _resize(self.see(luma), luma.shape[2:]))
        if mask is not None:
            colored = torch.lerp(rgb, colored, self.strength * mask.to(rgb))
        elif self.strength < 1:
            colored = torch.lerp(rgb, colored, self.strength)
        return colored[0].permute(1, 2, 0)

    def see(self, luma: Tensor) -> Tensor:
        """The small chroma ``(B, 2, h, w)`` of full-size ``luma`` ``(B, 1, H, W)``, saturated."""
        return self.see_small(self.shrink(luma))

    def see_small(self, small: Tensor) -> Tensor:
        """The chroma ``(B, 2, h, w)`` of ``small`` luma ``(B, 1, h, w)``, saturated."""
        return rgb_to_chroma(self._run(small)).mul_(self.saturation)

    def render(self, luma: Tensor) -> Tensor:
        """The network's RGB ``(B, 3, h, w)`` at render size of full-size ``luma``."""
        return self._run(self.shrink(luma))

    def shrink(self, luma: Tensor) -> Tensor:
        """Full-size ``luma`` ``(B, 1, H, W)`` at ``small_size``."""
        size = self.small_size(*luma.shape[2:])
        return luma if size == luma.shape[2:] else _resize(luma, size).clamp_(0, 1)

    def small_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a picture of this height and width."""
        scale = min(1.0, self.render_size / min(height, width)) if self.render_size else 1.0
        if self.quality == "fast":
            scale /= 2
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _run(self, small: Tensor) -> Tensor:
        return self.engine.parity(small) if self.quality == "fast" else self.engine.full(small)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype that ``precision`` means on ``device``."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; choose auto, {', '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def _resize(planes: Tensor, size: tuple[int, int]) -> Tensor:
    if planes.shape[2:] == torch.Size(size):
        return planes
    return interpolate(planes, size, mode="bicubic", antialias=True)


def _fit_mask(mask: Tensor | None, images: Tensor) -> Tensor | None:
    if mask is None:
        return None
    mask = mask if mask.ndim == 3 else mask.reshape(-1, *mask.shape[-2:])
    if len(mask) not in (1, len(images)):
        raise ValueError(
            f"There are {len(mask)} masks for {len(images)} images; give one for all or one each."
        )
    mask = mask.unsqueeze(1).float().clamp(0, 1)
    if mask.shape[2:] != images.shape[1:3]:
        mask = interpolate(mask, images.shape[1:3], mode="bilinear")
    return mask
