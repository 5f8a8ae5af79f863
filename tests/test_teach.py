"""Teaching a network the colours of reference images."""

import pytest
import torch
from colorizationnet.model import Colorizer, load_model
from colorizationnet.model.color import rgb_to_chroma
from colorizationnet.model.teach import teach

QUICK = {"steps": 40, "render_size": 24}


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
    coloured = Colorizer(network, render_size=size, precision="fp32")(grey(image)[None])[0]
    difference = rgb_to_chroma((coloured - image).movedim(-1, 0))
    return difference.square().sum(0).mean().sqrt().item()


def test_it_learns_the_colours_and_finds_them_in_another_frame(base):
    taught = teach(base, [two_colours()], **QUICK)
    moved = two_colours(shift=7)
    without = rgb_to_chroma(moved.movedim(-1, 0)).square().sum(0).mean().sqrt().item()
    assert chroma_error(taught, moved) < 0.3 * without
    assert chroma_error(taught, moved) < 0.3 * chroma_error(base, moved)


def test_same_arguments_same_network(base):
    first, second = (teach(base, [two_colours()], steps=6, render_size=24) for _ in range(2))
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key])


def test_the_given_network_is_untouched(base):
    before = {key: tensor.clone() for key, tensor in base.state_dict().items()}
    teach(base, [two_colours()], steps=5, render_size=24)
    assert all(torch.equal(tensor, before[key]) for key, tensor in base.state_dict().items())
    assert not any(p.requires_grad for p in base.parameters())


def test_inside_inference_mode_with_a_network_made_there(base):
    with torch.inference_mode():
        network = load_model()
        image = two_colours().clone()
        taught = teach(network, [image], masks=[torch.ones(64, 96)], steps=8, render_size=24)
        assert chroma_error(taught, image) < chroma_error(network, image)


def test_progress_hears_every_step_and_may_cancel(base):
    heard = []

    class Cancelled(Exception):
        pass

    def progress(done, total, error):
        heard.append((done, total, error))
        if done == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        teach(base, [two_colours()], steps=20, render_size=24, progress=progress)
    assert [done for done, _, _ in heard] == [1, 2, 3, 4]
    assert all(total == 20 and error > 0 for _, total, error in heard)


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
        teach(base, references, masks=masks, steps=2)
