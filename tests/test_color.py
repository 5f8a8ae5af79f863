"""Colour space and merge, against float64 and against Pillow."""

import numpy as np
import torch
from colorizationnet.model.color import merge, rgb_to_chroma, rgb_to_luma
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image


def golden_merge(luma, chroma):
    """The same colour by bisection for the largest share of the chroma that stays in range."""
    y, (cb, cr) = luma.double()[0], chroma.double()
    red, blue = 1.402 * cr, 1.772 * cb
    offsets = torch.stack((red, -(0.299 * red + 0.114 * blue) / 0.587, blue))
    low, high = torch.zeros_like(y), torch.ones_like(y)
    for _ in range(60):
        share = (low + high) / 2
        rgb = y + share * offsets
        fits = ((rgb >= 0) & (rgb <= 1)).all(0)
        low, high = torch.where(fits, share, low), torch.where(fits, high, share)
    return y + low * offsets


def test_luma_is_pillows_grey():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)
    rgb = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    assert np.abs(rgb_to_luma(rgb)[0].numpy() * 255 - grey).max() <= 0.51


def test_chroma_is_pillows_ycbcr():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    ycbcr = np.asarray(Image.fromarray(pixels).convert("YCbCr"), dtype=np.float32)
    rgb = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    found = rgb_to_chroma(rgb).permute(1, 2, 0).numpy() * 255 + 128
    assert np.abs(found - ycbcr[..., 1:]).max() <= 1.01


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), reach=st.floats(0, 3))
def test_merge_keeps_luma_and_hue_inside_the_gamut(seed, reach):
    generator = torch.Generator().manual_seed(seed)
    luma = torch.rand(1, 9, 7, generator=generator)
    luma.view(-1)[:2] = torch.tensor([0.0, 1.0])
    chroma = (torch.rand(2, 9, 7, generator=generator) - 0.5) * reach
    rgb = merge(luma, chroma)
    assert (rgb_to_luma(rgb.double()) - luma).abs().max() < 1e-6
    assert rgb.min() > -1e-6 and rgb.max() < 1 + 1e-6
    assert (rgb - golden_merge(luma, chroma)).abs().max() < 1e-6


def test_merge_puts_a_colour_that_fits_back_unchanged():
    rgb = torch.rand(2, 3, 16, 16)
    assert (merge(rgb_to_luma(rgb), rgb_to_chroma(rgb)) - rgb).abs().max() < 1e-6
