"""The training room: photos in, weights and figures out."""

import functools
import json
import math

import numpy as np
import pytest
import torch
from colorizationnet.model import ColorizationNet, load_model, save_model
from colorizationnet.model.color import merge, rgb_to_chroma, rgb_to_luma
from colorizationnet.model.colorizationnet.muon import orthogonalize
from colorizationnet.training import evaluate, publish, train
from colorizationnet.training.balance import weigh
from colorizationnet.training.data import (
    Photos,
    as_seen,
    find_photos,
    folds,
    read_photo,
    read_photos,
    split,
)
from colorizationnet.training.degrade import degrade
from colorizationnet.training.metrics import (
    ChromaScore,
    ciede2000,
    colorfulness,
    delta_e,
    psnr,
    unevenness,
    wrong_and_loud,
)
from colorizationnet.training.teacher import Teacher, soft_targets
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image


def write_photo(path, seed, size=(72, 48)):
    """A picture of blue above and green below, so that there is something to learn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    rng = np.random.default_rng(seed)
    pixels = np.where(np.arange(height)[:, None, None] < height / 2, (90, 140, 220), (70, 120, 40))
    pixels = pixels + rng.normal(0, 12, (height, width, 3)) + rng.normal(0, 8, 3)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    rows = ["file\tsource\torigin\tlicence\tattribution"]
    for number in range(60):
        name = f"walls/{number:03d}.jpg"
        write_photo(folder / name, number, size=(72, 48) if number % 3 else (48, 72))
        rows.append(f"{name}\twalls\tphoto {number // 2}\tCC0\t")
    (folder / "MANIFEST.tsv").write_text("\n".join(rows))
    return folder


# ----- data


def test_crops_of_one_photo_stay_on_one_side(photos):
    training, validation = split(photos)
    assert len(training) + len(validation) == 60
    assert training and validation

    def origins(paths):
        return {int(path.stem) // 2 for path in paths}

    assert not origins(training) & origins(validation)


def test_the_split_of_a_photo_does_not_change_when_photos_are_added(photos):
    before = set(split(photos)[1])
    write_photo(photos / "new" / "000.jpg", 99)
    assert before <= set(split(photos)[1])


def test_too_few_photos_for_a_split_say_so(tmp_path):
    write_photo(tmp_path / "only.jpg", 0)
    with pytest.raises(ValueError, match="too few photos"):
        split(tmp_path)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no pictures"):
        find_photos(tmp_path)


def test_a_broken_photo_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(ValueError, match="broken.jpg"):
        read_photo(tmp_path / "broken.jpg")


def test_photos_are_reduced_to_the_short_side(photos):
    assert read_photo(photos / "walls/001.jpg", 24).shape == (3, 24, 36)
    assert read_photo(photos / "walls/001.jpg", 480).shape == (3, 48, 72)


def test_the_parts_hold_every_training_photo_once_and_crops_of_one_together(photos):
    parts = folds(photos)
    assert sorted(sum(parts, [])) == sorted(split(photos)[0])
    origins = [{int(path.stem) // 2 for path in part} for part in parts]
    assert sum(map(len, origins)) == len(set.union(*origins))


def test_a_view_is_luma_and_the_chroma_of_the_same_picture(photos):
    data = Photos(read_photos(find_photos(photos), 48))
    generator = torch.Generator().manual_seed(3)
    rgb, told = data.views(8, 24, generator)
    assert told is None
    luma, chroma = as_seen(rgb, 0, generator)
    assert luma.shape[:2] == (8, 1) and chroma.shape[:2] == (8, 2)
    assert luma.shape[2:] == chroma.shape[2:] and min(luma.shape[2:]) == 12
    # Blue above, green below: Cb falls from top to bottom in every one.
    assert (chroma[:, 0, :3].mean((1, 2)) > chroma[:, 0, -3:].mean((1, 2)) + 0.05).all()


@given(smallest=st.floats(0.05, 1), stretch=st.floats(1, 3), seed=st.integers(0, 2**32))
def test_views_are_of_the_asked_size_whatever_they_show(smallest, stretch, seed):
    data = Photos([torch.randint(256, (3, 7, 31), dtype=torch.uint8)])
    views, _ = data.views(
        2, 12, torch.Generator().manual_seed(seed), smallest_crop=smallest, stretch=stretch
    )
    assert min(views.shape[2:]) == 12 and views.min() >= 0 and views.max() <= 1


def smooth_pictures(*sizes):
    """Pictures in which chroma changes slowly, in every direction."""
    coarse = 255 * torch.rand(len(sizes), 3, 3, 4, generator=torch.Generator().manual_seed(4))
    return [
        torch.nn.functional.interpolate(picture[None], size, mode="bicubic")[0].clamp(0, 255).byte()
        for picture, size in zip(coarse, sizes, strict=True)
    ]


def halved(planes):
    return torch.nn.functional.avg_pool2d(planes, 2, ceil_mode=True)


def test_views_of_what_was_told_are_of_the_same_part():
    pictures = smooth_pictures((48, 72), (60, 50), (49, 71))
    told = [halved(rgb_to_chroma(picture / 255)).half() for picture in pictures]
    data = Photos(pictures, targets=told)
    for seed in range(12):
        views, told = data.views(
            4, 24, torch.Generator().manual_seed(seed), smallest_crop=0.3, stretch=1.5
        )
        expected = halved(rgb_to_chroma(views))
        assert told.shape == expected.shape
        assert (told - expected).abs().mean() < 0.005


def rough(color, size=(48, 64)):
    """A picture of one colour and of strong texture."""
    gain = torch.rand(1, 24, 32, generator=torch.Generator().manual_seed(1))
    gain = torch.nn.functional.interpolate(gain[None], size)[0]
    return (gain * torch.tensor(color).view(3, 1, 1)).byte()


def plain(color, size=(48, 64)):
    return torch.tensor(color, dtype=torch.uint8).view(3, 1, 1).expand(3, *size)


GREY, GREEN, BLUE, SKIN = (128, 128, 128), (80, 160, 64), (110, 150, 220), (200, 150, 120)


def top(picture, share):
    """A grey picture with the uppermost part of another."""
    rows = round(share * picture.shape[1])
    return torch.cat((picture[:, :rows], plain(GREY)[:, rows:]), dim=1)


@pytest.mark.parametrize(
    ("picture", "weight"),
    [
        (plain(GREY), 1),
        (rough(GREY), 1),
        (rough(GREEN), 5),
        (plain(GREEN), 1),
        (top(rough(GREEN), 1 / 12), 2.5),
        (top(plain(BLUE), 1 / 3), 3),
        (top(rough(BLUE), 1 / 3), 1),
        (plain(BLUE).div(4).byte(), 1),
        (top(plain(BLUE), 1 / 3).flip(1), 1),
        (plain(SKIN), 4),
        (top(plain(SKIN), 1 / 4), 4),
        (top(plain(SKIN), 1 / 6), 2.9),
        (rough(SKIN), 1),
        (plain((220, 40, 60)), 1),
    ],
)
def test_pictures_weigh_more_by_rough_green_blue_tops_and_skin(picture, weight):
    assert weigh([picture], (4, 2, 3)).item() == pytest.approx(weight, abs=0.4)


def test_foliage_sky_and_skin_add_up():
    picture = torch.cat((plain(BLUE)[:, :16], plain(SKIN)[:, :16], rough(GREEN)[:, :16]), dim=1)
    assert weigh([plain(GREY), picture], (4, 2, 3)).tolist() == pytest.approx([1, 10])


def test_pictures_are_seen_by_their_weights():
    data = Photos([plain(GREY), plain(GREEN)], torch.tensor([1.0, 4.0]))
    views, _ = data.views(400, 8, torch.Generator().manual_seed(0))
    seen = (views[:, 1] > views[:, 0] + 0.02).all(-1).all(-1).float().mean()
    assert 0.73 < seen < 0.87  # 4 of 5


def test_views_depend_on_the_generator_alone(photos):
    data = Photos(read_photos(find_photos(photos), 48))

    def views(seed):
        return data.views(4, 12, torch.Generator().manual_seed(seed))[0]

    assert torch.equal(views(1), views(1))
    assert views(1).shape != views(2).shape or not torch.equal(views(1), views(2))


# ----- degradations


def test_an_undegraded_share_is_plain_luma():
    rgb = torch.rand(6, 3, 20, 30)
    clean = degrade(rgb, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(clean, rgb_to_luma(rgb))


@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_degraded_luma_stays_in_range(seed, share):
    generator = torch.Generator().manual_seed(seed)
    luma = degrade(torch.rand(4, 3, 9, 14, generator=generator), share, generator)
    assert luma.shape == (4, 1, 9, 14)
    assert luma.min() >= 0 and luma.max() <= 1


def test_about_the_asked_share_is_degraded():
    rgb = torch.rand(400, 3, 8, 8)
    aged = degrade(rgb, 0.5, torch.Generator().manual_seed(0))
    changed = ((aged - rgb_to_luma(rgb)).abs().amax((1, 2, 3)) > 1e-4).float().mean()
    assert 0.4 < changed < 0.55


# ----- metrics


def test_explained_and_corr_against_plain_numpy():
    generator = torch.Generator().manual_seed(5)
    truths = [torch.randn(2, 5, 7, generator=generator) * 0.1 for _ in range(3)]
    guesses = [0.4 * t + 0.03 * torch.randn(t.shape, generator=generator) + 0.02 for t in truths]
    score = ChromaScore()
    for guess, truth in zip(guesses, truths, strict=True):
        score.add(guess, truth)
    p = np.stack([g.double().numpy() for g in guesses])
    t = np.stack([x.double().numpy() for x in truths])
    assert score.explained == pytest.approx(1 - ((p - t) ** 2).sum() / (t**2).sum())
    p, t = (x - x.mean((0, 2, 3), keepdims=True) for x in (p, t))
    assert score.corr == pytest.approx((p * t).sum() / math.sqrt((p**2).sum() * (t**2).sum()))


def test_a_tint_has_no_corr():
    score = ChromaScore()
    for _ in range(2):
        score.add(torch.full((2, 4, 4), 0.05), torch.randn(2, 4, 4))
    assert math.isnan(score.corr)


def test_unevenness_of_a_slope_on_one_surface_and_on_two():
    """Chroma that rises by 1 level a column differs by 8 levels over the 8 px of a pair."""
    chroma = torch.stack((torch.arange(40) / 255, torch.zeros(40)))[:, None].expand(2, 20, 40)
    even = torch.full((1, 20, 40), 0.5)
    across, down = 20 * 32, 12 * 40  # pairs; down the columns nothing changes
    assert unevenness(chroma, even) == pytest.approx(8 * across / (across + down))
    edged = even.clone()
    edged[..., 20:] = 0.6  # no pair reaches over the edge
    across = 20 * 24
    assert unevenness(chroma, edged) == pytest.approx(8 * across / (across + down))
    rough = torch.arange(20)[:, None].add(torch.arange(40)).remainder(2)[None] * 0.1
    assert math.isnan(unevenness(chroma, rough))


def test_wrong_and_loud_counts_what_is_both():
    truth = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]])[:, None]
    found = torch.tensor([[0.2, -0.2, -0.02, 0.01], [0.0, 0.0, 0.0, 0.3]])[:, None]
    assert wrong_and_loud(found, truth) == 0.25  # the second pixel alone


def test_psnr_of_a_known_error():
    error = psnr(torch.full((3, 4, 4), 0.6), torch.full((3, 4, 4), 0.5))
    assert error == pytest.approx(20, abs=1e-4)


def test_colorfulness_of_red_and_cyan_halves():
    picture = torch.zeros(3, 2, 4)
    picture[0, :, :2] = 1
    picture[1:, :, 2:] = 1
    # rg = +-255 and yb = +-127.5, half of the pixels each; their means are 0.
    spread, tint = colorfulness(picture)
    assert spread == pytest.approx(math.hypot(255, 127.5)) and tint == pytest.approx(0, abs=1e-4)


# Sharma, Wu and Dalal (2005), table 1: pairs 1, 4, 7, 9, 13, 17, 20, 24, 33.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0009), 7.1792),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0009, -2.4900), 4.8045),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.2592, 0.3350), 1.0000),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
]


@pytest.mark.parametrize(("first", "second", "difference"), SHARMA)
def test_ciede2000_of_the_published_pairs(first, second, difference):
    colors = [torch.tensor(value, dtype=torch.float64) for value in first + second]
    assert delta_e(*colors).item() == pytest.approx(difference, abs=1e-4)
    assert delta_e(*colors[3:], *colors[:3]).item() == pytest.approx(difference, abs=1e-4)


def test_ciede2000_of_white_and_black():
    assert ciede2000(torch.ones(3, 2, 2), torch.zeros(3, 2, 2)) == pytest.approx(100, abs=0.01)


# ----- training


def test_orthogonalize_evens_out_the_singular_values():
    matrix = torch.randn(16, 100) * torch.logspace(-1, 1, 16)[:, None]
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.5 and values.max() < 1.3


def test_one_parity_of_the_dilated_network_is_the_undilated_one():
    network = ColorizationNet()
    luma = torch.rand(1, 1, 12, 16)
    whole = network(luma)[..., 1::2, 0::2]
    torch.testing.assert_close(train.undilated(network)(luma[..., 1::2, 0::2]), whole)


def asymmetric(network):
    """Weights that give a mirrored picture other colours than the mirrored ones."""
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.parametrize("network", [Teacher(), train.undilated(ColorizationNet())])
def test_a_mirrored_photo_is_told_the_mirrored_chroma(network):
    (picture,) = smooth_pictures((39, 50))
    told = soft_targets(asymmetric(network), picture, (16, 24))
    assert told.shape == (2, 20, 25) and told.std() > 1e-3
    torch.testing.assert_close(soft_targets(network, picture.flip(2), (16, 24)), told.flip(2))
    assert (told - told.flip(2)).abs().max() > 1e-3


class Looks(torch.nn.Module):
    """Remembers the shapes that it was shown and says that blue is their height."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, luma):
        self.shapes.append(tuple(luma.shape[2:]))
        return luma + luma.new_tensor((0, 0, luma.shape[2])).view(1, 3, 1, 1)


def test_what_is_told_is_the_mean_over_the_sizes():
    (picture,) = smooth_pictures((40, 61))
    looks = Looks()
    told = soft_targets(looks, picture, (8, 16))
    assert set(looks.shapes) == {(8, 12), (16, 24)}
    blue = rgb_to_chroma(torch.tensor((0.0, 0.0, 12.0)).view(3, 1, 1))
    torch.testing.assert_close(told, blue.expand(2, 20, 31))


def test_a_teacher_looks_at_sides_that_it_can_halve(monkeypatch):
    (picture,) = smooth_pictures((40, 61))
    shapes = []
    forward = Teacher.forward

    def remember(self, luma):
        shapes.append(tuple(luma.shape[2:]))
        return forward(self, luma)

    monkeypatch.setattr(Teacher, "forward", remember)
    soft_targets(Teacher().eval(), picture, (24, 40))
    assert set(shapes) == {(24, 40), (40, 64)}


@pytest.fixture
def quick(monkeypatch):
    """Small teachers, and one look at a photo."""
    monkeypatch.setattr(train, "Teacher", functools.partial(Teacher, 8))
    monkeypatch.setattr(train, "TEACHER_TTA_SIZES", (8,))
    monkeypatch.setattr(train, "TTA_SIZES", (8,))


@pytest.mark.parametrize("teacher_steps", [0, 4])
def test_training_learns_blue_above_green_and_writes_all_its_files(
    photos, tmp_path, quick, teacher_steps
):
    output = tmp_path / "net.safetensors"
    train.main(
        [
            str(photos),
            "-o",
            str(output),
            "--steps",
            "40",
            "--batch",
            "4",
            "--sizes",
            "8",
            "--report-every",
            "40",
            "--teacher-steps",
            str(teacher_steps),
        ]
    )
    network = load_model(output)
    assert network.metadata["validation"].startswith("step 40 of 40")
    assert (tmp_path / "net.samples.jpg").is_file()
    teachers = list(tmp_path.glob("net.teacher?.safetensors"))
    assert len(teachers) == (4 if teacher_steps else 0)
    rounds = list(tmp_path.glob("net.round?.safetensors"))
    assert len(rounds) == (2 if teacher_steps else 1)
    truth = read_photo(split(photos)[1][0]).float()[None] / 255
    luma = torch.nn.functional.interpolate(rgb_to_luma(truth), (16, 24), mode="area")
    chroma = rgb_to_chroma(network(luma))[0]
    assert chroma[0, :4].mean() > chroma[0, -4:].mean() + 0.05


def test_photos_are_told_by_who_has_not_seen_them_then_mostly_by_the_network(
    photos, tmp_path, quick, monkeypatch
):
    output = tmp_path / "net.safetensors"
    step = train.Trainer.train
    seen, rounds = {}, []

    def watched_step(trainer, data):
        seen[trainer] = {id(picture) for picture in data.pictures}
        if data.targets:
            told = torch.cat([planes.flatten() for planes in data.targets]).unique().tolist()
            rounds.append((trainer.recipe.trust, trainer.recipe.muon_lr, told))
            if len(rounds) == 2:  # the second round begins with the first one's average
                first = load_model(output).state_dict().values()
                assert all(map(torch.equal, trainer.network.state_dict().values(), first))
        return step(trainer, data)

    def tell_nought_or_one(trainer, pictures, looks):
        is_teacher = isinstance(trainer.network, Teacher)
        assert is_teacher == seen[trainer].isdisjoint(map(id, pictures))
        assert looks == (train.TEACHER_TTA_SIZES if is_teacher else train.TTA_SIZES)
        shapes = [(2, (p.shape[1] + 1) // 2, (p.shape[2] + 1) // 2) for p in pictures]
        return [torch.full(shape, 0.0 if is_teacher else 1.0).half() for shape in shapes]

    monkeypatch.setattr(train.Trainer, "train", watched_step)
    monkeypatch.setattr(train.Trainer, "soft_targets", tell_nought_or_one)
    monkeypatch.setattr(train, "TEACHER_TTA_SIZES", (16,))
    train.main(
        [
            str(photos),
            "-o",
            str(output),
            "--steps",
            "1",
            "--batch",
            "2",
            "--sizes",
            "8",
            "--teacher-steps",
            "1",
        ]
    )
    rate = train.Recipe().muon_lr
    assert rounds == [(0.7, rate, [0]), (0.6, rate / 2, [pytest.approx(0.8, abs=1e-3)])]


def test_the_network_learns_from_what_is_told_too(photos):
    pictures = read_photos(find_photos(photos), 48)
    pink = [
        torch.tensor((-0.1, 0.2)).view(2, 1, 1).expand(2, p.shape[1] // 2, p.shape[2] // 2)
        for p in pictures
    ]
    recipe = train.Recipe(steps=30, batch=4, sizes=(8,), degraded=0, dropout=0)
    reds = []
    for told in (None, pink):
        trainer = train.Trainer(train.student(recipe), recipe, "cpu")
        for _ in range(recipe.steps):
            trainer.train(Photos(pictures, targets=told))
        reds.append(rgb_to_chroma(trainer.average(torch.full((1, 1, 12, 12), 0.5)))[0, 1].mean())
    assert reds[1] > reds[0] + 0.05


class Watched(Photos):
    """Photos that remember what was seen of them."""

    def views(self, *args, **kwargs):
        self.seen = super().views(*args, **kwargs)[0]
        return self.seen, None


def test_seeds_and_steps_draw_different_batches_and_dropout():
    data = Watched(smooth_pictures((24, 36), (24, 36)))

    def draws(seed):
        recipe = train.Recipe(steps=2, batch=2, sizes=(4,), seed=seed)
        trainer = train.Trainer(train.student(recipe), recipe, "cpu")
        for _ in range(2):
            trainer.train(data)
            yield torch.cat((data.seen.flatten(), torch.rand(4)))

    (first, second), (other, _), (again, _) = map(draws, (0, 1, 0))
    assert torch.equal(first, again)
    for different in (second, other):
        assert not torch.equal(first[:-4], different[:-4])  # pictures
        assert not torch.equal(first[-4:], different[-4:])  # what dropout draws from


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(photos, dropout):
    data = Photos(read_photos(find_photos(photos), 32))
    recipe = train.Recipe(steps=8, batch=2, sizes=(8,), dropout=dropout)

    def begin():
        return train.Trainer(train.student(recipe), recipe, "cpu")

    whole = begin()
    for _ in range(8):
        whole.train(data)

    first = begin()
    for _ in range(4):
        first.train(data)
    first.save(checkpoint := photos / "half.round1.safetensors")
    second = begin()
    second.resume(checkpoint)
    assert second.step == 4
    for _ in range(4):
        second.train(data)
    for name, tensor in whole.tensors().items():
        torch.testing.assert_close(second.tensors()[name], tensor, rtol=1e-4, atol=1e-6, msg=name)


def test_a_command_killed_in_any_part_goes_on_as_if_nothing_had_happened(
    photos, tmp_path, quick, monkeypatch
):
    step, save = train.Trainer.train, train.save_model
    steps_left = saves_left = math.inf

    def kill_at_a_step(trainer, data):
        nonlocal steps_left
        steps_left -= 1
        if steps_left < 0:
            raise KeyboardInterrupt
        return step(trainer, data)

    def kill_at_a_save(*args):
        nonlocal saves_left
        saves_left -= 1
        if saves_left < 0:
            raise KeyboardInterrupt
        save(*args)

    monkeypatch.setattr(train.Trainer, "train", kill_at_a_step)
    monkeypatch.setattr(train, "save_model", kill_at_a_save)

    def run(name):
        output = tmp_path / f"{name}.safetensors"
        train.main(
            [
                str(photos),
                "-o",
                str(output),
                "--steps",
                "4",
                "--batch",
                "2",
                "--sizes",
                "8",
                "--report-every",
                "2",
                "--teacher-steps",
                "2",
            ]
        )
        return load_model(output).state_dict()

    whole = run("whole")
    # In the second teacher; in the first round; in the second round; at its last save.
    for steps, saves in ((3, 9), (9, 9), (5, 9), (9, 0)):
        steps_left, saves_left = steps, saves
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    steps_left, saves_left = 2, 1
    for name, tensor in run("killed").items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-4, atol=1e-6, msg=name)


def test_published_weights_are_the_average_and_say_what_they_are(tmp_path):
    for name in "ab":
        save_model(ColorizationNet(), tmp_path / f"{name}.safetensors", {})
    output = tmp_path / "published.safetensors"
    publish.main(
        [
            str(tmp_path / "a.safetensors"),
            str(tmp_path / "b.safetensors"),
            "-o",
            str(output),
            "--shares",
            "3",
            "1",
            "--render-size",
            "48",
            "--saturation",
            "1.5",
            "--tint",
            "0.6",
            "--recipe",
            "two",
            "--data",
            "photos",
            "--figures",
            "none",
        ]
    )
    first, second, mean = (
        load_model(tmp_path / f"{name}.safetensors").state_dict()
        for name in ("a", "b", "published")
    )
    for key, tensor in mean.items():
        torch.testing.assert_close(tensor, 0.75 * first[key] + 0.25 * second[key])
    metadata = load_model(output).metadata
    assert metadata["render_size"] == "48" and metadata["saturation"] == "1.5"


def test_shares_must_match_the_weights():
    with pytest.raises(ValueError, match="2 positive shares"):
        publish.average([ColorizationNet(), ColorizationNet()], [1.0])


# ----- evaluation


def test_baselines_score_as_they_must(photos):
    pictures = [read_photo(path) for path in find_photos(photos)[:6]]
    one_tint, per_level = evaluate.tint_and_levels(pictures)
    grey = evaluate.evaluate(pictures, evaluate.grey)
    assert grey.explained == pytest.approx(0, abs=1e-6)
    assert grey.spread == pytest.approx(0, abs=1e-3)
    truth = evaluate.evaluate(pictures, lambda picture: picture)
    assert truth.explained == 1 and truth.ciede2000 == 0 and math.isinf(truth.psnr)
    tint = evaluate.evaluate(pictures, one_tint)
    levels = evaluate.evaluate(pictures, per_level)
    own = evaluate.evaluate(pictures, evaluate.own_mean)
    assert 0 < tint.explained < levels.explained < 1
    assert tint.explained <= own.explained
    assert grey.under == 0 and grey.blotches == pytest.approx(0, abs=1e-6) and grey.loud == 0
    assert truth.under == 0 and truth.blotches == pytest.approx(1) and truth.loud == 0


def test_every_baseline_keeps_the_luma(photos):
    picture = read_photo(find_photos(photos)[0]).float() / 255
    methods = (
        *evaluate.tint_and_levels([read_photo(find_photos(photos)[1])]),
        evaluate.grey,
        evaluate.own_mean,
        evaluate.own_chroma,
    )
    for method in methods:
        torch.testing.assert_close(
            rgb_to_luma(method(picture)), rgb_to_luma(picture), rtol=0, atol=1e-5
        )


def test_the_command_prints_a_table_and_writes_sheets(photos, tmp_path, capsys):
    sheets, few = tmp_path / "sheets", tmp_path / "few"
    for number in range(3):
        write_photo(few / f"{number}.png", number)
    evaluate.main(
        [
            "--kodak",
            str(few),
            "--photos",
            str(photos),
            "--render-sizes",
            "16",
            "--saturations",
            "1",
            "1.5",
            "--sheets",
            str(sheets),
        ]
    )
    printed = capsys.readouterr().out
    assert "Kodak: 3 pictures" in printed and "| one tint |" in printed
    assert "| natural |" in printed and "| vivid |" in printed
    assert f"| {load_model().metadata['quality']} at 16 px, saturation 1.5 |" in printed
    assert Image.open(sheets / "kodak-00.png").width > 12 * 192


# ----- the shipped weights


def test_the_shipped_weights_say_what_they_are():
    metadata = load_model().metadata
    assert {"recipe", "data", "license", "render_size", "saturation", "tint", "figures"} <= set(
        metadata
    )
    assert int(metadata["render_size"]) > 0 and float(metadata["saturation"]) > 0
    assert json.dumps(metadata).isascii()


def test_the_shipped_weights_know_more_than_a_tint():
    """A made picture, bright above and dark and rough below, gets a bluer top than bottom."""
    rows = torch.linspace(0.85, 0.75, 32)[:, None].expand(32, 96)
    ground = 0.3 + 0.15 * torch.rand(32, 96)
    luma = torch.cat((rows, ground))[None, None]
    chroma = rgb_to_chroma(merge(luma, rgb_to_chroma(load_model()(luma))))[0]
    assert chroma[0, 2:24].mean() > chroma[0, 40:62].mean()
