"""The network in float32 on the CPU, by Winograd's minimal filtering.

F(4x4, 5x5) after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR
2016): 4 multiplications a pixel where a 5x5 convolution takes 25. Pictures are channels-last, so
that all transforms are matrix products of a small matrix with long rows; between them stands one
product over the channels for each of the 64 frequencies of a tile: a convolution of single pixels,
in 64 groups, where the tiles are the pixels.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .packed import PackedConvolution, has_packed_convolutions

TAPS = 5
PAD = TAPS // 2
STEP = 4  # outputs of a tile, a side
SPAN = STEP + TAPS - 1  # inputs of a tile, a side
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # and infinity
ONE = POINTS.index(1.0) * (SPAN + 1)  # the frequency that is constant over a tile's outputs
STRIP = 112  # tiles worked on at a time: enough rows for a product, few enough for the cache


class WinogradNetwork:
    """The network of ``layers`` without dilation: what it does to one pixel parity."""

    # Two layers' features, the last layer's shares, and as much again for a strip's spectra.
    bytes_per_pixel = 2 * (64 + 128 + 75) * 4

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        first, *middle, last = layers
        self.first = first.weight.detach().float().flatten(1).t().contiguous()
        self.first_bias = bias_of(first).detach().float()
        self.middle = [_Layer(conv.weight, bias_of(conv)) for conv in middle]
        # Three outputs are too few for the transforms to pay: a convolution along the rows gives
        # each tap's share down the columns, and the shares are added up where they belong.
        shares = last.weight.detach().float().permute(2, 0, 1, 3).flatten(0, 1).unsqueeze(2)
        self.last = PackedConvolution(shares, shares.new_zeros(len(shares)), (64, 64))
        self.last_bias = bias_of(last).detach().float()

    def __call__(self, luma: Tensor) -> Tensor:
        """RGB ``(B, 3, H, W)`` of ``luma`` ``(B, 1, H, W)``."""
        return torch.stack([self._one(picture) for picture in luma[:, 0].float()])

    def _one(self, luma: Tensor) -> Tensor:
        height, width = luma.shape
        x = self._first(luma)
        for layer in self.middle:
            x = layer(x, height, width)
        return self._last(x, height, width)

    def _first(self, luma: Tensor) -> Tensor:
        height, width = luma.shape
        windows = pad(luma, (PAD,) * 4).unfold(0, height, 1).unfold(1, width, 1)
        features = torch.addmm(self.first_bias, windows.reshape(TAPS**2, -1).t(), self.first)
        result = _blank(height, width, features.shape[1])
        inner = result[PAD : PAD + height, PAD : PAD + width]
        torch.clamp_min(features.view(inner.shape), 0, out=inner)
        return result

    def _last(self, x: Tensor, height: int, width: int) -> Tensor:
        shares = self.last(x[: height + 2 * PAD, : width + 2 * PAD]).unflatten(2, (TAPS, -1))
        rgb = shares[:height, :, 0] + self.last_bias
        for tap in range(1, TAPS):
            rgb += shares[tap : tap + height, :, tap]
        return rgb.sigmoid_().permute(2, 0, 1)


_built: WeakKeyDictionary[nn.Conv2d, tuple[list, WinogradNetwork]] = WeakKeyDictionary()


def winograd_network(layers: Sequence[nn.Conv2d]) -> WinogradNetwork:
    """The `WinogradNetwork` of ``layers``, built once for the weights that they have."""
    weights = [parameter for layer in layers for parameter in layer.parameters()]
    # Tensors made in inference mode do not count their changes, and nothing here changes any.
    versions = [None if weight.is_inference() else weight._version for weight in weights]
    key = [has_packed_convolutions(), [weight.data_ptr() for weight in weights], versions]
    known, network = _built.get(layers[0], (None, None))
    if network is None or known != key:
        network = WinogradNetwork(layers)
        _built[layers[0]] = key, network
    return network


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The layer's bias, which all of the network's have."""
    assert layer.bias is not None
    return layer.bias


class _Layer:
    """``relu(conv2d(x, weight, bias, padding=2))``."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        to_input, to_filter, to_output = _transforms()
        self.to_input, self.to_output = to_input.float(), to_output.float()
        taps = weight.detach().permute(3, 2, 1, 0).double().flatten(2)  # columns, rows, (in, out)
        columns = (to_filter @ taps.flatten(1)).view(SPAN, TAPS, -1)
        spectra = (to_filter @ columns).float()  # columns' and rows' frequencies, (in, out)
        spectra = spectra.view(SPAN * SPAN, weight.shape[1], weight.shape[0])
        self.multiply = _product(spectra, bias.detach().float())
        self.features = len(weight)

    def __call__(self, x: Tensor, height: int, width: int) -> Tensor:
        """``x`` and the result are pictures as ``_blank(height, width, channels)`` lays out."""
        down, across = _tiles(height), _tiles(width)
        channels, features = x.shape[2], self.features
        pitch = x.shape[1] * channels
        result = _blank(height, width, features)
        inner = result[PAD : PAD + down * STEP, PAD : PAD + across * STEP]
        inner = inner.unflatten(0, (down, STEP)).unflatten(2, (across, STEP))
        strip = max(1, STRIP // across)
        near, far = x.new_empty(2, SPAN * SPAN * strip * across * max(channels, features))
        for top in range(0, down, strip):
            rows = min(strip, down - top)
            tiles = rows * across
            columns = _view(near, rows, SPAN, pitch)
            for row in range(rows):
                start = (top + row) * STEP
                torch.mm(self.to_input, x[start : start + SPAN].flatten(1), out=columns[row])
            windows = _view(far, rows, across, SPAN, SPAN, channels)
            strides = (SPAN * pitch, STEP * channels, channels, pitch, 1)
            windows.copy_(columns.as_strided(windows.shape, strides))
            spectrum = _view(near, tiles, SPAN, SPAN * channels)
            _mm(self.to_input, windows.view(spectrum.shape), out=spectrum)
            product = self.multiply(spectrum.view(rows, across, SPAN * SPAN * channels))
            columns = _view(near, tiles, STEP, SPAN * features)
            _mm(self.to_output, product.view(tiles, SPAN, SPAN * features), out=columns)
            pixels = _view(far, tiles * STEP, STEP, features)
            _mm(self.to_output, columns.view(tiles * STEP, SPAN, features), out=pixels)
            pixels = pixels.view(rows, across, STEP, STEP, features).permute(0, 3, 1, 2, 4)
            torch.clamp_min(pixels, 0, out=inner[top : top + rows])
        result[PAD + height :] = 0
        result[:, PAD + width :] = 0
        return result


def _product(spectra: Tensor, bias: Tensor) -> Callable[[Tensor], Tensor]:
    """What multiplies tiles ``(rows, columns, frequencies * channels)`` by ``spectra``.

    Those are ``(frequencies, channels, features)``; ``bias`` ``(features,)`` is added to the
    tiles' pixels.
    """
    frequencies, channels, features = spectra.shape
    if has_packed_convolutions():
        biases = torch.zeros(frequencies, features)
        biases[ONE] = bias
        weight = spectra.transpose(1, 2).reshape(-1, channels, 1, 1)
        return PackedConvolution(weight, biases.flatten(), (STRIP, 1), groups=frequencies)

    def multiply(tiles: Tensor) -> Tensor:
        spectrum = tiles.view(-1, frequencies, channels)
        product = spectrum.new_empty(len(spectrum), frequencies, features)
        torch.bmm(spectrum.transpose(0, 1), spectra, out=product.transpose(0, 1))
        product[:, ONE] += bias
        return product.view(*tiles.shape[:2], -1)

    return multiply


def _mm(matrix: Tensor, pictures: Tensor, out: Tensor) -> None:
    """``out[n] = matrix @ pictures[n]``."""
    torch.bmm(matrix.expand(len(pictures), -1, -1), pictures, out=out)


@lru_cache(maxsize=1)
@torch.inference_mode(False)
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Toom and Cook's transforms of input (8, 8), filter (8, 5) and output (4, 8), float64."""
    points = torch.tensor(POINTS, dtype=torch.float64)

    def powers(count: int) -> Tensor:
        infinity = torch.eye(count, dtype=torch.float64)[-1:]
        return torch.cat((points[:, None] ** torch.arange(count), infinity))

    # Scaled by Lagrange's denominators the input's matrix is exact in binary.
    gaps = (points[:, None] - points).fill_diagonal_(1)
    scale = torch.cat((gaps.prod(1), points.new_ones(1)))[:, None]
    return powers(SPAN).inverse().t() * scale, powers(TAPS) / scale, powers(STEP).t()


def _tiles(side: int) -> int:
    return -(-side // STEP)


def _blank(height: int, width: int, channels: int) -> Tensor:
    """A picture ``(rows, columns, channels)`` whose pixel (0, 0) lies at (2, 2).

    It has room for whole tiles; what lies around the ``height`` times ``width`` pixels is zero.
    """
    picture = torch.empty(_tiles(height) * STEP + 2 * PAD, _tiles(width) * STEP + 2 * PAD, channels)
    picture[:PAD] = 0
    picture[:, :PAD] = 0
    picture[PAD + height :] = 0
    picture[:, PAD + width :] = 0
    return picture


def _view(scratch: Tensor, *shape: int) -> Tensor:
    return scratch[: torch.Size(shape).numel()].view(shape)
