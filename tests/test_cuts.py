import itertools

import pytest
import torch
from colorizationnet.model.temporal import CutDetector, mark_shots
from torch.nn.functional import interpolate

SIZE = 48, 64


def scene(seed: int, frames: int) -> torch.Tensor:
    """A textured picture under a slow pan, with grain."""
    random = torch.Generator().manual_seed(seed)
    wide = interpolate(torch.rand(1, 1, 8, 14, generator=random), (48, 160), mode="bicubic")
    pan = torch.cat([wide[..., i : i + 64] for i in range(frames)]).mul(0.8).add(0.1)
    return (pan + 0.02 * torch.randn(pan.shape, generator=random)).clamp(0, 1)


def cuts_of(film: torch.Tensor, sensitivity: float = 0.5) -> list[int]:
    return CutDetector(sensitivity)(film)


def shots_of(film: torch.Tensor, sensitivity: float = 0.5) -> list[int]:
    """The first frames of shots but the first; every frame comes out once, in order."""
    marked = list(mark_shots(film, sensitivity))
    assert torch.equal(torch.stack([frame for _, frame in marked]), film)
    return [index for index, (begins, _) in enumerate(marked) if begins]


def test_hard_cuts_are_found_to_the_frame():
    shots = [scene(seed, frames) for seed, frames in ((1, 20), (2, 14), (3, 30), (4, 9))]
    assert cuts_of(torch.cat(shots)) == shots_of(torch.cat(shots)) == [20, 34, 64]


def test_batches_do_not_change_the_cuts():
    film = torch.cat([scene(1, 20), scene(2, 20), scene(3, 20)])
    for size in (1, 7):
        detector = CutDetector()
        found = [cut for batch in film.split(size) for cut in detector(batch)]
        assert found == cuts_of(film) == [20, 40]


def test_a_hard_cut_is_reported_with_its_frame():
    detector = CutDetector()
    assert detector(scene(1, 20)) == []
    assert detector(scene(2, 1)) == [20]
    assert detector.by_frame(scene(3, 4)) == [[21], [], [], []]


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
    film = light(scene(5, 30), times).clamp(0, 1)
    assert cuts_of(film) == shots_of(film) == []


def test_dirt_and_scratches_are_no_cut():
    film = scene(6, 40)
    random = torch.Generator().manual_seed(0)
    for frame in film:
        row, column = (int(torch.randint(0, n - 12, (), generator=random)) for n in SIZE)
        frame[0, row : row + 10, column : column + 12] = float(torch.rand((), generator=random))
        frame[0, :, column] = 1.0
    assert cuts_of(film) == []


@pytest.mark.parametrize("length", [1, 6])
def test_a_torn_frame_or_a_flash_begins_no_shot(length):
    film = scene(7, 50)
    film[25 : 25 + length] = scene(8, length)
    assert cuts_of(film) == [25, 25 + length]
    assert shots_of(film) == []


def test_what_is_too_short_belongs_to_the_shot_before():
    """The last frames of a film too, however long a shot is."""
    lengths = (20, 7, 9, 8, 30, 7)
    film = torch.cat([scene(seed, frames) for seed, frames in enumerate(lengths, 1)])
    assert cuts_of(film) == [20, 27, 36, 44, 74]
    assert shots_of(film) == [20, 36, 44]


def test_shots_are_marked_while_the_film_streams():
    taken = []
    marked = mark_shots(taken.append(i) or frame for i, frame in enumerate(scene(1, 90)))
    for index, (begins, _) in enumerate(marked):
        assert not begins and len(taken) <= min(90, index + 20)


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
    for begin in (CutDetector, lambda sensitivity: mark_shots([], sensitivity)):
        with pytest.raises(ValueError, match="sensitivity is 2"):
            begin(2)
