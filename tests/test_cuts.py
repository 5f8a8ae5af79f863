import itertools

import pytest
import torch
from colorizationnet.model import CutDetector
from torch.nn.functional import interpolate

SIZE = 48, 64


def scene(seed: int, frames: int) -> torch.Tensor:
    """A textured picture under a slow pan, with grain."""
    random = torch.Generator().manual_seed(seed)
    wide = interpolate(torch.rand(1, 1, 8, 14, generator=random), (48, 160), mode="bicubic")
    pan = torch.cat([wide[..., i : i + 64] for i in range(frames)]).mul(0.8).add(0.1)
    return (pan + 0.02 * torch.randn(pan.shape, generator=random)).clamp(0, 1)


def cuts_of(luma: torch.Tensor, **settings) -> list[int]:
    detector = CutDetector(**settings)
    return sorted(detector(luma) + detector.flush())


def test_hard_cuts_are_found_to_the_frame():
    shots = [scene(seed, frames) for seed, frames in ((1, 20), (2, 14), (3, 30), (4, 9))]
    assert cuts_of(torch.cat(shots)) == [20, 34, 64]


def test_batches_do_not_change_the_cuts():
    film = torch.cat([scene(1, 20), scene(2, 20), scene(3, 20)])
    for size in (1, 7):
        detector = CutDetector(lookahead=3)
        found = [cut for batch in film.split(size) for cut in detector(batch)]
        assert found + detector.flush() == cuts_of(film, lookahead=3) == [20, 40]


def test_a_hard_cut_is_reported_with_its_frame():
    detector = CutDetector()
    assert detector(scene(1, 20)) == []
    assert detector(scene(2, 1)) == [20]


@pytest.mark.parametrize(
    "light",
    [
        lambda film, t: film * (1 + 0.3 * torch.sin(1.3 * t)),  # pumping
        lambda film, t: torch.where(t == 12, 1.0, film),  # a flash
        lambda film, t: torch.where((t >= 12) & (t < 15), 0.97 + 0.03 * film, film),
        lambda film, t: torch.where(t >= 12, film * 0.5, film),  # lights down
        lambda film, t: film * ((t - 15).abs() / 10).clamp(max=1),  # out and in again
    ],
    ids=["pumping", "flash", "bright flash", "lights down", "fade out and in"],
)
def test_light_is_no_cut(light):
    times = torch.arange(30.0).view(-1, 1, 1, 1)
    assert cuts_of(light(scene(5, 30), times).clamp(0, 1)) == []


def test_dirt_and_scratches_are_no_cut():
    film = scene(6, 40)
    random = torch.Generator().manual_seed(0)
    for frame in film:
        row, column = (int(torch.randint(0, n - 12, (), generator=random)) for n in SIZE)
        frame[0, row : row + 10, column : column + 12] = float(torch.rand((), generator=random))
        frame[0, :, column] = 1.0
    assert cuts_of(film) == []


def test_a_torn_frame_is_dropped_with_lookahead():
    film = scene(7, 30)
    film[15] = scene(8, 1)[0]
    assert cuts_of(film) == [15, 16]
    assert cuts_of(film, lookahead=3) == []


def test_a_fade_cuts_where_the_picture_returns():
    ramp = torch.linspace(1, 0, 10).view(-1, 1, 1, 1)
    before, after = scene(1, 25), scene(2, 25)
    before[-10:] *= ramp
    after[:10] *= ramp.flip(0)
    (cut,) = cuts_of(torch.cat((before, after)))
    assert 25 <= cut <= 29


def dissolve(length: int, moving: bool) -> torch.Tensor:
    """Two scenes of 30 frames each, and so many frames of both between."""
    frames = 30 + length
    share = ((torch.arange(30 + frames) - 29) / (length + 1)).clamp(0, 1).view(-1, 1, 1, 1)
    before, after = (scene(seed, frames)[:: 1 if moving else frames] for seed in (1, 2))
    before = torch.cat((before.expand(frames, -1, -1, -1), before[-1:].expand(30, -1, -1, -1)))
    after = torch.cat((after[:1].expand(30, -1, -1, -1), after.expand(frames, -1, -1, -1)))
    return torch.lerp(before, after, share)


@pytest.mark.parametrize(
    ("length", "moving"),
    [*itertools.product((8, 12, 16, 24), (False, True)), (40, False)],
)
def test_a_dissolve_cuts_within_it(length, moving):
    film = dissolve(length, moving)
    (cut,) = cuts_of(film)
    assert 30 <= cut < 30 + length
    for size in (1, 7):
        detector = CutDetector()
        assert [found for batch in film.split(size) for found in detector(batch)] == [cut]


def test_sensitivity_orders_the_thresholds():
    film = torch.cat([scene(1, 15), 0.5 * scene(1, 15) + 0.5 * scene(2, 15)])
    counts = [len(cuts_of(film, sensitivity=s)) for s in (0.0, 0.5, 1.0)]
    assert counts == sorted(counts) and counts[-1] == 1
    with pytest.raises(ValueError, match="sensitivity is 2"):
        CutDetector(2)
