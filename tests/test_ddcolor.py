"""DDColor behind the same door: random weights, made by the architecture itself."""

import sys

import numpy as np
import pytest
import torch
from colorizationnet.headless import cli
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import use
from colorizationnet.model import WeightsError, load_model, rgb_to_chroma, rgb_to_luma
from colorizationnet.nodes import NODES
from colorizationnet.options import ColorOptions, EncodeOptions
from colorizationnet.pipeline import colorize_film, colorize_images, teach
from colorizationnet.video import FrameWriter, probe, read_frames
from safetensors.torch import save_file

arch = pytest.importorskip(
    "spandrel_extra_arches.architectures.DDColor",
    reason="DDColor needs spandrel-extra-arches: pip install colorizationnet[ddcolor]",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The published tiny variant with fewer layers, whose colours are not all grey."""
    torch.manual_seed(0)
    network = arch.DDColor(
        encoder_name="convnext-t",
        num_output_channels=2,
        last_norm="Spectral",
        num_queries=8,
        dec_layers=3,
    )
    with torch.no_grad():
        for _ in range(4):  # spectral norm measures the weights while it trains
            network.train()(torch.rand(2, 3, 64, 64))
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    state["refine_net.0.0.bias"] = torch.tensor([25.0, -20.0])
    path = tmp_path_factory.mktemp("weights") / "ddcolor.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def ddcolor(weights):
    return load_model(weights)


def test_its_own_ab_come_out(ddcolor):
    grey = torch.rand(1, 1, 64, 64)
    expected = ddcolor.ddcolor(grey.expand(-1, 3, -1, -1))
    model = ddcolor.chroma_model(ColorOptions(render_size=0))
    assert (model.predict_ab(grey) - expected).abs().max() < 1e-3


def test_its_rgb_has_the_lab_that_the_network_gave(ddcolor):
    # Golden by the published formulas in float64.
    grey = torch.full((1, 1, 64, 64), 0.5)
    model = ddcolor.chroma_model(ColorOptions(render_size=0))
    rgb, ab = model.rgb(grey).double(), model.predict_ab(grey).double()
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ],
        dtype=torch.float64,
    )
    white = torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64).view(1, 3, 1, 1)
    x, y, z = (torch.einsum("xr,brhw->bxhw", matrix, linear) / white).pow(1 / 3).unbind(1)
    found = torch.stack((500 * (x - y), 200 * (y - z)), dim=1)
    assert (found - ab).abs().max() < 0.05
    assert (116 * y - 16 - 53.389).abs().max() < 0.05  # L* of a grey of 0.5


@pytest.mark.parametrize("size", [(40, 70), (64, 64), (130, 50)])
def test_luma_and_size_are_kept_whatever_the_aspect(ddcolor, size):
    images = torch.rand(2, *size, 3)
    found = colorize_images(ddcolor, images, ColorOptions(render_size=32))
    luma, kept = (rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (images, found))
    assert found.shape == images.shape and (luma - kept).abs().max() < 1e-5
    assert rgb_to_chroma(found.permute(0, 3, 1, 2)).abs().mean() > 0.02


def test_batches_do_not_change_the_numbers(ddcolor):
    luma = torch.rand(3, 1, 64, 96)
    model = ddcolor.chroma_model(ColorOptions())
    alone = torch.cat([model.chroma(frame[None]) for frame in luma])
    assert (model.chroma(luma) - alone).abs().max() < 1e-5


def test_it_looks_at_its_own_input_area_and_keeps_the_aspect(ddcolor):
    model = ddcolor.chroma_model(ColorOptions())
    assert model.input_size(1080, 1920) == (384, 683)
    assert model.input_size(200, 300) == (200, 300)


def test_scarce_memory_halves_the_batch(ddcolor, monkeypatch):
    model = ddcolor.chroma_model(ColorOptions())
    run, sizes = model._run, []

    def scarce(rgb):
        sizes.append(len(rgb))
        if len(rgb) > 1:
            raise RuntimeError("CUDA out of memory")
        return run(rgb)

    luma = torch.rand(2, 1, 64, 64)
    expected = model.chroma(luma)
    monkeypatch.setattr(model, "_run", scarce)
    assert (model.chroma(luma) - expected).abs().max() < 1e-5
    assert sizes == [2, 1, 1]


def test_film_goes_the_same_way_and_holds_still(ddcolor, tmp_path):
    clip = tmp_path / "grey.mkv"
    still = (np.random.default_rng(0).random((48, 64, 1)) * 255).astype(np.uint8)
    with FrameWriter(clip, 64, 48, 25, EncodeOptions("ffv1")) as writer:
        writer.write(np.repeat(np.repeat(still, 3, axis=2)[None], 6, axis=0))
    colorize_film(
        clip,
        tmp_path / "film.mkv",
        ddcolor,
        ColorOptions(render_size=32),
        encode=EncodeOptions("ffv1"),
    )
    assert probe(tmp_path / "film.mkv").frame_count == 6
    frames = np.concatenate(list(read_frames(tmp_path / "film.mkv"))).astype(int)
    assert np.ptp(frames, axis=3).mean() > 5
    assert np.abs(np.diff(frames, axis=0)).max() <= 2


def test_it_cannot_be_taught_and_says_what_can_be_done(ddcolor):
    with pytest.raises(ValueError, match="cannot be taught; colour keyframes"):
        teach(ddcolor, [torch.rand(32, 32, 3)])


def test_a_host_is_told_its_memory(ddcolor):
    one = ddcolor.memory_required(ColorOptions(), 1, 512, 512)
    assert ddcolor.memory_required(ColorOptions(), 2, 512, 512) == 2 * one
    assert ddcolor.memory_required(ColorOptions(), 100, 512, 512) == 2 * one


VARIANTS = {
    "one scale's decoder": {"decoder_name": "SingleColorDecoder", "dec_layers": 9},
    "batch norm": {"last_norm": "Batch"},
    "weight norm": {"last_norm": "Weight"},
    "larger encoder": {"encoder_name": "convnext-s"},
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_variant_is_told_by_the_tensors_alone(variant, tmp_path):
    torch.manual_seed(0)
    tiny = {"encoder_name": "convnext-t", "last_norm": "Spectral", "num_queries": 5}
    network = arch.DDColor(**tiny | {"num_output_channels": 2, "dec_layers": 3} | variant).eval()
    save_file(dict(network.state_dict()), tmp_path / "any name.safetensors")
    loaded = load_model(tmp_path / "any name.safetensors")
    assert loaded.ddcolor.hyperparameters == network.hyperparameters
    grey = torch.rand(1, 1, 64, 64)
    expected = network(grey.expand(-1, 3, -1, -1))
    found = loaded.chroma_model(ColorOptions(render_size=0)).predict_ab(grey)
    assert (found - expected).abs().max() < 1e-4


def test_the_head_that_published_files_carry_is_left_out(weights, tmp_path, ddcolor):
    state = dict(ddcolor.ddcolor.state_dict())
    state |= {"encoder.arch.head_cls.weight": torch.ones(3, 768)}
    state |= {"encoder.arch.head_cls.bias": torch.ones(3)}
    save_file({key: tensor.half() for key, tensor in state.items()}, tmp_path / "half.safetensors")
    loaded = load_model(tmp_path / "half.safetensors").ddcolor.refine_net[0][0].bias
    assert torch.equal(loaded, torch.tensor([25.0, -20.0]))  # float32 again


@pytest.fixture
def nodes(weights, tmp_path):
    """The nodes on the stand-in host, with the weights in its models folder."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ddcolor.safetensors").symlink_to(weights)
    with use(StandInHost(tmp_path, tmp_path / "output", tmp_path / "models")):
        yield {node.GET_SCHEMA().node_id.removeprefix("ColorizationNet"): node for node in NODES}


def test_the_nodes_list_it_and_colour_with_it(nodes):
    assert "ddcolor.safetensors" in nodes["LoadModel"].define_schema().inputs[0].options
    model = nodes["LoadModel"].execute("ddcolor.safetensors", "auto")[0]
    images = torch.rand(1, 40, 70, 3)
    natural, vivid = (
        nodes["ColorizeImages"].execute(model, images, 32, 1.0, 1.0, look=look)[0]
        for look in ("natural", "vivid")
    )
    calm, strong = (rgb_to_chroma(x.permute(0, 3, 1, 2)) for x in (natural, vivid))
    assert 0.02 < calm.abs().mean() < strong.abs().mean()


def test_the_teach_node_says_that_it_cannot_be_taught_and_what_can_be_done(nodes):
    model = nodes["LoadModel"].execute("ddcolor.safetensors", "auto")[0]
    with pytest.raises(ValueError, match="cannot be taught; colour keyframes") as raised:
        nodes["Teach"].execute(model, torch.rand(1, 32, 32, 3), False, 10)
    assert str(raised.value).count(". ") == 0  # one sentence


def test_without_the_package_one_sentence_says_what_to_install(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches.architectures.DDColor", None)
    with pytest.raises(WeightsError, match="pip install spandrel-extra-arches"):
        load_model(weights)


def test_half_a_file_is_refused_by_name(weights, tmp_path, ddcolor):
    state = dict(ddcolor.ddcolor.state_dict())
    for key in [key for key in state if "color_decoder" in key]:
        del state[key]
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(WeightsError, match="half.safetensors does not hold whole DDColor"):
        load_model(tmp_path / "half.safetensors")


def test_pickled_weights_are_converted_without_running_their_code(ddcolor, tmp_path, capsys):
    pickled = tmp_path / "ddcolor.pth"
    torch.save({"params": ddcolor.ddcolor.state_dict()}, pickled)
    with pytest.raises(WeightsError, match="colorizationnet convert"):
        load_model(pickled)
    assert cli.main(["convert", str(pickled)]) == 0
    target = tmp_path / "colorization" / "ddcolor.safetensors"  # its folder is made
    assert cli.main(["convert", str(pickled), "-o", str(target)]) == 0
    assert target.read_bytes() == (tmp_path / "ddcolor.safetensors").read_bytes()
    converted = load_model(target)
    for key, tensor in converted.ddcolor.state_dict().items():
        assert torch.equal(tensor, ddcolor.ddcolor.state_dict()[key])


def test_a_pickle_with_code_is_refused(tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    torch.save({"params": {"weight": Trap()}}, tmp_path / "trap.pth")
    assert cli.main(["convert", str(tmp_path / "trap.pth")]) == 2
    assert "trap.pth is not a file of plain tensors" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["trap.pth"]
