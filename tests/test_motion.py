"""Motion between two pictures, and the change of exposure."""

import pytest
import torch
from colorizationnet.model.temporal import estimate_motion, warp
from colorizationnet.model.temporal.exposure import match_exposure
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

HEIGHT, WIDTH = 64, 96


def ground(seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 1, HEIGHT // 4, WIDTH // 4, generator=random)
    return interpolate(small, (HEIGHT, WIDTH), mode="bicubic").mul(0.5).add(0.2)


def noisy(x: torch.Tensor, deviation: float) -> torch.Tensor:
    return x + deviation * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shift", [(0.4, 0.0), (-2.6, 1.3), (4.5, -3.5)])
def test_motion_is_found_through_a_change_of_exposure(shift):
    before = ground(2)
    flow = torch.tensor(shift).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)
    now = noisy(0.7 * warp(before, flow, "bicubic") + 0.1, 0.005)
    error = (estimate_motion(torch.cat((before, now))) - flow)[..., 12:-12, 12:-12].norm(dim=1)
    assert error.median() < 0.1


def test_grain_is_no_motion():
    flow = estimate_motion(noisy(ground().expand(2, -1, -1, -1), 0.03))
    assert flow.norm(dim=1).mean() < 0.1


@settings(max_examples=25, deadline=None)
@given(st.floats(0.6, 1.6))
def test_a_change_of_exposure_is_measured(light):
    before = ground().mul(0.5).add(0.1)
    gain, offset, ratio = match_exposure(before, light * before)
    left = (gain * before + offset - light * before).abs().mean()
    assert left <= 0.1 * (light * before - before).abs().mean() + 1e-5
    assert (ratio - light).abs().max() <= 0.2 * abs(light - 1) + 1e-5
