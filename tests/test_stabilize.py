from collections.abc import Iterator

import pytest
import torch
from colorizationnet.model import rgb_to_chroma, rgb_to_luma
from colorizationnet.model.resize import resize, scaled
from colorizationnet.model.temporal import (
    LOOK_AHEAD,
    ChromaBatch,
    box_mean,
    filter_size,
    stabilize_chroma,
)
from colorizationnet.options import FilmOptions
from colorizationnet.pipeline.stabilize import stabilize_images, stabilized_size
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

HEIGHT, WIDTH = 64, 96


def ground(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 1, height // 4, width // 4, generator=random)
    return interpolate(small, (height, width), mode="bicubic").mul(0.5).add(0.2)


def noisy(x: torch.Tensor, deviation: float, seed: int = 1) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return x + deviation * torch.randn(x.shape, generator=random)


def stabilized(chroma, luma, stability=0.5, cuts=None, **options) -> torch.Tensor:
    batch = ChromaBatch(chroma, luma, cuts)
    return torch.stack(list(stabilize_chroma([batch], stability, **options)))


def batches(chroma, luma, size: int) -> Iterator[ChromaBatch]:
    return map(ChromaBatch, chroma.split(size), luma.split(size))


def colors(blue: float, red: float, frames: int) -> torch.Tensor:
    return torch.tensor((blue, red)).view(1, 2, 1, 1).repeat(frames, 1, HEIGHT, WIDTH)


def test_stability_zero_changes_nothing():
    chroma = noisy(colors(0.1, -0.1, 3), 0.02)
    assert torch.equal(stabilized(chroma, ground().expand(3, -1, -1, -1), 0), chroma)


def test_chroma_of_a_still_scene_becomes_the_mean():
    chroma = noisy(colors(0.1, -0.1, 30), 0.02)
    luma = noisy(ground().expand(30, -1, -1, -1), 0.01)
    result = stabilized(chroma, luma, 1, look_ahead=0)
    assert torch.equal(result[0], chroma[0])
    assert (result[-1] - chroma.mean(0)).abs().mean() < 0.002
    assert chroma[15:].std(0).mean() > 8 * result[15:].std(0).mean()


def test_the_frames_ahead_tell_what_is_new():
    chroma = noisy(colors(0.1, -0.1, 30), 0.02)
    luma = noisy(ground().expand(30, -1, -1, -1), 0.01)
    taken = []
    film = (taken.append(batch) or batch for batch in batches(chroma, luma, 1))
    first = next(stabilize_chroma(film))
    assert len(taken) == LOOK_AHEAD + 1
    known = chroma[: LOOK_AHEAD + 1].mean(0)
    assert (first - known).abs().mean() < 0.3 * (chroma[0] - known).abs().mean()


def test_a_cut_ends_what_the_frames_ahead_can_tell():
    luma = torch.cat((ground(0).expand(8, -1, -1, -1), ground(9).expand(8, -1, -1, -1)))
    chroma = torch.cat((colors(0.1, -0.1, 8), noisy(colors(-0.1, 0.1, 8), 0.02)))
    alone = stabilized(chroma[8:], luma[8:])
    assert torch.equal(stabilized(chroma, luma), torch.cat((chroma[:8], alone)))


def test_batches_do_not_change_the_numbers():
    luma = torch.cat([ground().roll(i, 3) for i in range(12)])
    chroma = noisy(colors(0.1, -0.1, 12), 0.02)
    parts = torch.stack(list(stabilize_chroma(batches(chroma, luma, 5), look_ahead=4)))
    assert torch.equal(stabilized(chroma, luma, look_ahead=4), parts)


def test_two_films_at_once_know_nothing_of_each_other():
    luma, chroma = ground().expand(16, -1, -1, -1), noisy(colors(0.1, 0.1, 16), 0.02)
    films = [stabilize_chroma(batches(chroma, luma, 3)) for _ in range(2)]
    one, other = zip(*zip(*films, strict=True), strict=True)
    assert torch.equal(torch.stack(one), stabilized(chroma, luma))
    assert torch.equal(torch.stack(one), torch.stack(other))


@pytest.mark.parametrize("detailed", [False, True])
def test_the_number_of_threads_does_not_change_the_numbers(detailed):
    luma = torch.cat([ground(0, 128, 192).roll(i, 3) for i in range(6)])
    chroma = noisy(torch.full((6, 2, 128, 192), 0.1), 0.02)
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(stabilized(chroma, luma, detailed=detailed))
    torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("given", [True, False])
def test_a_cut_is_clean_to_the_frame(given):
    luma = torch.cat((ground(0).expand(8, -1, -1, -1), ground(9).expand(8, -1, -1, -1)))
    chroma = torch.cat((colors(0.1, -0.1, 8), colors(-0.1, 0.1, 8)))
    cuts = [i == 8 for i in range(16)] if given else None
    assert torch.equal(stabilized(chroma, luma, 1, cuts), chroma)


def dissolve(length: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Chroma and luma of two pictures, 28 frames each with a dissolve between."""
    share = ((torch.arange(56.0) - 28 + length / 2) / length).clamp(0, 1).view(-1, 1, 1, 1)
    chroma = torch.lerp(colors(0.04, -0.04, 56), colors(-0.04, 0.04, 56), share)
    return chroma, noisy(torch.lerp(ground(0), ground(9), share), 0.005)


def test_a_dissolve_leaves_little_of_the_old_colors():
    chroma, luma = dissolve()
    error = (stabilized(chroma, luma) - chroma).abs().mean((1, 2, 3))
    assert error[44:].max() < 0.1 * 0.08


def test_batches_do_not_change_a_dissolve():
    chroma, luma = dissolve()
    parts = torch.stack(list(stabilize_chroma(batches(chroma, luma, 3))))
    assert (stabilized(chroma, luma) - parts).abs().max() < 1e-6


def test_a_shot_may_have_a_size_of_its_own():
    large, chroma = colors(0.1, -0.1, 3), torch.full((3, 2, 24, 32), 0.1)
    begins = [True, False, False]
    film = [
        ChromaBatch(large, ground().expand(3, -1, -1, -1), begins),
        ChromaBatch(chroma, ground(1, 24, 32).expand(3, -1, -1, -1), begins),
    ]
    frames = list(stabilize_chroma(film))
    first, second = frames[:3], frames[3:]
    assert (torch.stack(first) - large).abs().max() < 1e-6
    assert (torch.stack(second) - chroma).abs().max() < 1e-6


@pytest.mark.parametrize(
    "light",
    [
        lambda t: (1 + 0.3 * torch.sin(2 * t), 0.0),
        lambda t: (1.0, 0.2 * torch.sin(2 * t)),
        lambda t: (1 - t / 40, 0.0),
    ],
    ids=["gain", "offset", "fade"],
)
def test_exposure_neither_resets_nor_smears(light):
    gain, offset = light(torch.arange(30.0).view(-1, 1, 1, 1))
    chroma = noisy(colors(0.1, -0.1, 30), 0.02)
    result = stabilized(chroma, (gain * ground() + offset).clamp(0, 1).expand(30, -1, -1, -1))
    assert result[10:].std(0).mean() < 0.25 * chroma[10:].std(0).mean()
    assert (result[10:].mean((0, 2, 3)) - torch.tensor((0.1, -0.1))).abs().max() < 0.003


def test_true_colors_fade_with_the_light():
    light = torch.linspace(0.2, 1, 30).view(-1, 1, 1, 1)
    truth = light * colors(0.1, -0.1, 30)
    luma = noisy(light * ground(), 0.005)
    flicker = 0.02 * torch.randn(30, 2, 1, 1, generator=torch.Generator().manual_seed(3))
    result = stabilized(truth + flicker, luma, detailed=True)
    assert (result - truth)[10:].square().mean().sqrt() < 0.3 * 0.02
    assert (stabilized(truth, luma, detailed=True) - truth).abs().mean() < 0.003


@pytest.mark.parametrize("light", [lambda t: 1 + 0.05 * (-1) ** t, lambda t: 1.02**t / 2])
def test_changing_light_does_not_stop_the_look_ahead(light):
    light = light(torch.arange(20.0)).view(-1, 1, 1, 1)
    truth = light * colors(0.1, -0.1, 20)
    chroma = noisy(truth, 0.01)
    result = stabilized(chroma, light * ground(), detailed=True)
    assert (result - truth)[:3].std() < 0.5 * (chroma - truth)[:3].std()


@pytest.mark.parametrize("detailed", [True, False])
def test_a_flash_leaves_the_colors_as_they_were(detailed):
    luma = ground().repeat(20, 1, 1, 1)
    luma[12] = 1.0
    chroma = noisy(colors(0.1, -0.1, 20), 0.02)
    chroma[12] = 0
    result = stabilized(chroma, luma, detailed=detailed)
    assert (result[13:].mean((0, 2, 3)) - torch.tensor((0.1, -0.1))).abs().max() < 0.015
    assert (result[13] - result[11]).abs().mean() < 0.02


def test_a_moving_object_leaves_no_ghost_and_keeps_its_color():
    frames, side = 24, 20
    luma = ground().mul(0.6).repeat(frames, 1, 1, 1)
    truth = colors(-0.05, 0.05, frames)
    inside = torch.zeros(frames, 1, HEIGHT, WIDTH, dtype=torch.bool)
    for i in range(frames):
        inside[i, :, 22 : 22 + side, 3 * i : 3 * i + side] = True
    luma[inside] = 0.5 + luma[inside]
    truth = torch.where(inside, -truth, truth)
    result = stabilized(truth, noisy(luma, 0.01))
    left = torch.stack([inside[max(0, i - 8) : i + 1].any(0) for i in range(frames)]) & ~inside
    error = (result - truth)[:, 1:].abs() / 0.1
    assert error[left].mean() < 0.03  # most of it in the mixed pixels of the edge
    assert error[inside].mean() < 0.03


def test_colors_follow_a_pan():
    wide, tint = ground(4, HEIGHT, 256), ground(5, HEIGHT, 256).sub(0.45).mul(0.4)
    luma = torch.cat([wide[..., 3 * i : 3 * i + WIDTH] for i in range(24)])
    truth = torch.cat([tint[..., 3 * i : 3 * i + WIDTH] for i in range(24)]).repeat(1, 2, 1, 1)
    chroma = noisy(truth, 0.03)
    error = (stabilized(chroma, luma) - truth)[12:, :, :, :-40]
    assert error.square().mean().sqrt() < 0.4 * 0.03


def test_what_comes_into_view_is_corrected_as_what_is_around():
    wide, tint = ground(4, HEIGHT, 256), ground(5, HEIGHT, 256).sub(0.45).mul(0.4)
    luma = torch.cat([wide[..., 3 * i : 3 * i + WIDTH] for i in range(24)])
    truth = torch.cat([tint[..., 3 * i : 3 * i + WIDTH] for i in range(24)]).repeat(1, 2, 1, 1)
    flicker = 0.03 * torch.randn(24, 2, 1, 1, generator=torch.Generator().manual_seed(3))
    result = stabilized(truth + flicker, luma, detailed=True, look_ahead=0)
    new = (result - truth)[8:, ..., -6:]  # in view for two frames at most
    assert new.std(0).mean() < 0.5 * flicker[8:].std(0).mean()


def test_a_lasting_change_of_color_comes_through():
    chroma = torch.cat((colors(0.1, 0.0, 20), colors(0.0, 0.1, 20)))
    luma = ground().expand(40, -1, -1, -1)
    result = stabilized(noisy(chroma, 0.005), luma)
    assert (result[28:] - chroma[28:]).abs().mean() < 0.01


def test_stability_1_holds_through_a_change_of_color():
    chroma = torch.cat((colors(0.1, 0.0, 20), colors(0.0, 0.1, 20)))
    result = stabilized(chroma, ground().expand(40, -1, -1, -1), 1)
    assert (result[-1] - chroma.mean(0)).abs().max() < 0.01


def test_above_the_default_colors_hold_through_dirt():
    random = torch.Generator().manual_seed(3)
    dirt = (torch.rand(40, 1, HEIGHT // 8, WIDTH // 8, generator=random) < 0.1).float()
    dirt = interpolate(dirt, (HEIGHT, WIDTH), mode="nearest")
    luma = noisy(ground() + 0.08 * dirt, 0.004)
    chroma = noisy(colors(0.1, -0.1, 40), 0.02)
    default, more, most = (
        stabilized(chroma, luma, stability)[12:].std(0).mean() for stability in (0.5, 0.75, 1)
    )
    assert most < 0.7 * more < 0.7 * 0.7 * default


def test_flicker_of_images_goes_and_keeps_the_luma():
    frames, height, width = 24, 200, 260
    random = torch.Generator().manual_seed(0)
    luma = ground(6, height, width).squeeze(0).squeeze(0)
    detail = 0.05 * torch.randn(height, width, generator=random)
    true = torch.stack((luma + detail, luma, luma - 0.1), dim=-1).clamp(0.1, 0.9)
    tint = torch.rand(frames, 3, 3, 4, generator=random).mul(2).sub(1).mul(10 / 255)
    tint = interpolate(tint, (height, width), mode="bilinear").permute(0, 2, 3, 1)
    film = true + tint - (tint * torch.tensor((0.299, 0.587, 0.114))).sum(-1, keepdim=True)
    result = torch.stack(list(stabilize_images(film.split(7))))

    def planes(x):
        return x.permute(0, 3, 1, 2)

    def wobble(x):
        return rgb_to_chroma(planes(x))[8:].std(0).mean()

    assert (rgb_to_luma(planes(result)) - rgb_to_luma(planes(film))).abs().max() < 1e-5
    assert wobble(result) < 0.2 * wobble(film)
    detail_lost = rgb_to_chroma(planes(result[-1:] - film[-1:])) - box_mean(
        rgb_to_chroma(planes(result[-1:] - film[-1:])), 9
    )
    assert detail_lost.abs().mean() < 0.0005
    assert torch.equal(torch.stack(list(stabilize_images([film], FilmOptions(0)))), film)


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="stability is 1.5"):
        stabilize_chroma([], 1.5)
    with pytest.raises(ValueError, match="alpha"):
        list(stabilize_images([torch.zeros(1, 8, 8, 4)]))


@pytest.mark.parametrize("detailed", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 5), (33, 31)])
def test_any_size(size, detailed):
    random = torch.Generator().manual_seed(0)
    chroma, luma = torch.rand(3, 2, *size, generator=random), torch.rand(3, 1, *size)
    found = stabilized(chroma - 0.5, luma, detailed=detailed)
    assert found.shape == chroma.shape and found.isfinite().all()
    assert found.abs().max() < 1


def test_coarse_chroma_is_stabilized_by_finer_luma():
    luma = noisy(ground().expand(8, -1, -1, -1), 0.01)
    chroma = noisy(torch.full((8, 2, 12, 20), 0.1), 0.02)
    result = stabilized(chroma, luma)
    assert result.shape == (8, 2, *luma.shape[2:])
    assert torch.equal(result, stabilized(resize(chroma, luma.shape[2:]), luma))
    assert filter_size(24, 42) == (48, 84) and filter_size(64, 100) == (64, 100)


@given(st.integers(1, 2000), st.integers(1, 70_000))
def test_a_strip_is_worked_on_in_no_more_pixels_than_a_long_picture_has(side, length):
    height, width = filter_size(side, length)
    assert height * width <= max(side * length, 16 * 48 * 48 + 2 * (height + width))
    height, width = stabilized_size(side, length)
    assert height * width <= 16 * 128 * 128 + 2 * (height + width)
    if max(side, length) <= 16 * min(side, length):
        short = min(side, length)
        assert filter_size(side, length) == scaled((side, length), max(1.0, 48 / short))
        assert stabilized_size(side, length) == scaled((side, length), min(1.0, 128 / short))


def test_a_strip_is_steadied_in_time():
    """A strip of 8 x 20,000 pixels, as a damaged header makes it, is no reason to hang."""
    size = filter_size(8, 20_000)
    assert size[0] * size[1] <= 160_000
    luma = noisy(torch.full((3, 1, *size), 0.5), 0.01)
    assert stabilized(noisy(torch.full((3, 2, 8, 20_000), 0.1), 0.02), luma).shape[0] == 3


def test_progress_and_cancel_of_images():
    film, calls, checks = torch.rand(1, 16, 24, 3).expand(20, -1, -1, -1), [], []

    def on_progress(done, total, preview):
        calls.append((done, total, preview()))

    frames = list(
        stabilize_images(
            film.split(6), on_progress=on_progress, check=lambda: checks.append(len(calls))
        )
    )
    assert [call[:2] for call in calls] == [(i + 1, 20) for i in range(20)]
    assert all(torch.equal(call[2], frame) for call, frame in zip(calls, frames, strict=True))
    assert checks == [0] * (LOOK_AHEAD + 1) + list(range(1, 20 - LOOK_AHEAD))

    def cancel():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(stabilize_images([film], check=cancel))
    stream = stabilize_images(iter(film.split(6)), FilmOptions(0), on_progress=on_progress)
    assert next(stream) is not None and calls[-1][:2] == (1, 0)
