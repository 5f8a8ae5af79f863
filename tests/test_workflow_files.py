"""Workflows out of the files that people share."""

import json
from pathlib import Path

import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.standin.workflow import WorkflowError, checked_prompt
from colorizationnet.headless.standin.workflow_files import read_workflow
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from video_clips import make_clip

PROMPT = {"1": {"class_type": "PrimitiveInt", "inputs": {"value": 3}}}
EDITOR = {"nodes": [{"id": 1, "type": "PrimitiveInt", "widgets_values": [3]}], "links": []}
TEMPLATES = Path(__file__).parents[1] / "workflows"


def write(path, data, encoding="utf-8"):
    path.write_bytes((data if isinstance(data, str) else json.dumps(data)).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("data", "prompt", "editor"),
    [
        (PROMPT, PROMPT, None),
        (EDITOR, None, EDITOR),
        ({"prompt": PROMPT}, PROMPT, None),
        ({"prompt": PROMPT, "client_id": "me"}, PROMPT, None),
        (
            {"prompt": PROMPT, "extra_data": {"extra_pnginfo": {"workflow": EDITOR}}},
            PROMPT,
            EDITOR,
        ),
        ({"output": PROMPT, "workflow": EDITOR}, PROMPT, EDITOR),
        ({"workflow": EDITOR}, None, EDITOR),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json(tmp_path, data, prompt, editor, encoding):
    found = read_workflow(write(tmp_path / "w.json", data, encoding))
    assert (found.prompt, found.editor) == (prompt, editor)


@pytest.mark.parametrize("carried", [{"prompt": PROMPT, "workflow": EDITOR}, {"workflow": EDITOR}])
@pytest.mark.parametrize("chunk", ["tEXt", "iTXt", "zTXt"])
def test_png(tmp_path, carried, chunk):
    info = PngInfo()
    for key, value in carried.items():
        text = json.dumps(value)
        if chunk == "iTXt":
            info.add_itxt(key, text)
        else:
            info.add_text(key, text, zip=chunk == "zTXt")
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png", pnginfo=info)
    found = read_workflow(tmp_path / "a.png")
    assert (found.prompt, found.editor) == (carried.get("prompt"), EDITOR)


def test_webp(tmp_path):
    image = Image.new("RGB", (3, 2))
    exif = image.getexif()
    exif[0x0110] = f"prompt:{json.dumps(PROMPT)}"
    exif[0x010F] = f"workflow:{json.dumps(EDITOR)}"
    image.save(tmp_path / "a.webp", exif=exif)
    found = read_workflow(tmp_path / "a.webp")
    assert (found.prompt, found.editor) == (PROMPT, EDITOR)


def clip(path, **tags):
    options = ["-c:v", "libvpx" if path.suffix == ".webm" else "libx264"]
    for key, value in tags.items():
        options += ["-metadata", f"{key}={value}"]
    if path.suffix in (".mp4", ".mov"):
        options += ["-movflags", "use_metadata_tags"]
    return make_clip(path, *options, size="32x32", rate="5", frames=5)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_clips(tmp_path, suffix):
    odd = {"1": {"class_type": "PrimitiveString", "inputs": {"value": "a=b;\\#\nc'é\t[x]"}}}
    path = clip(tmp_path / f"a{suffix}", prompt=json.dumps(odd), workflow=json.dumps(EDITOR))
    found = read_workflow(path)
    assert (found.prompt, found.editor) == (odd, EDITOR)


def test_a_clip_of_videohelpersuite(tmp_path):
    comment = json.dumps({"prompt": json.dumps(PROMPT), "workflow": EDITOR})
    found = read_workflow(clip(tmp_path / "a.mp4", comment=comment))
    assert (found.prompt, found.editor) == (PROMPT, EDITOR)


def test_files_without_a_workflow(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    Image.new("RGB", (3, 2)).save(tmp_path / "a.webp")
    for path in (tmp_path / "a.png", tmp_path / "a.webp", clip(tmp_path / "a.mp4")):
        with pytest.raises(WorkflowError, match="carries no workflow"):
            read_workflow(path)


def test_torn_files(tmp_path):
    info = PngInfo()
    info.add_text("prompt", json.dumps(PROMPT))
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png", pnginfo=info)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    write(tmp_path / "a.mp4", "\0\0\0\x18ftypmp42")
    (tmp_path / "a.mkv").write_bytes(b"\x1a\x45\xdf\xa3torn")
    for name in ("a.png", "a.mp4", "a.mkv"):
        with pytest.raises(WorkflowError, match=f"{name} cannot be read as|carries no workflow"):
            read_workflow(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not a JSON file"),
        ("\xff\xfe\0\xd8", "is not a JSON file"),
        ("[" * 100_000, "nested too deep"),
        ('{"1": {"class_type": "A", "inputs": {"x": ' + "9" * 5000 + "}}}", "is not a JSON file"),
        ("[]", "is not an API-format workflow"),
        ("{}", "is not an API-format workflow"),
        ('{"1": {"inputs": {}}}', "node 1 is no node"),
        ('{"1": {"class_type": 3, "inputs": {}}}', "node 1 is no node"),
        ('{"1": {"class_type": "Show", "inputs": []}}', "inputs of node 1"),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', r"Node 1 \(A\): the input x"),
        ('{"1": {"class_type": "A", "inputs": {"x": 1e400}}}', "the input x is no number"),
        ('{"1": {"class_type": "A", "inputs": {"x": [[-Infinity]]}}}', "input x is no number"),
    ],
)  # fmt: skip
def test_files_that_are_no_workflow(tmp_path, text, words):
    with pytest.raises(WorkflowError, match=words) as caught:
        read_workflow(write(tmp_path / "workflow.json", text, "latin-1"))
    assert len(str(caught.value)) < 1000


def test_a_missing_workflow_file(tmp_path):
    with pytest.raises(WorkflowError, match="There is no workflow file"):
        read_workflow(tmp_path / "none.json")


def test_odd_titles_and_other_keys_are_left_out():
    odd = {"class_type": "A", "_meta": ["?"], "is_changed": [float("nan")]}
    assert checked_prompt({"1": odd}, "here") == {"1": {"class_type": "A", "inputs": {}}}


def test_messages_do_not_echo_what_is_huge_or_obeyed_by_a_terminal(tmp_path):
    huge = {f"{n}\x1b[2J" + "x" * 100_000: {"class_type": 3} for n in range(3)}
    with pytest.raises(WorkflowError) as caught:
        read_workflow(write(tmp_path / "w.json", huge))
    assert len(str(caught.value)) < 500 and "\x1b" not in str(caught.value)


# The command line


def run(capsys, *arguments):
    code = cli.main(["run", *map(str, arguments)])
    output = capsys.readouterr()
    return code, output.out.splitlines(), output.err


def test_export_writes_the_api_form(tmp_path, capsys):
    target = tmp_path / "api.json"
    workflow = TEMPLATES / "01 Colorize Photo.json"
    setting = ["--set", "SaveImage.filename_prefix=mine"]
    assert run(capsys, workflow, "--export", target, *setting) == (0, [str(target)], "")
    prompt = json.loads(target.read_text())
    assert prompt["4"]["inputs"] == {"images": ["3", 0], "filename_prefix": "mine"}
    assert prompt["2"]["_meta"] == {"title": "Load Image"}
    code, _, error = run(capsys, workflow, "--export", target)
    assert code == 2 and "is there already" in error


def test_a_picture_makes_itself_again(tmp_path, capsys):
    """What Save Image writes carries both forms, and running it gives the same picture."""
    inputs = ["--input-dir", TEMPLATES / "samples", "--set", "3.render_size=64"]
    first = tmp_path / "first"
    workflow = TEMPLATES / "01 Colorize Photo.json"
    code, (saved,), error = run(capsys, workflow, *inputs, "--output-dir", first)
    assert code == 0, error
    found = read_workflow(saved)
    assert found.editor == json.loads(workflow.read_text())
    again = ["--input-dir", TEMPLATES / "samples", "--output-dir", tmp_path / "second"]
    code, (copy,), error = run(capsys, saved, *again)
    assert code == 0, error
    with Image.open(saved) as one, Image.open(copy) as other:
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "-1e400"])
def test_a_setting_that_is_no_number(capsys, value):
    code, _, error = run(
        capsys, TEMPLATES / "01 Colorize Photo.json", "--set", f"3.strength={value}"
    )
    assert code == 2 and f"{value} is no number" in error


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_setting_that_reads_as_no_number(capsys, value):
    code, _, error = run(
        capsys, TEMPLATES / "01 Colorize Photo.json", "--set", f"3.strength={value}"
    )
    assert code == 2 and f"the input strength is '{value}', which is no FLOAT" in error


@pytest.mark.parametrize("name", [None, 5, 1.5, True, {"a": 1}, {"__value__": ["a.png"]}])
def test_a_file_name_that_is_no_text(tmp_path, capsys, name):
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}, "_meta": {"title": 3}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}, "_meta": "odd"},
    }
    code, _, error = run(capsys, write(tmp_path / "w.json", prompt))
    assert code == 2 and "Node 1 (LoadImage): the input image is" in error
    assert "Unexpected" not in error
