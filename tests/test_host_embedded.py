"""The embedded host: folders, names, models, devices and clips."""

import json
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest
import torch
from colorizationnet import host
from colorizationnet.headless.standin.host import settings
from colorizationnet.headless.standin.schema import HiddenHolder
from colorizationnet.host import paths
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("input", "output", "models"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(settings, name, tmp_path / name)
    return tmp_path


def test_comfyui_is_not_needed():
    assert host.device.__module__ == "colorizationnet.headless.standin.host"
    assert not {"comfy", "folder_paths", "comfy_api"} & sys.modules.keys()


def test_input_files_lists_by_kind(folders):
    for name in ("b.PNG", "a.jpg", "film.mkv", "notes.txt"):
        (folders / "input" / name).touch()
    (folders / "input" / "folder.png").mkdir()
    assert host.input_files("image") == ["a.jpg", "b.PNG"]
    assert host.input_files("video") == ["film.mkv"]


def test_input_path_takes_annotated_names(folders):
    for folder in (folders / "input", folders / "output", host.temp_folder()):
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "sub" / "a.png").touch()
    assert host.input_path("sub/a.png") == folders / "input" / "sub" / "a.png"
    assert host.input_path("sub/a.png [input]") == folders / "input" / "sub" / "a.png"
    assert host.input_path("sub/a.png [output]") == folders / "output" / "sub" / "a.png"
    assert host.input_path("sub/a.png[temp]") == host.temp_folder() / "sub" / "a.png"


@given(name=st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "a", ""])).map("/".join))
def test_input_path_never_leaves_its_folder(name):
    try:
        path = host.input_path(name)
    except (FileNotFoundError, ValueError) as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert path.resolve().is_relative_to(settings.input.resolve())


@given(prefix=st.lists(st.sampled_from(["..", ".", "a", "b c", "/", "%width%"])).map("/".join))
def test_output_path_never_leaves_its_folder(prefix):
    try:
        saved = host.output_path(prefix, ".png", 64, 48)
    except ValueError as error:
        assert "leads outside the output folder" in str(error)
    else:
        assert saved.path.parent.resolve().is_relative_to(settings.output.resolve())
        assert saved.path == settings.output / saved.subfolder / saved.filename


def test_output_path_counts_on(folders):
    assert host.output_path("film/shot", ".mp4") == host.SavePath(
        folders / "output" / "film" / "shot_00001_.mp4", "shot_00001_.mp4", "film", "output"
    )
    (folders / "output" / "film" / "shot_00009_.mkv").touch()
    (folders / "output" / "film" / "shot_00012_").mkdir()
    (folders / "output" / "film" / "shots_00099_.mp4").touch()
    assert host.output_path("film/shot", ".mp4").filename == "shot_00013_.mp4"


def test_output_path_fills_in_the_size(folders):
    assert host.output_path("%width%x%height%_%nothing%", ".png", 8, 6).filename == (
        "8x6_%nothing%_00001_.png"
    )
    assert host.output_path("a", ".png", folder="temp").path.parent == host.temp_folder()


def test_models_are_the_shipped_one_and_those_in_the_folder(folders):
    (folders / "models" / "shots").mkdir()
    for name in ("zoo.safetensors", "shots/one.safetensors"):
        save_file({"a": torch.zeros(1)}, folders / "models" / name)
    (folders / "models" / "old.pth").touch()
    shot = str(Path("shots", "one.safetensors"))
    assert host.model_names() == ["colorizationnet.safetensors", shot, "zoo.safetensors"]
    assert host.model_path(shot) == folders / "models" / "shots" / "one.safetensors"
    assert host.models_folder() == folders / "models"
    assert host.model_path("colorizationnet.safetensors").parent.name == "colorizationnet"
    own = folders / "models" / "colorizationnet.safetensors"
    own.touch()
    assert host.model_path("colorizationnet.safetensors") == own


@pytest.mark.parametrize("name", ["old.pth", "../x.safetensors", "gone.safetensors", ""])
def test_other_models_are_refused(folders, name):
    (folders / "models" / "old.pth").touch()
    (folders / "x.safetensors").touch()
    with pytest.raises(ValueError, match=r"There are no weights .*; put the .safetensors file"):
        host.model_path(name)


def test_metadata_is_json(folders):
    node = type("Node", (), {"hidden": HiddenHolder(prompt={"1": {}})})
    assert host.metadata(node) == {"prompt": '{"1": {}}'}
    node.hidden.extra_pnginfo = {"workflow": {"nodes": []}}
    assert {key: json.loads(value) for key, value in host.metadata(node).items()} == {
        "prompt": {"1": {}},
        "workflow": {"nodes": []},
    }


def test_a_managed_network_runs_where_the_host_says():
    network = torch.nn.Conv2d(1, 1, 3)
    loaded = host.load(host.manage(network), memory_required=1 << 20)
    assert loaded is network and loaded.weight.device.type == host.device().type
    assert host.free_memory(torch.device("cpu")) > 1 << 20
    assert host.intermediate(torch.zeros(2, dtype=torch.float16)).dtype == torch.float32


def test_progress_takes_previews():
    with host.Progress(3) as progress:
        progress.update()
        progress.update(2, preview=torch.zeros(4, 4, 3))


def test_a_clip_is_its_file(folders):
    path = folders / "input" / "clip.mp4"
    writer = imageio_ffmpeg.write_frames(str(path), (64, 48), fps=25)
    writer.send(None)
    for value in range(10):
        writer.send(bytes([value]) * 64 * 48 * 3)
    writer.close()
    video = host.video_from_file(path)
    assert video.get_dimensions() == (64, 48) and video.get_codec() == "h264"
    assert host.video_source(video, host.temp_folder()) == (path, 0.0, 0.0)


def test_a_clip_that_cannot_be_saved_leaves_what_was_there(folders):
    broken = folders / "input" / "clip.mp4"
    broken.write_bytes(b"no video")
    target = folders / "output" / "clip.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"clip.mp4 cannot be saved as .mp4: .*; choose another"):
        host.video_from_file(broken).save_to(target)
    assert target.read_bytes() == b"mine" and len(list(target.parent.iterdir())) == 1


def test_a_whole_file_or_none(folders):
    target = folders / "output" / "a.txt"
    with paths.whole(target) as part:
        part.write_text("one")
    with pytest.raises(KeyboardInterrupt), paths.whole(target) as part:
        part.write_text("two")
        raise KeyboardInterrupt
    assert target.read_text() == "one" and list(target.parent.iterdir()) == [target]


def test_schemas_refuse_what_comfyui_refuses():
    with pytest.raises(TypeError):
        host.io.Int.Input("a", maximum=3)
    with pytest.raises(TypeError):
        host.io.Schema(node_id="A", is_output=True)

    class Twice(host.io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return host.io.Schema(
                node_id="Twice", inputs=[host.io.Int.Input("a"), host.io.Float.Input("a")]
            )

    with pytest.raises(ValueError, match="Input ids of Twice must be unique"):
        Twice.GET_SCHEMA()
