"""What people share, here and in a real ComfyUI: the editor's form, and graphs of core nodes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from colorizationnet.headless import cli
from colorizationnet.video import read_tags
from PIL import Image
from real_comfyui import skip_without_its_nodes
from test_workflows import get, inputs, pictures, prepare, run

__all__ = ["inputs"]  # a fixture
TEMPLATES = sorted((Path(__file__).parents[2] / "workflows").glob("*.json"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_as_the_editor_saves_it(
    template,
    server,
    base,
    inputs,
    tmp_path,
    capsys,
    monkeypatch,
):
    skip_without_its_nodes(server, json.loads(template.read_text()))
    monkeypatch.chdir(base)
    exported = tmp_path / template.name
    run(capsys, template, "--export", exported)
    before = json.loads(exported.read_text())
    after = json.loads(prepare(exported, tmp_path).read_text())
    changed = [
        f"{number}.{key}={value}"
        for number, node in after.items()
        for key, value in node["inputs"].items()
        if before[number]["inputs"].get(key) != value
    ]
    common = [template, "--input-dir", inputs]
    for setting in changed:
        common += ["--set", setting]
    here = run(capsys, *common, "--output-dir", tmp_path / "here")
    there = run(capsys, *common, "--output-dir", tmp_path / "there", "--server", server)
    assert_same(here, there)


def assert_same(here, there):
    # Other tests have saved under these names on the server, which counts on.
    names = [[re.sub(r"_\d{5}_", "_", path.name) for path in paths] for paths in (here, there)]
    assert here and names[0] == names[1]
    for one, other in zip(here, there, strict=True):
        found, expected = pictures(one), pictures(other)
        assert found.shape == expected.shape, one.name
        assert np.abs(found - expected).max() <= 1 / 255 + 1e-6, one.name


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def scaled(method, **size):
    kind = "ImageScaleBy" if "scale_by" in size else "ImageScale"
    return node(kind, image=["photo", 0], upscale_method=method, **size)


SOURCES = {
    "photo": node("LoadImage", image="colored.png"),
    "clip": node("LoadVideo", file="clip.mp4"),
    "width": node("PrimitiveInt", value=50),
    "half": node("PrimitiveFloat", value=0.5),
    "strict": node("PrimitiveBoolean", value=True),
    "name": node("PrimitiveString", value="by_name"),
    "cut": node(
        "Video Slice",
        video=["clip", 0],
        start_time=0.2,
        duration=0.4,
        strict_duration=["strict", 0],
    ),
    "parts": node("GetVideoComponents", video=["cut", 0]),
    "alpha": node("LoadImageMask", image="strokes.png", channel="alpha"),
    "green": node("LoadImageMask", image="colored.png", channel="green"),
    "red": node("ImageToMask", image=["photo", 0], channel="red"),
    "dark": node("InvertMask", mask=["red", 0]),
    "album": node("LoadImageDataSetFromFolder", folder="album"),
    "painted": node(
        "Painter", image=["photo", 0], mask="strokes.png", width=512, height=512, bg_color="#000000"
    ),
    "blank": node("Painter", mask="", width=64, height=128, bg_color="#336699"),
}
# Each ends in a picture.
PICTURES = {
    "nearest": scaled("nearest-exact", width=70, height=40, crop="disabled"),
    "bilinear": scaled("bilinear", width=["width", 0], height=0, crop="disabled"),
    "area": scaled("area", width=30, height=30, crop="center"),
    "bicubic": scaled("bicubic", width=200, height=150, crop="center"),
    "lanczos": scaled("lanczos", width=77, height=33, crop="disabled"),
    "by_half": scaled("lanczos", scale_by=["half", 0]),
    "crop": node("ImageCrop", image=["photo", 0], width=40, height=30, x=100, y=20),
    "crop2": node(
        "ImageCropV2", image=["photo", 0], crop_region={"x": 5, "y": 6, "width": 9, "height": 300}
    ),
    "inverted": node("ImageInvert", image=["photo", 0]),
    "batch": node("ImageBatch", image1=["photo", 0], image2=["parts", 0]),
    "rebatched": node("RebatchImages", images=["parts", 0], batch_size=3),
    "of_alpha": node("MaskToImage", mask=["alpha", 0]),
    "of_green": node("MaskToImage", mask=["green", 0]),
    "of_dark": node("MaskToImage", mask=["dark", 0]),
    "of_album": node("RebatchImages", images=["album", 0], batch_size=1),
    "of_paint": node("ImageBatch", image1=["painted", 0], image2=["blank", 0]),
    "of_strokes": node("MaskToImage", mask=["painted", 1]),
}


def needed(prompt, wanted):
    """``wanted`` and all that they are linked to."""
    found, rest = {}, list(wanted)
    while rest:
        key = rest.pop()
        if key not in found:
            found[key] = prompt[key]
            values = prompt[key]["inputs"].values()
            rest += [value[0] for value in values if isinstance(value, list)]
    return found


def test_core_nodes(server, base, inputs, tmp_path, capsys):
    strokes = np.zeros((90, 121, 4), np.uint8)
    strokes[20:40, 10:90] = 200, 30, 60, 128
    Image.fromarray(strokes).save(inputs / "strokes.png")
    (inputs / "album").mkdir(exist_ok=True)
    with Image.open(inputs / "colored.png") as image:
        image.save(inputs / "album" / "one.png")  # ComfyUI's order of more than one is by chance
    known = get(server, "/object_info")
    prompt = {}
    for number, name in enumerate(PICTURES):
        branch = needed({**SOURCES, **PICTURES}, [name])
        if all(entry["class_type"] in known for entry in branch.values()):
            saver = node("SaveImage", images=[name, 0], filename_prefix=f"{number:02}_{name}")
            prompt |= branch | {f"save_{name}": saver}
    prompt["name"] = SOURCES["name"]
    prompt["named"] = node("SaveImage", images=["photo", 0], filename_prefix=["name", 0])
    prompt["shown"] = node("PreviewImage", images=["photo", 0])
    if "ImageCompare" in known:
        views = {"image_a": ["photo", 0], "image_b": ["inverted", 0]}
        prompt["compared"] = node("ImageCompare", compare_view={"__value__": ["", ""]}, **views)
    path = tmp_path / "core.json"
    path.write_text(json.dumps(prompt))
    common = [path, "--input-dir", inputs]
    here = run(capsys, *common, "--output-dir", tmp_path / "here")
    there = run(capsys, *common, "--output-dir", tmp_path / "there", "--server", server)
    assert_same(sorted(here), sorted(there))


def test_a_made_clip(server, base, inputs, tmp_path, capsys):
    if "Video Slice" not in get(server, "/object_info"):
        pytest.skip("this ComfyUI cannot cut, and encodes at a quality of its own")
    made = node("CreateVideo", images=["parts", 0], audio=["parts", 1], fps=["parts", 2])
    prompt = needed({**SOURCES, "made": made}, ["made"])
    lossless = {"format.codec": "h264", "format.codec.encoding": "re-encode"}
    lossless |= {"format.codec.encoding.crf": 0.0, "format.codec.encoding.color_space": "auto"}
    prompt["saved"] = node(
        "SaveVideo", video=["made", 0], filename_prefix="made", format="mp4", **lossless
    )
    path = tmp_path / "made.json"
    path.write_text(json.dumps(prompt))
    common = [path, "--input-dir", inputs]
    (here,) = run(capsys, *common, "--output-dir", tmp_path / "here")
    (there,) = run(capsys, *common, "--output-dir", tmp_path / "there", "--server", server)
    found, expected = pictures(here), pictures(there)
    assert found.shape == expected.shape
    # Each has gone through eight-bit YUV once more.
    assert np.abs(found - expected).max() <= 4 / 255


@pytest.mark.parametrize("name", ["photo.png", "clip.mp4"])
def test_a_result_of_colorize_makes_itself_again(
    name, server, base, inputs, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(base)
    made = tmp_path / f"made_{name}"
    lossless = ["--crf", "0"] if name == "clip.mp4" else []
    options = ["--render-size", "64", "-o", str(made), *lossless]
    assert cli.main(["colorize", str(inputs / name), *options]) == 0
    capsys.readouterr()
    common = [made, "--input-dir", inputs]
    (here,) = run(capsys, *common, "--output-dir", tmp_path / "here")
    (there,) = run(capsys, *common, "--output-dir", tmp_path / "there", "--server", server)
    assert_same([here], [there])
    # Save Image cuts levels off where `colorize` rounds them; Save Video copies the streams.
    most = 1 / 255 + 1e-6 if name == "photo.png" else 0
    assert np.abs(pictures(made) - pictures(there)).max() <= most
    if name == "clip.mp4":
        for path in (here, there):
            tag = json.loads(read_tags(path)["colorizationnet"])
            assert list(tag["weights"]) == ["colorizationnet.safetensors"]
