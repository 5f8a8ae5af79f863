"""The stand-in's nodes of ComfyUI itself, against figures worked out by hand or by other means."""

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.graph import Graph
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.workflow import NodeError, WorkflowError
from colorizationnet.host import io, use
from colorizationnet.nodes import NODES
from colorizationnet.video import probe
from PIL import Image
from video_clips import ffmpeg

BY_ID = {}
with use(StandInHost()):
    BY_ID = {node.GET_SCHEMA().node_id: node for node in CORE_NODES}


class Catch(io.ComfyNode):
    """Keeps whatever a workflow ends in."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Catch",
            inputs=[io.AnyType.Input("value")],
            is_output_node=True,
            is_input_list=True,
        )

    @classmethod
    def execute(cls, value):
        return io.NodeOutput(ui={"values": value})


@pytest.fixture
def host(tmp_path):
    (tmp_path / "in").mkdir()
    return StandInHost(tmp_path / "in", tmp_path / "out", tmp_path / "models")


def call(name, *args, **kwargs):
    return BY_ID[name].execute(*args, **kwargs).args


def result(host, prompt, source):
    """The values of one output, by `[node id, index]`, when the workflow has run."""
    catch = {"class_type": "Catch", "inputs": {"value": source}}
    return Graph({**prompt, "catch": catch}, [*NODES, *CORE_NODES, Catch], host).run()["catch"][
        "values"
    ]


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def ramp(height, width, channels=3, count=1):
    values = torch.arange(count * height * width * channels, dtype=torch.float32)
    return (values / values.numel()).reshape(count, height, width, channels)


def test_a_mask_out_of_a_picture(host):
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0, 0] = 10, 20, 30, 51
    Image.fromarray(rgba).save(host.input / "a.png")
    found = {
        channel: result(
            host, {"1": node("LoadImageMask", image="a.png", channel=channel)}, ["1", 0]
        )
        for channel in ("alpha", "red", "green", "blue")
    }
    for channel, level in (("alpha", 255 - 51), ("red", 10), ("green", 20), ("blue", 30)):
        (mask,) = found[channel]
        assert mask.shape == (1, 2, 3)
        assert mask[0, 0, 0].item() == pytest.approx(level / 255, abs=1e-6)


def test_a_folder_of_pictures_is_a_list_in_the_order_of_names(host):
    (host.input / "album" / "deep").mkdir(parents=True)
    for name, level in (("c.png", 30), ("a.JPG", 10), ("b.webp", 20)):
        Image.new("RGB", (4, 3 + level), (level,) * 3).save(
            host.input / "album" / name, "JPEG" if name.endswith("JPG") else None
        )
    (host.input / "album" / "notes.txt").write_text("no picture")
    prompt = {"1": node("LoadImageDataSetFromFolder", folder="album")}
    pictures = result(host, prompt, ["1", 0])
    assert [tuple(p.shape) for p in pictures] == [(1, 13, 4, 3), (1, 23, 4, 3), (1, 33, 4, 3)]
    levels = [picture.mean().item() * 255 for picture in pictures]
    assert levels == pytest.approx([10, 20, 30], abs=2)  # JPEG and WebP lose some


@pytest.mark.parametrize(
    ("folder", "words"),
    [("..", "leads outside"), ("none", "There is no picture"), (3, "no text to choose by")],
)
def test_a_folder_that_cannot_be_loaded(host, folder, words):
    with pytest.raises(WorkflowError, match=words):
        result(host, {"1": node("LoadImageDataSetFromFolder", folder=folder)}, ["1", 0])


def test_an_empty_folder_is_told(host):
    (host.input / "empty").mkdir()
    (host.input / "empty" / "a.bmp").write_bytes(b"BM")
    with pytest.raises(NodeError, match="holds no PNG, JPEG or WebP"):
        result(host, {"1": node("LoadImageDataSetFromFolder", folder="empty")}, ["1", 0])


def test_nearest_and_area():
    image = torch.tensor([[0.0, 1.0], [0.5, 0.25]])[None, :, :, None].expand(1, 2, 2, 3)
    (nearest,) = call("ImageScale", image, "nearest-exact", 4, 4, "disabled")
    assert torch.equal(nearest, image.repeat_interleave(2, 1).repeat_interleave(2, 2))
    (area,) = call("ImageScale", image, "area", 1, 1, "disabled")
    assert area.flatten().tolist() == pytest.approx([1.75 / 4] * 3)


def test_lanczos_is_pillows():
    image = ramp(20, 30)
    (found,) = call("ImageScaleBy", image, "lanczos", 0.5)
    picture = Image.fromarray((image[0].numpy() * 255).astype(np.uint8))
    expected = np.asarray(picture.resize((15, 10), Image.Resampling.LANCZOS)) / np.float32(255)
    assert found.shape == (1, 10, 15, 3)
    assert np.allclose(found[0].numpy(), expected, atol=1e-6)
    (grey,) = call("ImageScaleBy", image[..., :1], "lanczos", 0.5)
    assert grey.shape == (1, 10, 15, 1)


def kernel(x, method):
    """Of linear and of cubic convolution (Keys 1981, a = -0.75) at the distance ``x``."""
    x, a = abs(x), -0.75
    if method == "bilinear":
        return max(0.0, 1 - x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_smooth_scaling_by_its_kernel(method):
    row = torch.rand(16, generator=torch.Generator().manual_seed(1))
    image = row[None, None, :, None].expand(1, 8, 16, 3)
    (found,) = call("ImageScale", image, method, 32, 8, "disabled")
    for position in range(6, 26):
        at = (position + 0.5) / 2 - 0.5
        expected = sum(row[n].item() * kernel(n - at, method) for n in range(16))
        assert found[0, 4, position, 0].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(0, 0, (20, 30)), (15, 0, (10, 15)), (0, 40, (40, 60)), (7, 9, (9, 7))],
)
def test_a_side_of_zero_keeps_the_aspect(width, height, size):
    (found,) = call("ImageScale", ramp(20, 30), "bilinear", width, height, "disabled")
    assert found.shape[1:3] == size


def test_a_centred_crop_before_scaling():
    image = torch.zeros(1, 2, 6, 3)
    image[:, :, 2:4] = 1.0  # the middle square
    (found,) = call("ImageScale", image, "area", 1, 1, "center")
    assert found.flatten().tolist() == [1.0] * 3


def test_crop_stays_inside():
    image = ramp(4, 5)
    (part,) = call("ImageCrop", image, 2, 3, 1, 1)
    assert torch.equal(part, image[:, 1:4, 1:3])
    (corner,) = call("ImageCrop", image, 9, 9, 9, 9)
    assert torch.equal(corner, image[:, 3:, 4:])
    (boxed,) = call("ImageCropV2", image, {"x": 1, "y": 1, "width": 2, "height": 3})
    assert torch.equal(boxed, part)


@pytest.mark.parametrize("box", [{"x": "a"}, "all", {"width": 1.5}])
def test_a_box_that_is_none(host, box):
    Image.new("RGB", (4, 3)).save(host.input / "a.png")
    prompt = {"1": node("LoadImage", image="a.png")}
    prompt["2"] = node("ImageCropV2", image=["1", 0], crop_region=box)
    with pytest.raises(WorkflowError, match="crop_region is not x, y, width and height"):
        result(host, prompt, ["2", 0])


def test_inverting():
    image, mask = ramp(3, 4), ramp(3, 4)[..., 0]
    assert torch.equal(call("ImageInvert", image)[0], 1 - image)
    assert torch.equal(call("InvertMask", mask)[0], 1 - mask)


def test_batches_of_another_size_and_with_alpha():
    first, second = torch.zeros(2, 4, 4, 4), torch.ones(1, 8, 16, 3) * 0.5
    (found,) = call("ImageBatch", first, second)
    assert found.shape == (3, 4, 4, 4)
    assert torch.equal(found[:2], first)
    assert torch.allclose(found[2, ..., :3], torch.tensor(0.5))
    assert torch.equal(found[2, ..., 3], torch.ones(4, 4))


def test_rebatching(host):
    images = [ramp(2, 2, count=3), ramp(2, 2, count=2)]
    (found,) = call("RebatchImages", images, [2])
    assert [len(batch) for batch in found] == [2, 2, 1]
    assert torch.equal(torch.cat(found), torch.cat(images))
    with pytest.raises(ValueError, match="more than one size"):
        call("RebatchImages", [ramp(2, 2), ramp(3, 3)], [2])


def test_masks_and_pictures():
    image = ramp(3, 4, channels=4)
    for index, channel in enumerate(("red", "green", "blue", "alpha")):
        assert torch.equal(call("ImageToMask", image, channel)[0], image[..., index])
    (grey,) = call("MaskToImage", image[..., 0])
    assert torch.equal(grey, image[..., :1].expand(-1, -1, -1, 3))
    assert call("MaskToImage", image[0, ..., 0])[0].shape == (1, 3, 4, 3)
    with pytest.raises(ValueError, match="no alpha"):
        call("ImageToMask", ramp(3, 4), "alpha")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("PrimitiveString", "text"),
        ("PrimitiveStringMultiline", "a\nb"),
        ("PrimitiveInt", -5),
        ("PrimitiveFloat", 0.25),
        ("PrimitiveBoolean", True),
    ],
)
def test_primitives_hand_on_their_value(host, kind, value):
    assert result(host, {"1": node(kind, value=value)}, ["1", 0]) == [value]


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_a_primitive_of_no_number_is_refused(host, value):
    with pytest.raises(WorkflowError, match="which is no FLOAT"):
        result(host, {"1": node("PrimitiveFloat", value=value)}, ["1", 0])


def test_painting_over_a_picture(host):
    strokes = np.zeros((64, 64, 4), np.uint8)
    strokes[:32] = 255, 0, 0, 51
    Image.fromarray(strokes).save(host.input / "strokes.png")
    Image.new("RGB", (64, 64), (0, 0, 255)).save(host.input / "a.png")
    sizes = {"width": 64, "height": 64}
    prompt = {
        "1": node("LoadImage", image="a.png"),
        "2": node("Painter", image=["1", 0], mask="strokes.png", bg_color="#000000", **sizes),
        "3": node("Painter", mask="", bg_color="#ff8000", **sizes),
    }
    (over,) = result(host, prompt, ["2", 0])
    assert over[0, 0, 0].tolist() == pytest.approx([0.2, 0, 0.8], abs=1e-6)
    assert over[0, 63, 0].tolist() == pytest.approx([0, 0, 1])
    (mask,) = result(host, prompt, ["2", 1])
    assert mask[0, [0, 63], 0].tolist() == pytest.approx([0.2, 0])
    (plain,) = result(host, prompt, ["3", 0])
    assert plain.shape == (1, 64, 64, 3)
    assert plain[0, 5, 5].tolist() == pytest.approx([1, 128 / 255, 0])
    assert not result(host, prompt, ["3", 1])[0].any()


def test_comparing_shows_nothing(host):
    Image.new("RGB", (4, 3)).save(host.input / "a.png")
    prompt = {
        "1": node("LoadImage", image="a.png"),
        "2": node("ImageCompare", image_a=["1", 0], compare_view={"__value__": ["", ""]}),
    }
    assert Graph(prompt, CORE_NODES, host).run() == {}


# Clips


@pytest.fixture
def film(host):
    """A second of 25 frames, each of its own grey, with sound."""
    path = host.input / "film.mp4"
    grey = "geq=lum='40+8*N':cb=128:cr=128"
    ffmpeg(
        *("-f", "lavfi", "-i", f"color=size=32x16:rate=25:duration=1,format=yuv420p,{grey}"),
        *("-f", "lavfi", "-i", "sine=440:duration=1:sample_rate=48000", "-shortest"),
        *("-c:v", "libx264", "-qp", "0", "-g", "10", path),
    )
    return path


def level(frame_number):
    return (40 + 8 * frame_number - 16) / 219


LOAD = {"1": node("LoadVideo", file="film.mp4")}


def test_taking_a_clip_apart(host, film):
    prompt = {**LOAD, "2": node("GetVideoComponents", video=["1", 0])}
    images, audio, fps, depth, space = (result(host, prompt, ["2", i])[0] for i in range(5))
    assert images.shape == (25, 16, 32, 3)
    found = images.mean(dim=(1, 2, 3)).tolist()
    assert found == pytest.approx([level(n) for n in range(25)], abs=1 / 255)
    assert audio["sample_rate"] == 48000
    assert audio["waveform"].shape[:2] == (1, 1)
    assert audio["waveform"].shape[2] == pytest.approx(48000, abs=2048)
    assert (fps, depth, space) == (25.0, 8, "sRGB")


@pytest.mark.parametrize(
    ("start", "duration", "frames"),
    [(0.2, 0.4, range(5, 15)), (0.8, 0.0, range(20, 25)), (-0.2, 0.0, range(20, 25))],
)
def test_a_part_of_a_clip(host, film, start, duration, frames):
    cut = node(
        "Video Slice", video=["1", 0], start_time=start, duration=duration, strict_duration=False
    )
    prompt = {**LOAD, "2": cut, "3": node("GetVideoComponents", video=["2", 0])}
    (images,) = result(host, prompt, ["3", 0])
    found = images.mean(dim=(1, 2, 3)).tolist()
    assert found == pytest.approx([level(n) for n in frames], abs=1 / 255)
    prompt["4"] = node(
        "SaveVideo", video=["2", 0], filename_prefix="cut", format="mp4", codec="auto"
    )
    Graph(prompt, [*NODES, *CORE_NODES], host).run()
    saved = probe(host.output / "cut_00001_.mp4")
    assert saved.frame_count == len(frames) and saved.audio


def test_a_part_of_a_part(host, film):
    first = dict(start_time=0.2, duration=0.0, strict_duration=False)
    second = dict(start_time=0.2, duration=0.2, strict_duration=True)
    prompt = {
        **LOAD,
        "2": node("Video Slice", video=["1", 0], **first),
        "3": node("Video Slice", video=["2", 0], **second),
        "4": node("GetVideoComponents", video=["3", 0]),
    }
    (images,) = result(host, prompt, ["4", 0])
    found = images.mean(dim=(1, 2, 3)).tolist()
    assert found == pytest.approx([level(n) for n in range(10, 15)], abs=1 / 255)


def test_more_than_there_is(host, film):
    cut = node("Video Slice", video=["1", 0], start_time=0.5, duration=2.0, strict_duration=True)
    with pytest.raises(NodeError, match="lasts 1 s, so 2 s from 0.5 s on are not there"):
        result(host, {**LOAD, "2": cut}, ["2", 0])


def test_putting_a_clip_together(host, film):
    prompt = {
        **LOAD,
        "2": node("GetVideoComponents", video=["1", 0]),
        "3": node("CreateVideo", images=["2", 0], audio=["2", 1], fps=12.5),
        "4": node("SaveVideo", video=["3", 0], filename_prefix="made", format="mp4", codec="auto"),
        "5": node("GetVideoComponents", video=["3", 0]),
    }
    (images,) = result(host, prompt, ["5", 0])
    assert images.shape == (25, 16, 32, 3)
    made = probe(host.output / "made_00001_.mp4")
    assert (made.frame_count, float(made.fps), made.codec) == (25, 12.5, "h264")
    assert made.audio


def test_a_made_clip_is_coloured(host, film):
    prompt = {
        **LOAD,
        "2": node("GetVideoComponents", video=["1", 0]),
        "3": node("CreateVideo", images=["2", 0], fps=25.0),
        "4": node("ColorizationNetLoadModel", model_name="colorizationnet.safetensors",
                  precision="auto"),
        "5": node("ColorizationNetColorizeVideo", model=["4", 0], video=["3", 0], render_size=32,
                  strength=1.0, saturation=1.0, stability=0.5, crf=0),
        "6": node("GetVideoComponents", video=["5", 0]),
    }  # fmt: skip
    (images,) = result(host, prompt, ["6", 0])
    luma = images @ torch.tensor([0.299, 0.587, 0.114])
    expected = torch.tensor([level(n) for n in range(25)])
    assert (luma.mean(dim=(1, 2)) - expected).abs().max() < 3 / 255
