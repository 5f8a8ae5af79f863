"""Choosing the frames that teach a shot best."""

import itertools

import pytest
import torch
from colorizationnet.model.temporal import KeyframePicker
from colorizationnet.model.temporal.keyframes import MAX_CANDIDATES
from hypothesis import given, settings
from hypothesis import strategies as st


def pan(frames: int, speed: float = 1.0) -> torch.Tensor:
    """``(frames, 1, 36, 64)``: a bright bar that moves from left to right."""
    columns = torch.arange(64)
    centers = 20 + speed * torch.arange(frames)[:, None]
    bar = (-((columns - centers) ** 2) / 50).exp()
    return bar[:, None, None, :].expand(-1, 1, 36, -1)


def test_the_middle_of_an_even_pan():
    picker = KeyframePicker()
    picker(pan(31, speed=0.5))
    assert abs(picker.pick()[0] - 15) <= 1


def test_one_keyframe_for_each_of_two_settings():
    first, second = torch.full((20, 1, 36, 64), 0.2), pan(8, speed=0.1)
    picker = KeyframePicker()
    picker(torch.cat((first, second)))
    a, b = picker.pick(2)
    assert a < 20 <= b
    assert picker.pick(1)[0] < 20


def test_the_ends_of_a_shot_are_chosen_only_if_clearly_better():
    shot = torch.linspace(0.2, 0.6, 48).view(-1, 1, 1, 1).repeat(1, 1, 36, 64)
    shot[-9:] = 0.38  # a dissolve's mix may be the most ordinary frame of all
    picker = KeyframePicker()
    picker(shot)
    assert 12 <= picker.pick()[0] < 36


def test_batches_do_not_matter():
    whole, parts = KeyframePicker(), KeyframePicker()
    whole(pan(40))
    for batch in pan(40).split(7):
        parts(batch)
    picked = whole.pick(3)
    assert parts.pick(3) == picked == sorted(set(picked))


@pytest.mark.parametrize(
    ("frames", "count"), [(5, 5), (MAX_CANDIDATES, MAX_CANDIDATES), (300, 150), (600, 150)]
)
def test_of_more_keyframes_than_there_are_to_choose_from_all_are_taken(frames, count):
    picker = KeyframePicker()
    picker(pan(frames, speed=0.05))
    assert picker.pick(1000) == list(range(0, frames, frames // count))


def test_a_long_shot_keeps_its_memory_small_and_its_count():
    picker = KeyframePicker()
    for start in range(0, 3000, 500):
        picker(pan(3000, speed=0.003)[start : start + 500])
    assert len(picker.frames.kept) <= MAX_CANDIDATES
    assert picker.frames.count == 3000
    assert abs(picker.pick()[0] - 1500) < 60


def test_fewer_frames_than_keyframes():
    picker = KeyframePicker()
    picker(pan(2))
    assert picker.pick(5) == [0, 1]


def test_a_shot_without_frames():
    with pytest.raises(ValueError, match="without frames"):
        KeyframePicker().pick()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(1, 2))
def test_close_to_the_best_of_all_choices(seed, frames, count):
    shot = torch.rand(frames, 1, 18, 32, generator=torch.Generator().manual_seed(seed))
    picker = KeyframePicker()
    picker(shot)
    flat = shot.flatten(1).double()
    distances = (flat[:, None] - flat[None]).square().sum(2).sqrt()

    def cost(chosen):
        return float(distances[list(chosen)].amin(0).sum())

    best = min(cost(chosen) for chosen in itertools.combinations(range(frames), count))
    assert cost(picker.pick(count)) <= best * (1 + 1e-5 if count == 1 else 1.1)
