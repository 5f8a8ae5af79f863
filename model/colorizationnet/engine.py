"""Running the network: folded by parity, in the device's best precision, in exact tiles."""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from ...callbacks import Check
from ..parallel import parallel_map, pieces_at_once
from .winograd import bias_of, winograd_network

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# The sides of tiles, in pixels of one parity.
LARGEST_SIDE, LARGEST_SIDE_CPU, SMALLEST_SIDE = 512, 256, 32
LARGEST_BATCH = 32
HALO = 16  # pixels each side that an output depends on


class Engine:
    """The same numbers as the network of ``layers``, sooner and in bounded memory.

    Stride 1 and dilation 2 everywhere mean that the four pixel parities of a picture never meet:
    each is a picture of its own under four plain 5x5 convolutions without dilation.

    ``memory``: bytes the work may take; by default half of what is free on a CUDA device, 1 GiB
    elsewhere. Should less be there after all, tiles and batches are halved.
    """

    def __init__(
        self,
        layers: Sequence[nn.Conv2d],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        memory: int | None = None,
    ) -> None:
        self.device, self.memory = torch.device(device), memory
        self.halo = HALO
        # Winograd's minimal filtering is exact enough in float32 only; each CPU core takes a tile.
        self.per_core = self.device.type == "cpu" and dtype == torch.float32
        self.backend = (
            winograd_network(layers) if self.per_core else _Direct(layers, self.device, dtype)
        )

    def full(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """RGB ``(B, 3, H, W)`` float32 of ``luma`` ``(B, 1, H, W)``, as the network defines it.

        ``check`` is called several times a second; what it raises ends the work.
        """
        return self._run(luma, 2, check)

    def parity(self, luma: Tensor, check: Check | None = None) -> Tensor:
        """RGB as of ``full``, but of one parity alone: the network without its dilation."""
        return self._run(luma, 1, check)

    def _run(self, luma: Tensor, dilation: int, check: Check | None) -> Tensor:
        luma = luma.to(self.device)
        rgb = torch.empty(len(luma), 3, *luma.shape[2:], device=self.device)
        parity = [-(-length // dilation) for length in luma.shape[2:]]
        done = 0
        while done < len(luma):
            side, batch = self._plan(len(luma) - done, *parity)
            part = slice(done, done + batch)
            try:
                self._tiled(luma[part], rgb[part], side * dilation, dilation, check)
            except RuntimeError as error:  # torch has no class for it common to all devices
                if "memory" not in str(error) or (batch, side) == (1, SMALLEST_SIDE):
                    raise
                self.memory = self._work(batch, min(side, parity[0]), min(side, parity[1])) // 2
                continue
            done += batch
        return rgb

    def _tiled(
        self,
        luma: Tensor,
        rgb: Tensor,
        tile: int,
        dilation: int,
        check: Check | None,
    ) -> None:
        height, width = luma.shape[2:]
        sides = self._sides(luma, tile, dilation)
        tiles = _tiles(height, width, sides, self.halo, dilation)

        def work(job: tuple[slice, Tile]) -> None:
            images, (seen, target, keep) = job
            found = self.backend(luma[images, :, seen[0], seen[1]])
            rgb[images, :, target[0], target[1]] = found[..., keep[0], keep[1]]

        if self.per_core:
            images = [slice(index, index + 1) for index in range(len(luma))]
            parallel_map(work, product(images, tiles), check)
        else:
            for tile_slices in tiles:
                work((slice(None), tile_slices))
                if check:
                    check()

    def _sides(self, luma: Tensor, tile: int, dilation: int) -> list[int]:
        """Height and width of tiles, so many that each core has one."""
        sides = [tile, tile]
        if self.per_core:
            parts = -(-pieces_at_once() // (len(luma) * dilation**2))
            longer = int(luma.shape[3] > luma.shape[2])
            even = -(-luma.shape[2 + longer] // parts // 2) * 2
            sides[longer] = min(tile, max(SMALLEST_SIDE * dilation, even))
        return sides

    def _plan(self, batch: int, height: int, width: int) -> tuple[int, int]:
        """The tile's side and the number of pictures that go together, for parities of a size."""
        memory = self.memory or _spare(self.device)
        side = LARGEST_SIDE_CPU if self.device.type == "cpu" else LARGEST_SIDE
        while side > SMALLEST_SIDE and self._work(1, min(side, height), min(side, width)) > memory:
            side //= 2
        together = memory // self._work(1, min(side, height), min(side, width))
        return side, max(1, min(batch, together, LARGEST_BATCH))

    def _work(self, batch: int, height: int, width: int) -> int:
        """Bytes for a batch of parities: one after the other, or one on each core."""
        if self.per_core:
            batch = min(4 * batch, pieces_at_once())
        return batch * (height + self.halo) * (width + self.halo) * self.backend.bytes_per_pixel


class _Direct:
    """The library's convolutions, in a reduced precision or on another device than the CPU."""

    def __init__(
        self, layers: Sequence[nn.Conv2d], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.dtype = dtype
        self.layout = (
            torch.channels_last if device.type in ("cpu", "cuda") else torch.contiguous_format
        )
        self.bytes_per_pixel = _bytes_per_pixel(dtype)
        self.layers = [
            (
                conv.weight.detach().to(device, dtype, memory_format=self.layout),
                bias_of(conv).detach().to(device, dtype),
            )
            for conv in layers
        ]

    def __call__(self, luma: Tensor) -> Tensor:
        x = luma.to(self.dtype, memory_format=self.layout)
        for weight, bias in self.layers[:-1]:
            x = conv2d(x, weight, bias, padding=2).relu_()
        return conv2d(x, *self.layers[-1], padding=2).float().sigmoid_()


def memory_used(batch: int, height: int, width: int, dtype: torch.dtype) -> int:
    """Bytes that the network takes on a device other than the CPU for luma of this shape.

    This is what it takes when there is plenty, for a host that makes room; it does with less.
    """
    result = batch * (1 + 3) * height * width * 4
    height, width = (min(LARGEST_SIDE, -(-side // 2)) + HALO for side in (height, width))
    return result + min(batch, LARGEST_BATCH) * height * width * _bytes_per_pixel(dtype)


def _bytes_per_pixel(dtype: torch.dtype) -> int:
    """Two layers' features, and as much again for what the library needs."""
    return 2 * (64 + 128) * dtype.itemsize


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype that ``precision`` means on ``device``."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision not in DTYPES:
        raise ValueError(f"precision is {precision!r}; choose auto, {', '.join(DTYPES)}.")
    return DTYPES[precision]


def _spare(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else 1 << 30


Box = tuple[slice, slice]
Tile = tuple[Box, Box, Box]


def _tiles(height: int, width: int, sides: list[int], halo: int, dilation: int) -> Iterator[Tile]:
    """The parities of all tiles: where each is seen, where it goes, what of it is kept.

    Zero padding belongs to the true border only; what it spoils at a tile's other edges lies
    within the halo and is cut off.
    """
    rows = list(_tile_slices(height, sides[0], halo * dilation // 2, dilation))
    columns = list(_tile_slices(width, sides[1], halo * dilation // 2, dilation))
    for row, column in product(rows, columns):
        seen, target, keep = zip(row, column, strict=True)
        yield seen, target, keep


def _tile_slices(
    length: int, side: int, halo: int, dilation: int
) -> Iterator[tuple[slice, slice, slice]]:
    for start, parity in product(range(0, length, side), range(dilation)):
        if start + parity < length:
            first, stop = max(start - halo, 0), min(start + side, length)
            target = range(start + parity, stop, dilation)
            skip = (start - first) // dilation
            yield (
                slice(first + parity, stop + halo, dilation),
                slice(target.start, target.stop, dilation),
                slice(skip, skip + len(target)),
            )
