"""What made a result stands in it, and makes it again."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from colorizationnet.files import sha256_of
from colorizationnet.headless import cli
from colorizationnet.headless.standin import widgets
from colorizationnet.headless.standin.core_nodes import CORE_NODES
from colorizationnet.headless.standin.editor import to_prompt
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.headless.standin.to_editor import to_editor
from colorizationnet.headless.standin.workflow import WorkflowError
from colorizationnet.headless.standin.workflow_files import read_workflow
from colorizationnet.host import use
from colorizationnet.nodes import NODES
from colorizationnet.options import SHIPPED_WEIGHTS, EncodeOptions
from colorizationnet.pipeline import save_frames
from colorizationnet.pipeline.photo import colorize_bands, paint_photo
from colorizationnet.version import pack_version
from colorizationnet.video import probe, read_tags
from photo_files import Tint, scene
from PIL import Image, PngImagePlugin, features
from test_photo_metadata import check_words, colorize, exif, save_jpeg
from torch import rand
from video_clips import ffmpeg, frame_hashes, make_clip

SIZE = ["--render-size", "32", "--quality", "fast"]
RECORD = {"prompt": '{"1": 2}', "workflow": '{"nodes": []}', "colorizationnet": '{"version": "0"}'}
API = sorted((Path(__file__).parents[1] / "workflows" / "api").glob("*.json"))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder; the paths that it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = cli.main([*map(str, arguments)])
        output = capsys.readouterr()
        assert code == 0, output.err
        return [Path(line) for line in output.out.splitlines()]

    return run


def texts_of(path):
    """The record in a picture, as Pillow finds it."""
    with Image.open(path) as file:
        if path.suffix == ".png":
            return {key: file.text[key] for key in RECORD if key in file.text}
        pairs = (text.split(":", 1) for text in file.getexif().values() if isinstance(text, str))
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0] in RECORD}


# Photos


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("source", [".png", ".jpg", ".tif", ".webp"])
def test_a_photo_carries_it_beside_all_that_it_had(tmp_path, source, suffix):
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("Pillow")
    if source == ".jpg":
        save_jpeg(tmp_path / "a.jpg")
    else:
        scene().convert("RGB").save(tmp_path / f"a{source}", exif=exif().tobytes())
    first, again, without = (tmp_path / f"{name}{suffix}" for name in "bcd")
    colorize(tmp_path / f"a{source}", first, record=RECORD)
    check_words(first)
    assert texts_of(first) == RECORD
    other = {key: value.replace("2", "3").replace("0", "1") for key, value in RECORD.items()}
    colorize(first, again, record=other)
    check_words(again)
    assert texts_of(again) == other
    colorize(again, without)
    check_words(without)
    assert texts_of(without) == {}
    # Neither record is still there without its tag.
    assert b'"version": "' not in again.read_bytes().replace(other["colorizationnet"].encode(), b"")
    assert b'"version": "' not in without.read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".avif"])
def test_a_photo_without_exif_gets_some(tmp_path, suffix):
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("Pillow")
    scene().save(tmp_path / "a.png")
    colorize(tmp_path / "a.png", tmp_path / f"b{suffix}", record=RECORD)
    assert texts_of(tmp_path / f"b{suffix}") == RECORD


def test_makers_notes_stay_where_they_are(tmp_path):
    block = Image.Exif()
    block[0x010F] = "Agfa"
    block.get_ifd(0x8769)[0x927C] = b"AGFA\0" + bytes(range(200))
    data = block.tobytes()
    scene().save(tmp_path / "a.jpg", exif=data)
    colorize(tmp_path / "a.jpg", tmp_path / "b.jpg", record=RECORD)
    written = (tmp_path / "b.jpg").read_bytes()
    start = written.index(b"Exif\0\0") + 6
    # Nothing but the pointer to the first directory differs.
    assert written[start + 8 : start + len(data) - 6] == data[14:]


def test_too_much_exif_is_not_lost_for_it(tmp_path, caplog):
    block = Image.Exif()
    block[0x010E] = "x" * 65000
    scene().save(tmp_path / "a.jpg", exif=block)
    colorize(tmp_path / "a.jpg", tmp_path / "b.jpg", record=RECORD | {"prompt": "y" * 1000})
    with Image.open(tmp_path / "b.jpg") as file:
        assert file.getexif()[0x010E] == "x" * 65000
    assert texts_of(tmp_path / "b.jpg") == {} and "what made it" in caplog.text


def test_another_programs_workflow_is_kept_aside(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "theirs")
    info.add_text("Workflow", "not a keyword of ours")
    scene().save(tmp_path / "a.png", pnginfo=info)
    colorize(tmp_path / "a.png", tmp_path / "b.png", record=RECORD)
    colorize(tmp_path / "b.png", tmp_path / "c.png", record=RECORD)
    colorize(tmp_path / "a.png", tmp_path / "d.png")
    for name in "bc":
        with Image.open(tmp_path / f"{name}.png") as file:
            found = dict(file.text)
        kept = {"source_prompt": "theirs", "Workflow": "not a keyword of ours"}
        assert found == kept | RECORD
    with Image.open(tmp_path / "d.png") as file:
        assert file.text["prompt"] == "theirs"


@pytest.mark.parametrize("suffix", [".bmp", ".tga", ".ppm"])
def test_what_cannot_carry_it_is_written_all_the_same(tmp_path, caplog, suffix):
    scene().save(tmp_path / "a.png")
    paint_photo(tmp_path / "a.png", tmp_path / f"b{suffix}", colorize_bands(Tint()), record=RECORD)
    with Image.open(tmp_path / f"b{suffix}") as file:
        assert file.size == (96, 64)
    assert not caplog.text


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_a_photo_makes_itself_again(run, suffix):
    scene().save(f"a{suffix}", quality=95)
    (made,) = run("colorize", f"a{suffix}", *SIZE, "--saturation", "1.3", "--look", "vivid")
    found = read_workflow(made)
    assert json.loads(texts_of(made)["colorizationnet"]) == {
        "version": pack_version(),
        "weights": {SHIPPED_WEIGHTS.name: sha256_of(SHIPPED_WEIGHTS)},
        "source": f"a{suffix}",
        "settings": {
            "color": {
                "render_size": 32,
                "strength": 1.0,
                "saturation": 1.3,
                "quality": "fast",
                "precision": "auto",
                "mode": "merge",
                "look": "vivid",
            }
        },
    }
    (again,) = run("run", made)
    Path("w.json").write_text(json.dumps(found.editor))
    (by_editor,) = run("run", "w.json")
    with Image.open(again) as one, Image.open(by_editor) as other:
        assert one.tobytes() == other.tobytes()
        repeated = np.asarray(one).astype(int)
    if suffix in (".png", ".tif"):
        with Image.open(made) as file:
            difference = np.asarray(file).astype(int) - repeated
        # Save Image cuts levels off, `colorize` rounds them.
        assert difference.min() >= 0 and difference.max() <= 1


def test_a_photo_beside_what_it_was(run):
    scene().save("a.png")
    (whole,) = run("colorize", "a.png", "-o", "whole.png", *SIZE)
    (made,) = run("colorize", "a.png", "-o", "half.png", *SIZE, "--compare", "half")
    before, whole, half = (np.asarray(Image.open(n).convert("RGB")) for n in ("a.png", whole, made))
    left = before.shape[1] // 2
    assert (half[:, :left] == before[:, :left]).all() and (half[:, left:] == whole[:, left:]).all()
    assert (whole[:, :left] != before[:, :left]).any()
    assert json.loads(texts_of(made)["colorizationnet"])["settings"]["compare"] == "half"
    with pytest.raises(WorkflowError, match="carries no workflow"):
        read_workflow(Path(made))


def test_metadata_can_be_left_out(run):
    scene().save("a.png")
    make_clip("b.mp4", frames=3)
    (first,) = run("colorize", "a.png", *SIZE)
    (second,) = run("colorize", first, "-o", "second.png", *SIZE, "--no-metadata")
    assert texts_of(first) and not texts_of(second)
    (film,) = run("colorize", "b.mp4", *SIZE)
    (again,) = run("colorize", film, "-o", "again.mp4", *SIZE, "--no-metadata")
    assert read_tags(film).keys() >= RECORD.keys() and not read_tags(again).keys() & RECORD.keys()
    (saved,) = run("run", first, "--no-metadata")
    assert not texts_of(saved)


# Films


@pytest.mark.parametrize(
    ("suffix", "format"),
    [(".mp4", "h264"), (".mov", "h264"), (".mkv", "ffv1"), (".webm", "vp9")],
)
def test_a_film_carries_it_and_makes_itself_again(run, suffix, format):
    tags = ["-metadata", "title=A walk", "-metadata", "prompt=old"]
    tags += ["-movflags", "use_metadata_tags"] if suffix in (".mp4", ".mov") else []
    codec = ["-c:v", "libvpx-vp9"] if suffix == ".webm" else ["-pix_fmt", "yuv420p"]
    make_clip(f"a{suffix}", *codec, *tags, frames=6)
    (made,) = run("colorize", f"a{suffix}", *SIZE, "--format", format, "--stability", "0.25")
    found = read_tags(made)
    assert (found["title"], found["source_prompt"]) == ("A walk", "old")
    settings = json.loads(found["colorizationnet"])["settings"]
    assert settings["film"]["stability"] == 0.25
    assert settings["format"] == format
    (again,) = run("run", made)
    assert frame_hashes(made)[1] == frame_hashes(again)[1]
    (by_editor,) = run("run", export(read_workflow(made).editor))
    assert frame_hashes(made)[1] == frame_hashes(by_editor)[1]
    (third,) = run("colorize", made, "-o", f"third{suffix}", *SIZE, "--format", format)
    third = read_tags(third)
    assert third["source_prompt"] == "old" and made.name in third["prompt"]


def test_the_record_tells_what_an_hdr_film_became(run):
    tags = "setparams=color_trc=smpte2084:colorspace=bt2020nc:color_primaries=bt2020:range=tv"
    make_clip("a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p10le", "-vf", tags, frames=3)
    (made,) = run("colorize", "a.mkv", "-o", "b.mp4", *SIZE)
    found = read_tags(made)
    assert probe(made).codec == "hevc"
    assert json.loads(found["colorizationnet"])["settings"]["format"] == "hevc"
    (again,) = run("run", made)
    assert probe(again).codec == "hevc" and frame_hashes(made)[1] == frame_hashes(again)[1]


def test_a_graph_keeps_another_programs_workflow_too(run):
    source = ["-metadata", "prompt=old", "-movflags", "use_metadata_tags", "-pix_fmt", "yuv420p"]
    make_clip("a.mp4", *source, frames=3)
    prompt = json.loads(API[[path.stem for path in API].index("Colorize Film")].read_text())
    for node in prompt.values():
        if node["class_type"] == "LoadVideo":
            node["inputs"]["file"] = "a.mp4"
    Path("w.json").write_text(json.dumps(prompt))
    (made,) = run("run", "w.json", "--input-dir", ".", "--output-dir", "out")
    found = read_tags(made)
    assert found["source_prompt"] == "old" and json.loads(found["prompt"]).keys() == prompt.keys()


def export(editor):
    Path("w.json").write_text(json.dumps(editor))
    return "w.json"


def test_a_part_of_a_film_makes_itself_again(run):
    make_clip("a.mp4", "-pix_fmt", "yuv420p", frames=20)
    part = ["--start", "0.2", "--duration", "0.4", "--crf", "10", "--compare", "wipe"]
    (made,) = run("colorize", "a.mp4", *SIZE, *part)
    (again,) = run("run", made)
    assert len(frame_hashes(made)[1]) == 10
    assert frame_hashes(made)[1] == frame_hashes(again)[1]


@pytest.mark.parametrize("option", [["--format", "prores", "-o", "b.mov"], ["--bit-depth", "10"]])
def test_what_no_node_does_has_no_workflow(run, option):
    make_clip("a.mp4", "-pix_fmt", "yuv420p", frames=3)
    (made,) = run("colorize", "a.mp4", *SIZE, *option)
    assert json.loads(read_tags(made)["colorizationnet"])["settings"]
    with pytest.raises(WorkflowError, match="carries no workflow"):
        read_workflow(made)


@pytest.mark.parametrize("format", ["webp", "png"])
def test_frames_of_pictures_carry_it(tmp_path, format):
    path = tmp_path / ("a.webp" if format == "webp" else "a")
    prompt = {"1": {"class_type": "PrimitiveInt", "inputs": {"value": 3}}}
    save_frames([rand(3, 16, 20, 3)], path, 5, EncodeOptions(format, metadata={
        "prompt": json.dumps(prompt)}))  # fmt: skip
    files = [path] if format == "webp" else sorted(path.iterdir())
    assert len(files) == (1 if format == "webp" else 3)
    for file in files:
        assert read_workflow(file).prompt == prompt
        with Image.open(file) as picture:
            assert getattr(picture, "n_frames", 1) == (3 if format == "webp" else 1)
            picture.load()
    if format == "webp":
        with Image.open(path) as picture:
            assert dict(picture.getexif()) == {65000: f"prompt:{json.dumps(prompt)}"}
        assert struct.unpack("<I", path.read_bytes()[4:8])[0] == path.stat().st_size - 8
        ffmpeg("-i", path, "-f", "null", "-")


def test_moving_and_still_pictures_have_each_text_under_one_number(tmp_path):
    tags = {"source_prompt": "{}", "colorizationnet": "{}", "workflow": "[]"}
    save_frames([rand(3, 16, 20, 3)], tmp_path / "a.webp", 5, EncodeOptions("webp", metadata=tags))
    scene().save(tmp_path / "b.png")
    still = {key: tags[key] for key in ("workflow", "colorizationnet")}
    paint_photo(tmp_path / "b.png", tmp_path / "b.webp", colorize_bands(Tint()), record=still)
    with Image.open(tmp_path / "a.webp") as moving, Image.open(tmp_path / "b.webp") as other:
        found = dict(moving.getexif())
        assert found.pop(65003) == "source_prompt:{}"
        assert found == dict(other.getexif()) == {65001: "workflow:[]", 65002: "colorizationnet:{}"}


# The editor's form


@pytest.mark.parametrize("path", API, ids=lambda path: path.stem)
def test_the_editors_form_says_the_same(path, tmp_path):
    prompt = json.loads(path.read_text())
    with use(StandInHost(tmp_path)):
        schemas = {s.node_id: s for s in (n.GET_SCHEMA() for n in (*NODES, *CORE_NODES))}
    editor = to_editor(prompt, schemas)
    assert len({tuple(node["pos"]) for node in editor["nodes"]}) == len(prompt)
    found = to_prompt(editor, lambda kind: widgets.of_schema(schemas[kind]))
    assert found.keys() == prompt.keys()
    for key, node in prompt.items():
        assert found[key]["class_type"] == node["class_type"]
        assert found[key]["inputs"].items() >= node["inputs"].items()
