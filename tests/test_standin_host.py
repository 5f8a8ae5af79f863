"""The stand-in for ComfyUI: folders, names, models, devices and the node schema."""

import functools
import gc
import io as text_io
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from colorizationnet.headless.standin.core_nodes.video import GetVideoComponents
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.schema import HiddenHolder
from colorizationnet.host import SavePath, current, io, use
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tqdm import tqdm
from video_clips import make_clip

FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def temp_folder(host):
    return host.output_path("any", ".png", folder="temp").path.parent


@pytest.fixture
def folders(tmp_path):
    for name in ("input", "output", "models"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def host(folders):
    return StandInHost(folders / "input", folders / "output", folders / "models")


def test_comfyui_is_not_needed():
    assert isinstance(current(), StandInHost)
    assert not {"comfy", "folder_paths", "comfy_api"} & sys.modules.keys()


def test_the_folders_are_those_of_a_command_line(folders, monkeypatch):
    monkeypatch.chdir(folders)
    (folders / "a.png").touch()
    host = StandInHost()
    assert host.input_files("image") == ["a.png"]
    assert host.output_path("a", ".png").path == Path("output", "a_00001_.png")
    assert host.models_folder() == Path("models", "colorization")


def test_the_host_in_charge(host):
    before = current()
    with use(host) as used:
        assert used is current() is host
        with pytest.raises(KeyError), use(StandInHost()):
            raise KeyError
        assert current() is host
    assert current() is before


def test_the_temp_folder_goes_with_its_host():
    host = StandInHost()
    folder, title = temp_folder(host), host.titled("a node")
    (folder / "a.png").touch()
    del host
    gc.collect()
    assert temp_folder(title) == folder and (folder / "a.png").is_file()
    del title
    gc.collect()
    assert not folder.exists()


def test_input_files_lists_by_kind(host, folders):
    for name in ("b.PNG", "a.jpg", "film.mkv", "notes.txt"):
        (folders / "input" / name).touch()
    (folders / "input" / "folder.png").mkdir()
    assert host.input_files("image") == ["a.jpg", "b.PNG"]
    assert host.input_files("video") == ["film.mkv"]


def test_input_path_takes_annotated_names(host, folders):
    for folder in (folders / "input", folders / "output", temp_folder(host)):
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "sub" / "a.png").touch()
    assert host.input_path("sub/a.png") == folders / "input" / "sub" / "a.png"
    assert host.input_path("sub/a.png [input]") == folders / "input" / "sub" / "a.png"
    assert host.input_path("sub/a.png [output]") == folders / "output" / "sub" / "a.png"
    assert host.input_path("sub/a.png[temp]") == temp_folder(host) / "sub" / "a.png"


@FIXTURE
@given(name=st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "a", ""])).map("/".join))
def test_input_path_never_leaves_its_folder(host, name):
    try:
        path = host.input_path(name)
    except (FileNotFoundError, ValueError) as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert path.resolve().is_relative_to(host.input.resolve())


@pytest.mark.parametrize("kind", ["image", "video"])
def test_input_path_heeds_the_kind(host, folders, kind):
    for name in ("a.PNG", "b.mp4", "list.m3u8", "none"):
        (folders / "input" / name).touch()
    named = {"image": "a.PNG", "video": "b.mp4"}
    assert host.input_path(named.pop(kind), kind).is_file()
    for name in (*named.values(), "list.m3u8", "none"):
        with pytest.raises(ValueError, match=f"{name} is no .* by its suffix; rename it if it is"):
            host.input_path(name, kind)


@FIXTURE
@given(prefix=st.lists(st.sampled_from(["..", ".", "a", "b c", "/", "%width%"])).map("/".join))
def test_output_path_never_leaves_its_folder(host, prefix):
    try:
        saved = host.output_path(prefix, ".png", 64, 48)
    except ValueError as error:
        assert "leads outside the output folder" in str(error)
    else:
        assert saved.path.parent.resolve().is_relative_to(host.output.resolve())
        assert saved.path == host.output / saved.subfolder / saved.filename


def test_output_path_counts_on(host, folders):
    assert host.output_path("film/shot", ".mp4") == SavePath(
        folders / "output" / "film" / "shot_00001_.mp4", "shot_00001_.mp4", "film", "output"
    )
    (folders / "output" / "film" / "shot_00009_.mkv").touch()
    (folders / "output" / "film" / "shot_00012_").mkdir()
    (folders / "output" / "film" / "shots_00099_.mp4").touch()
    assert host.output_path("film/shot", ".mp4").filename == "shot_00013_.mp4"


def test_output_path_fills_in_the_size(host, folders):
    assert host.output_path("%width%x%height%_%nothing%", ".png", 8, 6).filename == (
        "8x6_%nothing%_00001_.png"
    )
    assert host.output_path("a", ".png", folder="temp").path.parent == temp_folder(host)


def test_models_are_the_shipped_one_and_those_in_the_folder(host, folders):
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
def test_other_models_are_refused(host, folders, name):
    (folders / "models" / "old.pth").touch()
    (folders / "x.safetensors").touch()
    with pytest.raises(ValueError, match=r"There are no weights .*; put the .safetensors file"):
        host.model_path(name)


def test_metadata_is_json(host, folders):
    node = type("Node", (io.ComfyNode,), {"hidden": HiddenHolder("1", {"1": {}}, None)})
    assert host.metadata(node) == {"prompt": '{"1": {}}'}
    node.hidden.extra_pnginfo = {"workflow": {"nodes": []}}
    assert {key: json.loads(value) for key, value in host.metadata(node).items()} == {
        "prompt": {"1": {}},
        "workflow": {"nodes": []},
    }
    assert host.metadata(io.ComfyNode) == {}


def test_a_wrapped_network_runs_where_the_host_says(host):
    network = torch.nn.Conv2d(1, 1, 3)
    loaded = host.load_to_device(host.wrap_model(network), memory_required=1 << 20)
    assert loaded is network and loaded.weight.device.type == host.device().type
    assert host.to_output(torch.zeros(2, dtype=torch.float16)).dtype == torch.float32


def test_frames_are_held_against_main_memory_where_that_is_known(host, folders, monkeypatch):
    clip = host.video_from_file(make_clip(folders / "input" / "clip.mp4", frames=10))
    monkeypatch.setattr(StandInHost, "device", lambda _: torch.device("cuda"))
    known = os.path.exists("/proc/meminfo")
    with use(host):
        assert known == (host.free_memory() is not None)
        assert len(GetVideoComponents.execute(clip)[0]) == 10
        monkeypatch.setattr(StandInHost, "free_memory", lambda _: 10 * 64 * 48 * 3 * 4 - 1)
        with pytest.raises(ValueError, match="10 frames need"):
            GetVideoComponents.execute(clip)
        monkeypatch.setattr(StandInHost, "free_memory", lambda _: None)
        assert len(GetVideoComponents.execute(clip)[0]) == 10


class Terminal(text_io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_the_title_and_the_count_but_makes_no_preview(host, monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    every_step = functools.partial(tqdm, mininterval=0)
    monkeypatch.setattr("colorizationnet.headless.standin.host.tqdm", every_step)
    with host.titled("[1/2] Colorize").progress(4) as progress:
        progress.report(1, 4, pytest.fail)
        progress.report(3, 8, pytest.fail)
        progress.report(8, 8, torch.zeros(4, 4, 3))
        assert (progress.done, progress.total) == (8, 8)
    with host.titled("[1/2] Colorize").progress(4, "shot 3"):
        pass
    shown = sys.stderr.getvalue()
    for text in ("[1/2] Colorize: ", "| 1/4 ", "| 3/8 ", "| 8/8 ", "shot 3: "):
        assert text in shown


def test_a_clip_is_its_file(host, folders):
    path = make_clip(folders / "input" / "clip.mp4", "-c:v", "libx264")
    video = host.video_from_file(path)
    assert video.get_dimensions() == (64, 48)
    assert host.video_source(video) == (path, 0.0, 0.0)


def test_schemas_refuse_what_comfyui_refuses():
    with pytest.raises(TypeError):
        io.Int.Input("a", maximum=3)
    with pytest.raises(TypeError):
        io.Schema(node_id="A", is_output=True)

    class Twice(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Twice", inputs=[io.Int.Input("a"), io.Float.Input("a")])

    with pytest.raises(ValueError, match="Input ids of Twice must be unique"):
        Twice.GET_SCHEMA()
