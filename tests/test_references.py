import numpy as np
import pytest
import torch
from colorizationnet.model.temporal.operations import warp
from colorizationnet.model.temporal.references import (
    Reference,
    match_size,
    recall_chroma,
    stabilize_recalled,
)
from colorizationnet.model.temporal.stabilizer import ChromaBatch
from torch.nn.functional import affine_grid, grid_sample, interpolate

HEIGHT, WIDTH = 64, 96


def scene(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Luma and chroma with nothing to do with it, so that only memory can know the colours."""
    random = torch.Generator().manual_seed(seed)
    luma = torch.rand(1, 1, HEIGHT // 4, WIDTH // 4, generator=random)
    chroma = torch.rand(1, 2, HEIGHT // 8, WIDTH // 8, generator=random) - 0.5
    size = HEIGHT, WIDTH
    luma = interpolate(luma, size, mode="bicubic").mul(0.5).add(0.2)
    return luma, interpolate(chroma, size, mode="bilinear").mul(0.4)


def moved(x: torch.Tensor, right: float) -> torch.Tensor:
    flow = torch.tensor((-right, 0.0)).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)
    return warp(x, flow, "bicubic")


def pan(x: torch.Tensor, frames: int, speed: float = 1.0) -> torch.Tensor:
    return torch.cat([moved(x, speed * frame) for frame in range(frames)])


def reference(frame, luma, chroma, first=0, stop=1000, weight=None) -> Reference:
    return Reference(frame, first, stop, luma[0], chroma[0], weight)


def all_recalled(luma, references, batch=5, guess=None):
    """Chroma, confidence and expected error."""
    guess = torch.zeros(len(luma), 2, HEIGHT, WIDTH) if guess is None else guess
    batches = map(ChromaBatch, guess.split(batch), luma.split(batch))
    parts = zip(*recall_chroma(batches, references), strict=True)
    return tuple(torch.cat(part) for part in parts)


def recalled(luma, references, batch=5, guess=None):
    return all_recalled(luma, references, batch, guess)[:2]


def error(chroma: torch.Tensor, truth: torch.Tensor, margin: int = 4) -> torch.Tensor:
    inner = (chroma - truth)[..., margin:-margin, margin:-margin]
    return inner.square().sum(1).mean((1, 2)).sqrt()


@pytest.mark.parametrize("keyframe", [0, 11])
def test_a_references_colours_follow_their_surfaces_in_both_directions(keyframe):
    luma, chroma = scene()
    film, truth = pan(luma, 12), pan(chroma, 12)
    found, confidence = recalled(
        film, [reference(keyframe, film[keyframe, None], truth[keyframe, None])]
    )
    inner = slice(14, -14)  # what came into view is not in the reference
    assert error(found[..., inner], truth[..., inner]).max() < 0.012
    assert confidence[..., inner].mean() > 0.95


@pytest.mark.parametrize("speed", [0.37, 2.6, 4.0])
def test_slow_and_quick_surfaces_are_followed_to_a_fraction_of_a_pixel(speed):
    luma, chroma = scene()
    film, truth = pan(luma, 8, speed), pan(chroma, 8, speed)
    found, confidence = recalled(film, [reference(0, film[:1], truth[:1])])
    inner = slice(36, -36)
    assert error(found[..., inner], truth[..., inner]).max() < 0.006
    assert confidence[..., inner].mean() > 0.95


def test_a_reference_that_lies_a_little_off_is_put_in_its_place():
    luma, chroma = scene()
    film, truth = pan(luma, 8), pan(chroma, 8)
    off = reference(0, moved(luma, 2), moved(chroma, 2))
    inner = slice(14, -14)
    for references in ([off], [off, reference(7, film[7:], truth[7:])]):
        found, _ = recalled(film, references)
        assert error(found[..., inner], truth[..., inner]).max() < 0.005


def test_noise_in_a_reference_stays_in_its_own_size():
    luma, chroma = scene()
    film, truth = pan(luma, 8), pan(chroma, 8)
    random = torch.Generator().manual_seed(3)
    noise = 0.02 * torch.randn(1, 3, HEIGHT, WIDTH, generator=random)
    found, _ = recalled(film, [reference(0, luma + noise[:, :1], chroma + noise[:, 1:])])
    inner = slice(14, -14)
    # Two planes with noise of 0.02 each: no more than is in the reference itself.
    assert error(found[1:, ..., inner], truth[1:, ..., inner]).max() < 0.03


def test_a_light_that_fades_does_not_take_the_colours():
    luma, chroma = scene()
    film, truth = pan(luma, 8), pan(chroma, 8)
    fading = film * torch.linspace(1, 0.85, 8).view(-1, 1, 1, 1)
    found, confidence = recalled(fading, [reference(0, luma, chroma)])
    inner = slice(14, -14)
    assert error(found[..., inner], truth[..., inner]).max() < 0.04  # a third of the colour's RMS
    assert confidence[7, ..., inner].mean() > 0.6


def test_a_frame_that_is_a_reference_has_its_colours():
    luma, chroma = scene()
    found, confidence = recalled(luma, [reference(0, luma, chroma)])
    assert (found - chroma).abs().max() < 1e-3
    assert confidence.min() > 0.995


def test_the_guess_fills_what_no_reference_shows():
    luma, chroma = scene()
    film = luma.clone()
    film[..., 48:] = scene(5)[0][..., 48:]
    film = film.expand(3, -1, -1, -1)
    guess = chroma.expand(3, -1, -1, -1).clone()
    guess[..., 48:] = scene(5)[1][..., 48:]
    found, confidence, off = all_recalled(film, [reference(-1, luma, chroma)], guess=guess)
    assert error(found[..., :42], chroma[..., :42].expand(3, -1, -1, -1)).max() < 0.005
    remembered = error(guess[..., 56:], chroma[..., 56:].expand(3, -1, -1, -1))
    assert (error(found[..., 56:], guess[..., 56:]) < 0.6 * remembered).all()
    assert confidence[..., :42].mean() > 0.98 > 0.5 > confidence[..., 56:].mean()
    assert off[..., :42].max() < 0.01 < 0.05 < off[..., 56:].mean()


def half_known(guess, weight=None):
    """Two halves: one that the reference shows, and one brighter than all that it shows."""
    luma, chroma = scene()
    film = luma.clone()
    film[..., WIDTH // 2 :] = 1
    known = reference(-1, luma, chroma, weight=weight)
    return chroma, all_recalled(film, [known], guess=guess(chroma))


def test_a_guess_loses_colour_where_nothing_around_is_known():
    chroma, (found, confidence, _) = half_known(lambda chroma: chroma)
    assert confidence[..., 60:].mean() < 0.1
    known, unknown = (
        float(found[part].norm() / chroma[part].norm())
        for part in (np.s_[..., :40], np.s_[..., 64:])
    )
    assert known > 0.99 and 0.25 < unknown < 0.7


def test_a_guess_that_is_louder_than_the_references_is_brought_down_to_them():
    _, (quiet, *_) = half_known(lambda chroma: chroma)
    _, (loud, *_) = half_known(lambda chroma: 3 * chroma)
    assert loud[..., 64:].norm() < 1.3 * quiet[..., 64:].norm()


def test_strokes_tell_nothing_of_what_is_not_painted():
    weight = torch.zeros(1, HEIGHT, WIDTH)
    weight[..., 8:16] = 1
    chroma, (found, _, off) = half_known(lambda chroma: chroma, weight)
    assert error(found[..., 64:], chroma[..., 64:]).max() < 1e-3
    assert off[..., 64:].mean() == pytest.approx(float(chroma[..., 64:].norm(dim=1).mean()))


def test_what_comes_so_near_that_it_matches_no_longer_keeps_its_colours():
    luma, chroma = scene()

    def near(x):
        scales = [1.05**frame for frame in range(25)]  # 3.2 times as large in the end
        size = list(x.shape)
        grids = [affine_grid(torch.eye(2, 3)[None] / k, size, align_corners=False) for k in scales]
        return torch.cat([grid_sample(x, grid, align_corners=False) for grid in grids])

    film, truth = near(luma), near(chroma)
    held = [reference(0, luma, chroma)]
    found, confidence = recalled(film, held)
    last_only, _ = recalled(torch.cat((film[:1], film[-1:])), held)
    assert error(found[-1:], truth[-1:]) < 0.5 * error(last_only[-1:], truth[-1:])
    assert confidence[-1].mean() > 0.5
    # A new shot knows nothing of it.
    cut = [reference(0, luma, chroma, 0, 20), reference(99, luma, chroma, 20, 100)]
    assert error(recalled(film, cut)[0][-1:], truth[-1:]) > 2 * error(found[-1:], truth[-1:])


def test_a_surface_seen_again_after_it_was_hidden_is_found_again():
    luma, chroma = scene()
    other = scene(7)[0]
    film = torch.cat((luma, other, other, moved(luma, 9)))
    found, _ = recalled(film, [reference(0, luma, chroma)])
    truth = moved(chroma, 9)
    assert error(found[3:, :, :, 16:], truth[..., 16:]).max() < 0.02


def test_colours_end_with_their_shot():
    luma, chroma = scene()
    film = luma.expand(8, -1, -1, -1)
    first, second = (reference(2, luma, chroma, 0, 4), reference(6, luma, -chroma, 4, 8))
    found, _ = recalled(film, [first, second])
    assert (found[:4] - chroma).abs().max() < 0.01
    assert (found[4:] + chroma).abs().max() < 0.01


def test_no_reference_leaves_the_guess():
    luma, chroma = scene()
    film, guess = luma.expand(4, -1, -1, -1), chroma.expand(4, -1, -1, -1)
    found, confidence, off = all_recalled(film, [reference(9, luma, -chroma, 8, 20)], guess=guess)
    assert torch.equal(found, guess)
    assert not confidence.any()
    assert torch.allclose(off[:, 0], guess.norm(dim=1))  # it could as well be grey


def test_references_that_disagree_pass_over_evenly():
    luma, chroma = scene()
    film = luma.expand(21, -1, -1, -1)
    red = torch.tensor((0.0, 0.1)).view(1, 2, 1, 1).expand_as(chroma)
    found, _ = recalled(film, [reference(0, luma, red), reference(20, luma, -red)])
    course = found[:, 1].mean((1, 2))
    assert course[0] > 0.095 and course[20] < -0.095
    assert (course[1:] <= course[:-1] + 1e-4).all()
    assert (course[:-1] - course[1:]).max() < 0.2 / 20 * 1.4


def test_batches_of_any_size_give_the_same():
    luma, chroma = scene()
    film, truth = pan(luma, 9), pan(chroma, 9)
    references = [reference(frame, film[frame, None], truth[frame, None]) for frame in (1, 4, 8)]
    one, many = recalled(film, references, batch=1), recalled(film, references, batch=4)
    for x, y in zip(one, many, strict=True):
        assert (x - y).abs().max() < 1e-5


def test_strokes_count_where_they_are_painted():
    luma, chroma = scene()
    weight = torch.zeros(1, HEIGHT, WIDTH)
    weight[..., :40] = 1
    film = luma.expand(3, -1, -1, -1)
    found, confidence = recalled(film, [reference(0, luma, chroma, weight=weight)])
    assert error(found[..., :36], chroma[..., :36].expand(3, -1, -1, -1)).max() < 0.003
    assert confidence[..., :36].mean() > 0.98
    assert not confidence[..., 44:].any()


def test_hundreds_of_references_are_taken_when_their_turn_comes():
    luma, chroma = scene()
    taken = []

    def references():
        for frame in range(0, 400, 2):
            taken.append(frame)
            yield reference(frame, luma, chroma)

    zero = torch.zeros(1, 2, HEIGHT, WIDTH)
    stream = recall_chroma((ChromaBatch(zero, luma) for _ in range(400)), references())
    for frame, _ in zip(range(6), stream, strict=False):
        assert taken[-1] <= frame + 4  # the next one, and the one after that


def test_the_matching_size_never_enlarges():
    assert match_size(1080, 1920) == (112, 199)
    assert match_size(50, 70) == (50, 70)


def test_known_colours_pass_the_temporal_filter_and_guessed_ones_are_held_still():
    luma, chroma = scene()
    weight = torch.zeros(1, HEIGHT, WIDTH)
    weight[..., :40] = 1
    film = luma.expand(30, -1, -1, -1)
    flicker = 0.05 * (torch.arange(30) % 2).view(-1, 1, 1, 1).expand(-1, 2, HEIGHT, WIDTH)
    batches = map(ChromaBatch, flicker.split(7), film.split(7))
    frames = list(stabilize_recalled(batches, [reference(3, luma, chroma, weight=weight)]))
    found = torch.cat([frame.chroma for frame in frames])
    assert len(found) == 30
    known, guessed = found[..., :36], found[..., 50:]
    assert error(known, chroma[..., :36].expand(30, -1, -1, -1)).max() < 0.01
    assert (guessed[20:] - guessed[19:-1]).abs().mean() < 0.01


def test_the_filter_ends_with_the_shot_too():
    luma, chroma = scene()
    film = luma.expand(12, -1, -1, -1)
    references = [reference(2, luma, chroma, 0, 6), reference(8, luma, -chroma, 6, 12)]
    zero = torch.zeros(12, 2, HEIGHT, WIDTH)
    cuts = [frame == 6 for frame in range(12)]
    frames = list(stabilize_recalled([ChromaBatch(zero, film, cuts)], references))
    found = torch.cat([frame.chroma for frame in frames])
    assert (found[:6] - chroma).abs().max() < 0.01
    assert (found[6:] + chroma).abs().max() < 0.01
