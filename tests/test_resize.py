"""Resizing by matrix products is torch's antialiased bicubic."""

import pytest
import torch
from colorizationnet.model.resize import resize
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

SIDES = st.integers(2, 400)


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, to_height=st.integers(1, 400), to_width=st.integers(2, 400))
def test_resize_against_float64(height, width, to_height, to_width):
    planes = torch.rand(2, 1, height, width)
    size = (to_height, to_width)
    expected = interpolate(planes.double(), size, mode="bicubic", antialias=True)
    assert (resize(planes, size) - expected).abs().max() < 5e-6


@pytest.mark.parametrize(("size", "target"), [((1, 1), (5, 7)), ((1, 9), (3, 1)), ((9, 1), (4, 1))])
def test_a_single_pixel_spreads(size, target):
    planes = torch.full((1, *size), 0.25)
    assert torch.allclose(resize(planes, target), torch.full((1, *target), 0.25))


def test_the_same_size_is_the_same_picture():
    planes = torch.rand(3, 20, 30)
    assert torch.equal(resize(planes, (20, 30)), planes)
