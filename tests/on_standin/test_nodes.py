"""The nodes on the stand-in host: ids, models, pictures, albums."""

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.model import rgb_to_chroma, rgb_to_luma
from colorizationnet.nodes import NODES
from node_classes import BY_ID, node
from PIL import Image


def test_node_ids_and_tooltips():
    assert {
        "ColorizationNetLoadModel",
        "ColorizationNetColorizeImages",
        "ColorizationNetLoadVideo",
        "ColorizationNetSaveVideo",
        "ColorizationNetColorizeVideo",
        "ColorizationNetTeach",
        "ColorizationNetShotKeyframes",
        "ColorizationNetLoadKeyframes",
        "ColorizationNetColorizeFolder",
        "ColorizationNetStabilizeColors",
    } == set(BY_ID)
    for found in NODES:
        for socket in found.GET_SCHEMA().inputs:
            assert socket.tooltip, f"{found.GET_SCHEMA().node_id}.{socket.id}"


def test_the_shipped_weights_come_first():
    options = node("LoadModel").define_schema().inputs[0].options
    assert options[0] == "colorizationnet.safetensors"


def test_colorize_images_keeps_luma(model):
    images = torch.rand(2, 40, 56, 3)
    (colored,) = node("ColorizeImages").execute(model, images, -1, 1.0, 3.0).args
    assert colored.shape == images.shape and not torch.allclose(colored, images)
    luma = [rgb_to_luma(x.permute(0, 3, 1, 2)) for x in (colored, images)]
    assert (luma[0] - luma[1]).abs().max() < 1e-5


def test_the_host_makes_room_for_the_size_that_is_asked_for(model, monkeypatch):
    asked = []
    load = StandInHost.load_to_device

    def record(host, handle, memory_required=0):
        asked.append(memory_required)
        return load(host, handle, memory_required)

    monkeypatch.setattr(StandInHost, "load_to_device", record)
    for size, quality in ((24, "full"), (24, "best"), (0, "full")):
        node("ColorizeImages").execute(
            model, torch.rand(1, 240, 320, 3), size, 1.0, 1.0, quality=quality
        )
    assert asked[0] < asked[1] < asked[2]


def test_the_vivid_look_has_more_colour_than_the_natural_one(model):
    images = torch.rand(1, 60, 80, 1).expand(1, 60, 80, 3)
    looks = {}
    for look in ("natural", "vivid"):
        colored = node("ColorizeImages").execute(model, images, -1, 1.0, 1.0, look=look)[0]
        looks[look] = rgb_to_chroma(colored.permute(0, 3, 1, 2)).norm(dim=1).mean()
    assert looks["vivid"] > 1.05 * looks["natural"] > 0


def test_a_folder_of_photos_comes_out_under_the_same_names_and_goes_on(folders, model):
    album = folders / "input" / "album"
    album.mkdir()
    for number, size in enumerate([(40, 30), (30, 50), (64, 64)]):
        ramp = np.tile(np.linspace(0, 255, size[0], dtype=np.uint8), (size[1], 1))
        Image.fromarray(ramp).save(album / f"photo {number}.png")
    (album / "torn.png").write_bytes(b"no picture")
    inputs = {"folder": "album", "output_folder": "coloured/album", "render_size": -1}
    inputs |= {"strength": 1.0, "saturation": 5.0}
    shown = node("ColorizeFolder").execute(model, **inputs).ui["images"]
    result = folders / "output" / "coloured" / "album"
    assert [picture["filename"] for picture in shown] == [f"photo {n}.png" for n in range(3)]
    assert sorted(path.name for path in result.iterdir()) == [f"photo {n}.png" for n in range(3)]
    for path in result.iterdir():
        with Image.open(path) as after, Image.open(album / path.name) as before:
            assert after.size == before.size
            assert np.ptp(np.asarray(after.convert("RGB")).astype(int), axis=-1).max() > 5
    first = {path.name: path.stat().st_mtime_ns for path in result.iterdir()}
    Image.new("L", (9, 9), 99).save(album / "new.png")
    node("ColorizeFolder").execute(model, **inputs)
    second = {path.name: path.stat().st_mtime_ns for path in result.iterdir()}
    assert second.pop("new.png") and second == first
    with pytest.raises(ValueError, match="among the photos"):
        node("ColorizeFolder").execute(model, **inputs | {"folder": "coloured/album [output]"})
    with pytest.raises(ValueError, match="leads outside the output folder"):
        node("ColorizeFolder").execute(model, **inputs | {"output_folder": "../elsewhere"})


def test_the_photos_of_a_folder_share_a_model(folders, model, monkeypatch):
    made = []
    kind = type(model.network)
    make = kind.chroma_model

    def count(network, *arguments, **options):
        made.append(arguments)
        return make(network, *arguments, **options)

    monkeypatch.setattr(kind, "chroma_model", count)
    (folders / "input" / "album").mkdir()
    for number in range(3):
        Image.new("L", (40 + number, 30), 99).save(folders / "input" / "album" / f"{number}.png")
    shown = node("ColorizeFolder").execute(model, "album", "coloured", -1, 1.0, 1.0).ui["images"]
    assert (len(shown), len(made)) == (3, 1)


def test_photos_of_every_kind_are_done_and_what_is_none_is_told_of(folders, model, caplog):
    album = folders / "input" / "album"
    (album / "below").mkdir(parents=True)
    for name in ("a.jfif", "b.PGM", "c.tga", "d.tif", ".hidden.png", "below/e.png"):
        kind = "JPEG" if name == "a.jfif" else None
        Image.linear_gradient("L").resize((24, 20)).save(album / name, kind)
    (album / "notes.txt").write_text("1920, at the sea")
    inputs = {"folder": "album", "output_folder": "coloured", "render_size": -1}
    inputs |= {"strength": 1.0, "saturation": 1.0}
    assert node("ColorizeFolder").validate_inputs("album") is True
    told = node("ColorizeFolder").execute(model, **inputs).ui
    result = folders / "output" / "coloured"
    made = ["a.jfif", "b.ppm", "c.tga", "d.tif"]
    assert sorted(path.name for path in result.iterdir()) == made
    assert told["images"] == []
    assert [(file["filename"], file["subfolder"]) for file in told["files"]] == [
        (name, "coloured") for name in made
    ]
    assert f"{album}: no photos, and passed over: below/, notes.txt" in caplog.messages


def test_photos_in_colour_are_left_where_that_is_wished(folders, model):
    album = folders / "input" / "album"
    album.mkdir()
    grey = Image.linear_gradient("L").resize((48, 40))
    Image.merge("RGB", [grey, grey.rotate(90), grey.rotate(180)]).save(album / "colour.png")
    inputs = {"folder": "album", "output_folder": "coloured", "render_size": -1}
    inputs |= {"strength": 1.0, "saturation": 1.0}
    result = folders / "output" / "coloured"
    assert node("ColorizeFolder").execute(model, **inputs, skip_colour=True).ui["images"] == []
    assert not list(result.iterdir())
    grey.save(album / "grey.png")
    node("ColorizeFolder").execute(model, **inputs, skip_colour=True)
    assert [path.name for path in result.iterdir()] == ["grey.png"]
    node("ColorizeFolder").execute(model, **inputs)
    assert sorted(path.name for path in result.iterdir()) == ["colour.png", "grey.png"]


def test_an_album_is_looked_at_again_when_a_result_is_deleted(folders, model):
    """ComfyUI runs a node again only when its fingerprint has changed."""
    album = folders / "input" / "album"
    album.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("L", (9, 9), 99).save(album / name)
    (album / "torn.png").write_bytes(b"no picture")
    folder = {"folder": "album", "output_folder": "coloured"}
    inputs = folder | {"render_size": -1, "strength": 1.0, "saturation": 1.0}
    album_node = node("ColorizeFolder")
    album_node.execute(model, **inputs)
    done = album_node.fingerprint_inputs(**inputs)
    assert album_node.fingerprint_inputs(**inputs) == done
    (folders / "output" / "coloured" / "a.png").unlink()
    assert album_node.fingerprint_inputs(**inputs) != done
    album_node.execute(model, **inputs)
    assert (folders / "output" / "coloured" / "a.png").is_file()
    assert album_node.fingerprint_inputs(**inputs) == done


def test_what_a_photo_of_an_album_is_called_goes_by_no_others_fate(folders, model):
    album = folders / "input" / "album"
    album.mkdir()
    (album / "a.gif").write_bytes(b"torn")
    for name in ("a.png", "b.gif"):
        Image.new("L", (9, 9), 99).save(album / name)
    Image.new("L", (9, 9), 99).save(album / "c.tif")
    inputs = {"folder": "album", "output_folder": "coloured", "render_size": -1}
    inputs |= {"strength": 1.0, "saturation": 1.0}
    result = folders / "output" / "coloured"
    node("ColorizeFolder").execute(model, **inputs)
    assert sorted(path.name for path in result.iterdir()) == ["a.png", "b.png", "c.tif"]
    before = (result / "a.png").stat().st_mtime_ns
    Image.new("L", (9, 9), 99).save(album / "a.gif")
    node("ColorizeFolder").execute(model, **inputs)
    names = ["a.gif.png", "a.png", "b.png", "c.tif"]
    assert sorted(path.name for path in result.iterdir()) == names
    assert (result / "a.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["ColorizeImages", "ColorizeVideo", "ColorizeFolder"])
def test_a_saturation_beyond_the_slider_is_taken(folders, name):
    (folders / "input" / "album").mkdir()
    Image.new("L", (9, 9)).save(folders / "input" / "album" / "a.png")
    inputs = {"folder": "album"} if name == "ColorizeFolder" else {}
    for value in (10.0, [10.0], None, [None]):
        assert node(name).validate_inputs(**inputs, saturation=value) is True
    for value in (11.0, [-1.0], float("nan")):
        verdict = node(name).validate_inputs(**inputs, saturation=value)
        assert "choose a value from 0 to 10" in verdict
    assert "saturation is 11" in node(name).validate_inputs(**inputs, saturation=[1.0, 11.0])
