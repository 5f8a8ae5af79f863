"""Both hosts fulfil the Protocol; and the one of ComfyUI, in small fakes of ComfyUI's modules."""

import asyncio
import inspect
import sys
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from colorizationnet.headless.standin import schema
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import Host
from colorizationnet.options import SHIPPED_WEIGHTS
from fake_comfyui import (
    PACK,
    ComfyUI,
    Interrupted,
    ModelPatcher,
    Video,
    VideoFromComponents,
    VideoFromFile,
)

MEMBERS = {
    name: inspect.signature(member)
    for name, member in vars(Host).items()
    if inspect.isfunction(member) and not name.startswith("_")
}


@pytest.fixture
def comfyui(tmp_path):
    return ComfyUI(tmp_path)


@pytest.fixture
def pack(comfyui):
    with comfyui.with_pack() as pack:
        yield pack


@pytest.fixture
def host(pack):
    return import_module(f"{PACK}.host").current()


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("kind", ["ComfyUI", "stand-in"])
def test_a_host_has_what_the_protocol_names(kind, member, request):
    host = request.getfixturevalue("host") if kind == "ComfyUI" else StandInHost()
    assert type(host).__name__ == {"ComfyUI": "ComfyUIHost", "stand-in": "StandInHost"}[kind]
    found = list(inspect.signature(getattr(host, member)).parameters.values())
    _, *wanted = MEMBERS[member].parameters.values()  # but self
    assert [(p.name, p.kind, p.default) for p in found] == [
        (p.name, p.kind, p.default) for p in wanted
    ]


def test_comfyui_gets_the_nodes(pack):
    assert Path(pack.__file__).parent.joinpath(pack.WEB_DIRECTORY, "docs").is_dir()
    extension = asyncio.run(pack.comfy_entrypoint())
    nodes = asyncio.run(extension.get_node_list())
    assert len(nodes) == 10 and all(issubclass(node, schema.ComfyNode) for node in nodes)
    ids = {node.GET_SCHEMA().node_id for node in nodes}
    assert all(name.startswith("ColorizationNet") for name in ids) and len(ids) == 10


@pytest.mark.parametrize(
    "entry",
    [
        None,
        ([], set()),  # by extra_model_paths.yaml
        (["/elsewhere"], [".pth"]),
        (("/elsewhere",), (".pth",)),
        (["/elsewhere"], frozenset({".pth"})),
    ],
)
def test_an_entry_for_the_models_may_be_there_already(tmp_path, entry):
    comfyui = ComfyUI(tmp_path, {} if entry is None else {"colorization": entry})
    with comfyui.with_pack():
        import_module(f"{PACK}.host").current()
        module = import_module(f"{PACK}.host.comfyui")
        module.ComfyUIHost()  # once more changes nothing
    folders, suffixes = comfyui.model_folders["colorization"]
    known, known_suffixes = entry or ([], set())
    ours = [str(tmp_path / "models" / "colorization"), str(SHIPPED_WEIGHTS.parent)]
    assert folders == [*known, *ours]
    assert sorted(suffixes) == sorted({*known_suffixes, ".safetensors"})
    assert type(suffixes) is type(known_suffixes)


def test_models(comfyui, host):
    shipped = SHIPPED_WEIGHTS.name
    own = comfyui.base / "models" / "colorization"
    (own / "zoo.safetensors").touch()
    (own / "notes.txt").touch()
    assert host.model_names() == [shipped, "zoo.safetensors"]
    assert host.models_folder() == own
    assert host.model_path(shipped).parent.name == "colorizationnet"
    (own / shipped).touch()
    assert host.model_names() == [shipped, "zoo.safetensors"]
    assert host.model_path(shipped) == own / shipped
    for name in ("notes.txt", "gone.safetensors", "../x.safetensors"):
        with pytest.raises(ValueError, match="There are no weights .*; put the .safetensors file"):
            host.model_path(name)


def test_previews_are_made_only_when_they_are_shown(comfyui, host, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(f"{PACK}.host.base.time.monotonic", lambda: now[0])
    made = []

    def preview():
        made.append(now[0])
        return torch.tensor([[[0.0, 0.5, 1.0], [1.2, -1.0, 0.1]]])

    with host.progress(10) as progress:
        for now[0] in (100.0, 100.3, 100.49, 100.5, 100.9, 101.1):
            progress.report(progress.done + 1, 10, preview)
        now[0] = 110.0
        progress.report(8, 16, torch.zeros(3, 5, 3))
        progress.report(10, 16)
    assert made == [100.0, 100.5, 101.1]
    assert [(done, total) for done, total, _ in comfyui.shown] == [
        *((done, 10) for done in range(1, 7)),
        (8, 16),
        (10, 16),
    ]
    pictures = [picture for _, _, picture in comfyui.shown]
    assert [picture is not None for picture in pictures] == [1, 0, 0, 1, 0, 1, 1, 0]
    form, image, size = pictures[0]
    assert (form, size, image.size) == ("JPEG", 512, (2, 1))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(0, 128, 255), (255, 0, 26)]
    assert pictures[6][1].size == (5, 3)


def test_a_text_goes_to_the_node_that_runs(host, monkeypatch):
    sent = []
    server = SimpleNamespace(send_progress_text=lambda *text: sent.append(text))
    context = SimpleNamespace(node_id="5:3")
    with host.progress(3) as progress:
        progress.tell("without a page")
        utils = SimpleNamespace(get_executing_context=lambda: context)
        monkeypatch.setitem(sys.modules, "comfy_execution.utils", utils)
        page = SimpleNamespace(PromptServer=SimpleNamespace(instance=server))
        monkeypatch.setitem(sys.modules, "server", page)
        progress.tell("shot 1 of 3: teaching")
        context = None
        progress.tell("nothing runs")
    assert sent == [("shot 1 of 3: teaching", "5:3")]


def test_each_report_notices_a_cancel(comfyui, host):
    with host.progress(3) as progress:
        progress.report(1, 3)
        comfyui.cancelled = True
        for work in (host.check_cancelled, lambda: progress.report(2, 3)):
            with pytest.raises(Interrupted):
                work()
    assert len(comfyui.shown) == 1
    with pytest.raises(Interrupted), host.progress(3):
        pytest.fail("it was cancelled before")


def test_a_file_is_its_own_source(host, tmp_path):
    assert host.video_source(host.video_from_file(tmp_path / "a.mp4")) == (
        tmp_path / "a.mp4",
        0.0,
        0.0,
    )
    source = host.video_source(VideoFromFile("a.mp4", 2.5, 1.0))
    assert source == (Path("a.mp4"), 2.5, 1.0)
    assert (source.path, source.start, source.duration) == source


def test_a_clip_in_memory_becomes_a_file(comfyui, host):
    source = host.video_source(VideoFromFile(BytesIO(b"clip"), 2.5, 1.0))
    assert source.path.read_bytes() == b"clip" and source[1:] == (2.5, 1.0)
    assert source.path.parent == comfyui.base / "temp"
    assert host.video_source(VideoFromFile(BytesIO(b"clip"))).path != source.path


def test_frames_become_a_file_without_loss(host, monkeypatch):
    path, *window = host.video_source(VideoFromComponents())
    assert path.read_text() == "encoded with crf 0" and window == [0.0, 0.0]

    def save_to(self, path, metadata=None):
        Path(path).write_text("encoded")

    monkeypatch.setattr(Video, "save_to", save_to)  # as of ComfyUI 0.11
    assert host.video_source(VideoFromComponents()).path.read_text() == "encoded"


def test_a_comfyui_that_cannot_trim_gives_the_file(host, monkeypatch):
    for name in ("as_trimmed", "get_active_trim_window"):
        monkeypatch.delattr(Video, name)
    monkeypatch.delattr(VideoFromFile, "get_active_trim_window")
    assert host.video_source(VideoFromFile("a.mp4")) == (Path("a.mp4"), 0.0, 0.0)


def test_a_comfyui_that_trims_and_does_not_tell_writes_the_part(host, monkeypatch):
    for kind in (Video, VideoFromFile):
        monkeypatch.delattr(kind, "get_active_trim_window")
    source = host.video_source(VideoFromFile("a.mp4", 2.5, 1.0))
    assert source.path.read_text() == "encoded with crf 0" and source[1:] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("device", "fast", "asked", "answer"),
    [
        ("cpu", {"fp16", "bf16"}, "auto", "auto"),
        ("cuda", {"fp16", "bf16"}, "auto", "fp16"),
        ("cuda", {"bf16"}, "auto", "bf16"),
        ("cuda", set(), "auto", "fp32"),
        ("cuda", {"fp16"}, "fp32", "fp32"),
    ],
)
def test_precision(comfyui, host, device, fast, asked, answer):
    comfyui.device, comfyui.fast_dtypes = torch.device(device), fast
    assert host.precision(asked) == answer


def test_networks_go_through_comfyuis_model_management(comfyui, host):
    network = torch.nn.Conv2d(1, 1, 3)
    handle = host.wrap_model(network)
    assert isinstance(handle, ModelPatcher) and handle.devices == (comfyui.device,) * 2
    assert host.load_to_device(handle, memory_required=5) is network
    assert comfyui.loaded == [([handle], 5)]
    assert host.device() == comfyui.device and host.free_memory() == 10**9


def test_outputs_are_of_the_type_that_comfyui_keeps(comfyui, host, monkeypatch):
    assert host.to_output(torch.ones(2)).dtype == torch.float16
    monkeypatch.delattr(comfyui.management, "intermediate_dtype")  # as of ComfyUI 0.11
    assert host.to_output(torch.ones(2, dtype=torch.float16)).dtype == torch.float32


def test_files_stay_in_comfyuis_folders(comfyui, host):
    base = comfyui.base
    for name in ("clip.mp4", "list.m3u8", "photo.png"):
        (base / "input" / name).touch()
    assert host.input_files("video") == ["clip.mp4"] and host.input_files("image") == ["photo.png"]
    assert host.input_path("clip.mp4", "video") == base / "input" / "clip.mp4"
    for name, words in (("list.m3u8", "no clip by its suffix"), ("../x.mp4", "leads outside")):
        with pytest.raises(ValueError, match=words):
            host.input_path(name, "video")
    saved = host.output_path("film/%width%", ".mp4", 64, 48)
    assert saved.path == base / "output" / "film" / "64_00001_.mp4"
    assert (saved.filename, saved.subfolder, saved.type) == ("64_00001_.mp4", "film", "output")
    assert host.output_path("a", ".mp4", folder="temp").path.parent == base / "temp"
    with pytest.raises(ValueError, match="leads outside the output folder"):
        host.output_path("../a", ".png")


def test_metadata_is_written_if_comfyui_wants_it(comfyui, host):
    hidden = schema.HiddenHolder(None, {"1": {}}, {"workflow": {"nodes": []}})
    node = type("Node", (schema.ComfyNode,), {"hidden": hidden})
    assert host.metadata(node) == {"prompt": '{"1": {}}', "workflow": '{"nodes": []}'}
    comfyui.args.disable_metadata = True
    assert host.metadata(node) == {}
