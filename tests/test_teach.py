"""Teaching a network the colours of reference images."""

import argparse
import sys

import pytest
import torch
from colorizationnet.headless import teach as command
from colorizationnet.model import load_model
from colorizationnet.model.color import rgb_to_chroma
from colorizationnet.model.colorizationnet.reference_set import UNIT_SCALE, ReferenceSet
from colorizationnet.model.colorizationnet.teach import held_out_error, predict_parity, roughness
from colorizationnet.options import ColorOptions, TeachOptions
from colorizationnet.pipeline import colorize_images, teach
from PIL import Image

QUICK = TeachOptions(steps=24, render_size=24)


@pytest.fixture(scope="module")
def base():
    return load_model()


def two_colours(shift: int = 0) -> torch.Tensor:
    """``(64, 96, 3)``: a dark half in red and a light half in blue, with some texture."""
    red = torch.tensor([0.6, 0.15, 0.15])
    blue = torch.tensor([0.45, 0.7, 0.95])
    image = blue.expand(64, 96, 3).clone()
    image[:, : 48 + shift] = red
    texture = torch.rand(64, 96, 1, generator=torch.Generator().manual_seed(shift))
    return (image * (0.9 + 0.1 * texture)).clamp(0, 1)


def grey(image: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114])
    return (image @ weights).unsqueeze(-1).expand_as(image).contiguous()


def chroma_error(network, image: torch.Tensor) -> float:
    size = int(getattr(network, "metadata", {}).get("render_size", 24))
    coloured = colorize_images(network, grey(image)[None], ColorOptions(render_size=size))[0]
    difference = rgb_to_chroma((coloured - image).movedim(-1, 0))
    return difference.square().sum(0).mean().sqrt().item()


def test_it_learns_the_colours_and_finds_them_in_another_frame(base):
    taught = teach(base, [two_colours()], TeachOptions(steps=60, render_size=24))
    moved = two_colours(shift=7)
    without = rgb_to_chroma(moved.movedim(-1, 0)).square().sum(0).mean().sqrt().item()
    assert chroma_error(taught, moved) < 0.3 * without
    assert chroma_error(taught, moved) < 0.3 * chroma_error(base, moved)


def test_same_arguments_same_network(base):
    first, second = (
        teach(base, [two_colours()], TeachOptions(steps=6, render_size=24)) for _ in range(2)
    )
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key])


def test_the_given_network_is_untouched(base):
    before = {key: tensor.clone() for key, tensor in base.state_dict().items()}
    teach(base, [two_colours()], TeachOptions(steps=5, render_size=24))
    assert all(torch.equal(tensor, before[key]) for key, tensor in base.state_dict().items())
    assert not any(p.requires_grad for p in base.parameters())


def test_inside_inference_mode_with_a_network_made_there(base):
    with torch.inference_mode():
        network = load_model()
        image = two_colours().clone()
        taught = teach(
            network, [image], TeachOptions(steps=8, render_size=24), masks=[torch.ones(64, 96)]
        )
        assert chroma_error(taught, image) < chroma_error(network, image)


def test_progress_hears_every_step_and_may_cancel(base):
    heard = []

    class Cancelled(Exception):
        pass

    def progress(done, total):
        heard.append((done, total))
        if done == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        teach(base, [two_colours()], TeachOptions(steps=20, render_size=24), on_progress=progress)
    assert heard == [(done, 20) for done in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("references", "masks", "sentence"),
    [
        ([], None, "no reference image"),
        ([grey(two_colours())], None, "no colour to learn"),
        ([two_colours()], [torch.zeros(64, 96)], "mask of reference 1 is empty"),
        ([two_colours()], [torch.ones(10, 96)], "96x10 pixels and the image 96x64"),
        ([two_colours()], [None, None], "2 masks for 1 reference"),
        ([two_colours()[..., :1]], None, r"shape \(64, 96, 1\)"),
        ([two_colours()[:1]], None, "one pixel high"),
        ([two_colours() * float("nan")], None, "NaN"),
    ],
)
def test_what_cannot_teach_is_told_in_a_sentence(base, references, masks, sentence):
    with pytest.raises(ValueError, match=sentence):
        teach(base, references, TeachOptions(steps=2), masks=masks)


def test_strokes_spread_to_what_looks_alike(base):
    image = two_colours()
    mask = torch.zeros(64, 96)
    mask[20:26, 8:40] = 1
    mask[40:46, 56:90] = 1
    painted = torch.where(mask[..., None] > 0, image, grey(image))
    taught = teach(base, [painted], QUICK, masks=[mask])
    unpainted = rgb_to_chroma(image.movedim(-1, 0)).square().sum(0).mean().sqrt().item()
    assert chroma_error(taught, image) < 0.5 * unpainted
    # Without the mask the grey counts too, and wins.
    assert chroma_error(taught, image) < chroma_error(teach(base, [painted], QUICK), image)


def test_references_of_several_sizes_and_a_tiny_one(base):
    large = two_colours().repeat_interleave(2, 0).repeat_interleave(2, 1)
    taught = teach(
        base, [large, two_colours(), torch.rand(3, 2, 3)], TeachOptions(steps=3, render_size=24)
    )
    assert all(torch.isfinite(tensor).all() for tensor in taught.state_dict().values())


@pytest.mark.parametrize("rate", [1.0, 1e4])
def test_never_worse_on_what_was_held_out(base, monkeypatch, rate):
    """Also when the descent diverges."""
    monkeypatch.setattr(sys.modules[held_out_error.__module__], "MUON_RATE", 0.05 * rate)
    image = two_colours()
    taught = teach(base, [image], TeachOptions(steps=24, render_size=24, seed=3))
    random = torch.Generator().manual_seed(3)
    views = ReferenceSet([image], [None], 24, torch.device("cpu"), random).validation_views()
    assert sum(float(view.held_out.sum()) for view in views) > 0
    assert held_out_error(taught, views) <= held_out_error(base, views)


def test_one_parity_is_the_network(base):
    luma = torch.rand(1, 1, 20, 26)
    for view in (0, 1, 2, 3):
        rows, columns = slice(view // 2, None, 2), slice(view % 2, None, 2)
        expected = base(luma)[..., rows, columns]
        assert torch.allclose(predict_parity(base, luma[..., rows, columns]), expected, atol=1e-5)


def test_a_thin_stroke_keeps_its_colour_when_shrunk():
    image = torch.full((96, 96, 3), 0.5)
    mask = torch.zeros(96, 96)
    image[48], mask[48] = torch.tensor([0.9, 0.4, 0.3]), 1
    random = torch.Generator().manual_seed(0)
    view = ReferenceSet([image], [mask], 24, torch.device("cpu"), random).views[0][UNIT_SCALE]
    red = rgb_to_chroma(torch.tensor([0.9, 0.4, 0.3]).view(3, 1, 1))
    painted = view.weight[0, 0] > 0
    assert painted.any() and not painted.all()
    assert torch.allclose(view.chroma[0][:, painted], red.view(2, 1).expand(2, painted.sum()))


def test_roughness_spares_edges_in_luma():
    chroma = torch.zeros(1, 2, 8, 8)
    chroma[..., 4:] = 0.3
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 0.5
    assert roughness(chroma, edge) < 1e-6 < roughness(chroma, torch.zeros(1, 1, 8, 8))


def run_command(*arguments) -> list:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["teach", *map(str, arguments)])
    return list(args.main(args))


@pytest.fixture
def frame(tmp_path):
    path = tmp_path / "frame.png"
    Image.fromarray((two_colours() * 255).round().byte().numpy()).save(path)
    return path


def test_the_command_writes_a_model_that_says_where_it_is_from(frame, tmp_path):
    target = tmp_path / "kept" / "shot.safetensors"
    assert run_command(frame, "-o", target, "--steps", 2, "--strokes") == [target]
    metadata = load_model(target).metadata
    assert metadata["base"] == "colorizationnet.safetensors"
    assert metadata["render_size"] == "64"
    assert len(metadata["references"]) == 16


def test_the_command_overwrites_only_when_told_to(frame, tmp_path):
    target = tmp_path / "shot.safetensors"
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="--overwrite"):
        run_command(frame, "-o", target)
    assert target.read_bytes() == b"precious"
    with pytest.raises(ValueError, match=r"\.safetensors"):
        run_command(frame, "-o", tmp_path / "shot.pt")
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        run_command(tmp_path / "nowhere.png", "-o", tmp_path / "new.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frame.png", "shot.safetensors"]
