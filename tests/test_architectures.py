"""The seam for another network, by the toy that CONTRIBUTING's section *A new network* adds."""

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import use
from colorizationnet.model import (
    ARCHITECTURES,
    Architecture,
    WeightsError,
    architectures,
    load_model,
    resize,
    rgb_to_chroma,
    rgb_to_luma,
)
from colorizationnet.nodes import NODES
from colorizationnet.options import ColorOptions, EncodeOptions, FilmOptions
from colorizationnet.pipeline import ClipShots, Shot, colorize_film, colorize_images, teach
from colorizationnet.video import FrameWriter, read_frames
from safetensors.torch import save_file
from torch import nn


class Toy(nn.Module):
    """A `Network` whose chroma is ``slope`` times the luma: bright is warm."""

    detailed = False
    teachable = False

    def __init__(self, slope, metadata):
        super().__init__()
        self.slope = nn.Parameter(slope, requires_grad=False)
        self.metadata = metadata

    def chroma_model(self, options, device="cpu", *, film=False):
        return ToyModel(self.slope.to(device), options)

    def memory_required(self, options, count, height, width, *, film=False):
        return 100 * count * height * width


class ToyModel:
    """Its `ChromaModel`, which looks at 32 pixels on the short side."""

    def __init__(self, slope, options):
        self.device, self._slope, self._gain = slope.device, slope, options.gain

    def input_size(self, height, width):
        scale = min(1.0, 32 / min(height, width))
        return round(height * scale), round(width * scale)

    def chroma(self, luma, check=None):
        return luma * self._slope.view(1, 2, 1, 1) * self._gain

    def rgb(self, luma, check=None):
        return luma.expand(-1, 3, -1, -1)


def detect(names):
    return set(names) == {"slope"}


def load(file):
    (slope,) = file.tensors().values()
    if slope.shape != (2,):
        raise WeightsError(f"{file.path} has no slope for Cb and Cr; get it anew.")
    return Toy(slope, dict(file.metadata))


TOY = Architecture("Toy", detect, load)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setattr(architectures, "ARCHITECTURES", [*ARCHITECTURES, TOY])
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "toy.safetensors"
    save_file({"slope": torch.tensor([-0.2, 0.2])}, path, {"license": "none"})
    return path


def test_it_is_told_from_the_others_by_its_tensors(weights, tmp_path):
    assert (
        isinstance(load_model(weights), Toy) and load_model(weights).metadata["license"] == "none"
    )
    assert not isinstance(load_model(), Toy)
    save_file({"slopes": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="choose a file made for ColorizationNet, DDColor, Toy"):
        load_model(tmp_path / "other.safetensors")


def test_pictures_come_back_in_its_colours_with_their_luma(weights):
    images = torch.rand(2, 90, 121, 3) * 0.5 + 0.25
    found = colorize_images(load_model(weights), images).permute(0, 3, 1, 2)
    luma = rgb_to_luma(images.permute(0, 3, 1, 2))
    assert (rgb_to_luma(found) - luma).abs().max() < 1e-5
    small = resize(luma, ToyModel(torch.zeros(2), ColorOptions()).input_size(90, 121))
    expected = resize(small * torch.tensor([-0.2, 0.2]).view(1, 2, 1, 1), (90, 121))
    assert (rgb_to_chroma(found) - expected).abs().mean() < 0.01


def test_film_and_nodes_take_it_as_it_is(weights, tmp_path):
    clip = tmp_path / "grey.mkv"
    still = (np.random.default_rng(0).random((48, 64, 1)) * 120 + 60).astype(np.uint8)
    with FrameWriter(clip, 64, 48, 25, EncodeOptions("ffv1")) as writer:
        writer.write(np.repeat(np.repeat(still, 3, axis=2)[None], 6, axis=0))
    colorize_film(clip, tmp_path / "film.mkv", load_model(weights), encode=EncodeOptions("ffv1"))
    frames = np.concatenate(list(read_frames(tmp_path / "film.mkv"))).astype(int)
    assert len(frames) == 6 and (frames[..., 0] - frames[..., 2]).mean() > 20

    nodes = {node.GET_SCHEMA().node_id: node for node in NODES}
    with use(StandInHost(tmp_path, tmp_path / "output", tmp_path / "models")):
        model = nodes["ColorizationNetLoadModel"].execute("toy.safetensors", "auto")[0]
        colorize = nodes["ColorizationNetColorizeImages"].execute
        found = colorize(model, torch.full((1, 40, 60, 3), 0.5), -1, 1.0, 1.0)[0]
    assert found[..., 0].min() > found[..., 2].max()


@pytest.mark.parametrize("stability", [0.0, 0.5])
@pytest.mark.parametrize("detailed", [False, True])
def test_what_cannot_be_taught_still_takes_keyframes_colours(
    weights, tmp_path, stability, detailed
):
    """The same scene is as green as the keyframe says; what another shot shows stays warm."""
    random = np.random.default_rng(0)
    scenes = [np.kron(random.random((12, 16)), np.ones((4, 4))) * 100 + 70 for _ in range(2)]
    clip = tmp_path / "grey.mkv"
    with FrameWriter(clip, 64, 48, 25, EncodeOptions("ffv1")) as writer:
        for scene in scenes:
            writer.write(np.repeat(scene.astype(np.uint8)[None, ..., None], 3, 3).repeat(8, 0))
    grey = torch.from_numpy(scenes[0]).float().unsqueeze(-1) / 255
    green = (grey + torch.tensor([-0.1, 0.1, -0.1])).clamp(0, 1)
    network = load_model(weights)
    network.detailed = detailed
    progress, heard = [], []
    colorize_film(
        clip,
        tmp_path / "film.mkv",
        network,
        film=FilmOptions(stability=stability),
        encode=EncodeOptions("ffv1"),
        shots=ClipShots(64, 48, 16, (Shot(0, (3,)), Shot(8, ()))),
        keyframes=green[None],
        on_progress=lambda done, total, preview: progress.append((done, total)),
        on_confidence=lambda *found: heard.append(found),
    )
    assert progress[-1] == (16, 16)  # nothing is taught
    assert [frame for frame, *_ in heard] == list(range(16))
    frames = np.concatenate(list(read_frames(tmp_path / "film.mkv", alpha=False)))
    red, green, blue = np.moveaxis(frames.astype(int), 3, 0)
    assert (green - red)[:8].mean() > 40 and (green - blue)[:8].mean() > 40
    assert (red - green)[8:].mean() > 20 and (green - blue)[8:].mean() > 20


def test_what_cannot_be_taught_says_so(weights):
    with pytest.raises(ValueError, match="cannot be taught"):
        teach(load_model(weights), [torch.rand(32, 32, 3)])
