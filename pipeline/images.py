"""From grey pictures to colour ones: see small, merge at full size."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..model.color import merge, rgb_to_chroma, rgb_to_luma
from ..model.colorizationnet.engine import Engine, choose_dtype
from ..model.colorizationnet.network import ColorizationNet
from ..model.parallel import parallel_map
from ..model.resize import resize, resize_columns, resize_rows, scaled

DEFAULT_RENDER_SIZE = 48
QUALITIES = ("auto", "best", "full", "fast")
BEST_SCALES = (2 / 3, 4 / 3, 7 / 3)  # of the render size
MODES = ("merge", "network")
BATCH, BATCH_PIXELS = 8, 1 << 24  # the most frames, and pixels of them, in work at once
BAND = 1 << 18  # full-size pixels worked on at a time on the CPU, so that they stay in its cache
DEVICE_BAND = 1 << 23  # elsewhere


class Colorizer:
    """Gives pictures the network's colours and keeps their luma exactly.

    ``render_size``: short side in pixels at which the network looks. ``None`` is what the weights
    were made for, by their metadata; 0 is the source's own size. Smaller shows the network more
    of the scene at once; a smaller picture is never enlarged.
    ``strength``: 0 (the input unchanged) to 1 (all colour from the network).
    ``saturation``: gain on the network's chroma, 0 and up; 1 is the gain that the weights were
    calibrated for, by their metadata.
    ``quality``: ``"full"`` runs the whole network, ``"fast"`` one pixel parity of it on a half-size
    picture, for a quarter of the work. ``"best"`` is the mean of three fast looks, at 2/3, 4/3 and
    7/3 of the render size, for twice the work of full. ``"auto"`` is what the weights were made
    for, by their metadata, or full; where that is best, a ``film`` is looked at fast.
    ``precision``: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"auto"`` (fp16 on CUDA,
    else fp32: the same numbers on every CPU).
    ``mode``: ``"merge"``, or ``"network"`` for the network's own RGB without the source's luma.
    """

    def __init__(
        self,
        network: ColorizationNet,
        *,
        render_size: int | None = None,
        strength: float = 1.0,
        saturation: float = 1.0,
        quality: str = "auto",
        film: bool = False,
        precision: str = "auto",
        mode: str = "merge",
        device: torch.device | str = "cpu",
        memory: int | None = None,
    ) -> None:
        if quality not in QUALITIES:
            raise ValueError(f"quality is {quality!r}; choose one of {', '.join(QUALITIES)}.")
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; choose one of {', '.join(MODES)}.")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength}; choose a value from 0 to 1.")
        if render_size is None:
            render_size = int(network.metadata.get("render_size", DEFAULT_RENDER_SIZE))
        if quality == "auto":
            # In network mode the output is the whole network's, whatever suits the merge.
            quality = network.metadata.get("quality", "full") if mode == "merge" else "full"
            if quality == "best" and film:
                quality = "fast"
        if saturation < 0 or render_size < 0:
            raise ValueError("saturation and render_size cannot be negative.")
        self.render_size, self.quality, self.mode = render_size, quality, mode
        self.strength = strength
        self.saturation = saturation * float(network.metadata.get("saturation", 1))
        self.device = torch.device(device)
        self.engine = Engine(network, self.device, choose_dtype(precision, self.device), memory)

    @torch.no_grad()
    def __call__(
        self,
        images: Tensor,
        mask: Tensor | None = None,
        on_frame: Callable[[int, Tensor | None], None] | None = None,
    ) -> Tensor:
        """Colorize ``images`` ``(B, H, W, 3)`` in [0, 1]; the result has their shape and dtype.

        ``mask`` ``(B or 1, h, w)`` in [0, 1] says where the colour goes; another size than the
        images' is stretched to theirs. ``on_frame`` hears how many frames are newly done and sees
        the last of them, ``(H, W, 3)``, or 0 and ``None`` within a long frame; what it raises ends
        the work. Raises ``ValueError`` for other shapes.
        """
        if images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"Images of shape {tuple(images.shape)} cannot be coloured; they must be "
                "(batch, height, width, 3): make grey or transparent pictures RGB first."
            )
        mask = _check_mask(mask, len(images))
        if self.strength == 0 or images.numel() == 0:
            return images
        tick = _at_intervals(on_frame)
        result = torch.empty_like(images)
        together = min(BATCH, max(1, BATCH_PIXELS // math.prod(images.shape[1:3])))
        for start in range(0, len(images), together):
            batch = images[start : start + together]
            small = torch.stack([self._small_luma(image) for image in batch])
            colors = self._run(small, tick) if self.mode == "network" else self._see(small, tick)
            for index, color in enumerate(colors, start):
                weight = None if mask is None else mask[min(index, len(mask) - 1)]
                self._paint(images[index], color, weight, result[index])
                if on_frame:
                    on_frame(1, result[index])
        return result

    @torch.no_grad()
    def see(self, luma: Tensor) -> Tensor:
        """The small chroma ``(B, 2, h, w)`` of full-size ``luma`` ``(B, 1, H, W)``, saturated."""
        return self.see_small(self.shrink(luma))

    @torch.no_grad()
    def see_small(self, small: Tensor, tick: Callable[[], None] | None = None) -> Tensor:
        """The chroma ``(B, 2, h, w)`` of ``small`` luma ``(B, 1, h, w)``, saturated.

        ``tick`` is called several times a second; what it raises ends the work.
        """
        return self._see(small.to(self.device), tick)

    @torch.no_grad()
    def render(self, luma: Tensor) -> Tensor:
        """The network's RGB ``(B, 3, h, w)`` at render size of full-size ``luma``."""
        return self._run(self.shrink(luma), None)

    def shrink(self, luma: Tensor) -> Tensor:
        """Full-size ``luma`` ``(B, 1, H, W)`` at ``small_size``, on the colorizer's device."""
        small = luma.to(self.device, torch.float32)
        return resize(small, self.small_size(*luma.shape[2:])).clamp(0, 1)

    def small_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a picture of this height and width, at the most."""
        side = self.render_size * (BEST_SCALES[-1] if self.quality == "best" else 1)
        scale = min(1.0, side / min(height, width)) if side else 1.0
        return scaled((height, width), scale if self.quality == "full" else scale / 2)

    def _see(self, small: Tensor, tick: Callable[[], None] | None) -> Tensor:
        return rgb_to_chroma(self._run(small, tick)).mul_(self.saturation)

    def _run(self, small: Tensor, tick: Callable[[], None] | None) -> Tensor:
        # Telecined and animated film, and title cards, repeat whole frames.
        fresh = torch.ones(len(small), dtype=torch.bool, device=small.device)
        fresh[1:] = (small[1:] != small[:-1]).flatten(1).any(1)
        if self.quality == "full":
            rgb = self.engine.full(small[fresh], tick)
        elif self.quality == "fast":
            rgb = self.engine.parity(small[fresh], tick)
        else:
            rgb = self._best(small[fresh], tick)
        return rgb if len(rgb) == len(small) else rgb[fresh.cumsum(0) - 1]

    def _best(self, small: Tensor, tick: Callable[[], None] | None) -> Tensor:
        size = small.shape[2:]
        largest = self.render_size * BEST_SCALES[-1] / 2 or min(size)
        looks = {
            # What is smaller than the render size is looked at once where it would be enlarged.
            scaled(size, min(1.0, scale / BEST_SCALES[-1] * largest / min(size)))
            for scale in BEST_SCALES
        }
        rgb = [
            resize(self.engine.parity(resize(small, look).clamp_(0, 1), tick), size)
            for look in sorted(looks)
        ]
        return torch.stack(rgb).mean(0)

    def _small_luma(self, image: Tensor) -> Tensor:
        """``shrink`` of the luma of ``image`` ``(H, W, 3)``: ``(1, h, w)``."""
        height, width = self.small_size(*image.shape[:2])
        # Interleaved channels are but longer rows; the luma of few rows is soon made.
        rgb = resize_rows(image.to(self.device).flatten(1), height).unflatten(1, (-1, 3))
        return resize_columns(rgb_to_luma(rgb.permute(2, 0, 1)), width).clamp_(0, 1)

    def _paint(self, image: Tensor, color: Tensor, mask: Tensor | None, result: Tensor) -> None:
        """``image`` ``(H, W, 3)`` with the small ``color`` (chroma, or RGB) into ``result``."""
        height, width = image.shape[:2]
        narrow = resize_rows(color, height)
        if mask is not None:
            mask = _stretched(mask.to(self.device, torch.float32), (height, width))

        def work(rows: slice) -> None:
            rgb = self._planes(image[rows])
            color = resize_columns(narrow[:, rows], width)
            if self.mode == "network":
                colored = color.clamp(0, 1)
            else:
                colored = merge(rgb_to_luma(rgb), color)
            if mask is not None:
                colored = torch.lerp(rgb, colored, mask[rows] * self.strength)
            elif self.strength < 1:
                colored = torch.lerp(rgb, colored, self.strength)
            result[rows] = colored.permute(1, 2, 0)

        self._by_bands(work, image)

    def _planes(self, image: Tensor) -> Tensor:
        return image.to(self.device, torch.float32).permute(2, 0, 1)

    def _by_bands(self, work: Callable[[slice], None], image: Tensor) -> None:
        height, width = image.shape[:2]
        on_cpu = self.device.type == "cpu"
        rows = max(1, (BAND if on_cpu else DEVICE_BAND) // width)
        bands = (slice(top, min(top + rows, height)) for top in range(0, height, rows))
        if on_cpu:
            parallel_map(work, bands)
        else:
            for band in bands:
                work(band)


def _at_intervals(
    on_frame: Callable[[int, Tensor | None], None] | None, seconds: float = 0.2
) -> Callable[[], None] | None:
    """A tick for the engine that calls ``on_frame`` only now and then."""
    if on_frame is None:
        return None
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            on_frame(0, None)

    return tick


def _check_mask(mask: Tensor | None, count: int) -> Tensor | None:
    if mask is None:
        return None
    mask = mask.reshape(-1, *mask.shape[-2:])
    if len(mask) not in (1, count):
        raise ValueError(
            f"There are {len(mask)} masks for {count} images; give one for all or one each."
        )
    return mask


def _stretched(mask: Tensor, size: tuple[int, int]) -> Tensor:
    if mask.shape != size:
        mask = interpolate(mask[None, None], size, mode="bilinear")[0, 0]
    return mask.clamp(0, 1)
