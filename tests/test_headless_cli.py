"""The command line: settings, exit codes, and one sentence for every fault."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import copyfile

import imageio_ffmpeg
import numpy as np
import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.standin.host import TerminalProgress
from colorizationnet.options import SHIPPED_WEIGHTS
from PIL import Image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A grey photo and a workflow that colours it, where the user stands."""
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((48, 32)).convert("RGB").save("photo.png")
    prompt = {
        "1": {
            "class_type": "ColorizationNetLoadModel",
            "inputs": {"model_name": "colorizationnet.safetensors", "precision": "auto"},
        },
        "2": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
        "3": {
            "class_type": "ColorizationNetColorizeImages",
            "inputs": {
                "model": ["1", 0],
                "images": ["2", 0],
                "render_size": 32,
                "strength": 1.0,
                "saturation": 1.0,
            },
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "out"}},
    }
    (tmp_path / "workflow.json").write_text(json.dumps(prompt))
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command; gives the exit code, the lines printed and the lines of error."""

    def run(*arguments):
        code = cli.main(list(arguments))
        output = capsys.readouterr()
        return code, output.out.splitlines(), output.err.splitlines()

    return run


def test_run_prints_what_it_saved(folder, run):
    code, saved, errors = run("run", "workflow.json")
    assert (code, saved, errors) == (0, ["output/out_00001_.png"], [])
    with Image.open(folder / saved[0]) as image:
        colored = np.asarray(image, dtype=float)
        assert image.size == (48, 32)
    with Image.open(folder / "photo.png") as image:
        assert abs(colored @ [0.299, 0.587, 0.114] - np.asarray(image)[..., 0]).max() < 1.5


def test_folders_are_options(folder, run):
    (folder / "in").mkdir()
    (folder / "photo.png").rename(folder / "in" / "photo.png")
    code, saved, _ = run("run", "workflow.json", "--input-dir", "in", "--output-dir", "there")
    assert code == 0 and saved == ["there/out_00001_.png"]
    code, _, errors = run("run", "workflow.json", "--input-dir", "gone")
    assert (code, errors) == (2, ["There is no input folder gone."])


def test_weights_of_a_folder_of_ones_own(folder, run):
    (folder / "zoo").mkdir()
    copyfile(SHIPPED_WEIGHTS, folder / "zoo" / "mine.safetensors")
    mine = ("run", "workflow.json", "--set", "1.model_name=mine.safetensors")
    code, _, errors = run(*mine)
    assert code == 2 and "choose one of: colorizationnet.safetensors" in errors[0]
    assert run(*mine, "--models-dir", "zoo") == (0, ["output/out_00001_.png"], [])


def test_set_changes_inputs_by_number_and_by_class(folder, run):
    code, saved, _ = run(
        "run",
        "workflow.json",
        *("--set", "3.strength=0"),
        *("--set", 'SaveImage.filename_prefix="7"'),
        *("--set", "ColorizationNetColorizeImages.quality=fast"),
    )
    assert (code, saved) == (0, ["output/7_00001_.png"])
    with Image.open(folder / saved[0]) as result, Image.open(folder / "photo.png") as photo:
        assert np.array_equal(np.asarray(result), np.asarray(photo))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("strength", "write NODE.INPUT=VALUE"),
        ("3.strength", "write NODE.INPUT=VALUE"),
        ("9.strength=1", "the workflow has no node 9"),
        ("3.power=1", "node 3 has no input power; it has images, "),
        ("3.strength=2", "the input strength is 2.0; choose a value from 0.0 to 1.0"),
        ("3.strength=NaN", "NaN is no number"),
        ("3.strength=much", "the input strength is 'much', which is no FLOAT"),
        ("3.images=photo.png", "the input images needs a link"),
        ("2.image=../photo.png", "leads outside the input folder"),
        ("1.model_name=gone.safetensors", "choose one of: colorizationnet.safetensors"),
    ],
)
def test_a_wrong_setting_is_one_sentence(folder, run, setting, words):
    code, saved, errors = run("run", "workflow.json", "--set", setting)
    assert (code, saved) == (2, []) and len(errors) == 1 and words in errors[0]
    assert not (folder / "output").exists()


@pytest.mark.parametrize(("value", "is_on"), [("False", False), ("TRUE", True), ("false", False)])
def test_set_switches_on_and_off(folder, run, value, is_on):
    set_it = ("--set", f"3.skip_colour={value}", "--export", "out.json")
    prompt = json.loads((folder / "workflow.json").read_text())
    prompt["3"]["class_type"] = "ColorizationNetColorizeFolder"
    (folder / "workflow.json").write_text(json.dumps(prompt))
    assert run("run", "workflow.json", *set_it)[0] == 0
    exported = json.loads((folder / "out.json").read_text())
    assert exported["3"]["inputs"]["skip_colour"] is is_on


def test_set_by_class_needs_a_single_node(folder, run):
    prompt = json.loads((folder / "workflow.json").read_text())
    prompt["5"] = prompt["4"]
    (folder / "workflow.json").write_text(json.dumps(prompt))
    code, _, errors = run("run", "workflow.json", "--set", "SaveImage.filename_prefix=a")
    assert code == 2 and "the workflow has 2 nodes SaveImage; use its number" in errors[0]


def test_every_fault_of_a_workflow_is_a_line(folder, run):
    prompt = json.loads((folder / "workflow.json").read_text())
    del prompt["3"]["inputs"]["images"]
    prompt["3"]["inputs"]["strength"] = 2
    prompt["5"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["1", 0], "filename_prefix": "model"},
    }
    (folder / "workflow.json").write_text(json.dumps(prompt))
    assert run("run", "workflow.json") == (
        2,
        [],
        [
            "Node 3 (ColorizationNetColorizeImages): the input images is missing.",
            "Node 3 (ColorizationNetColorizeImages): the input strength is 2.0; choose a value "
            "from 0.0 to 1.0.",
            "Node 5 (SaveImage): the input images takes IMAGE, but is linked to "
            "COLORIZATION_MODEL of Node 1 (ColorizationNetLoadModel).",
        ],
    )


def test_a_node_that_fails_gives_exit_code_1(folder, run):
    (folder / "photo.png").write_bytes(b"no picture")
    code, saved, errors = run("run", "workflow.json")
    assert (code, saved, len(errors)) == (1, [], 1)
    assert errors[0].startswith("Node 2 (Load Image) failed: ") and "photo.png" in errors[0]


def test_a_missing_workflow(folder, run):
    assert run("run", "none.json") == (2, [], ["There is no workflow file none.json."])


def test_a_workflow_that_saves_nothing_says_so(folder, run):
    prompt = json.loads((folder / "workflow.json").read_text())
    prompt["4"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    (folder / "workflow.json").write_text(json.dumps(prompt))
    code, saved, errors = run("run", "workflow.json")
    assert (code, saved) == (0, []) and errors[0].startswith("No picture or film was saved")


def test_an_album_of_what_no_page_shows_is_printed(folder, run):
    (folder / "album").mkdir()
    Image.linear_gradient("L").save(folder / "album" / "a.tif")
    prompt = json.loads((folder / "workflow.json").read_text())
    inputs = {"model": ["1", 0], "folder": "album", "output_folder": "done", "render_size": 32}
    inputs |= {"strength": 1.0, "saturation": 1.0}
    album = {"class_type": "ColorizationNetColorizeFolder", "inputs": inputs}
    (folder / "workflow.json").write_text(json.dumps({"1": prompt["1"], "2": album}))
    assert run("run", "workflow.json") == (0, ["output/done/a.tif"], [])


def test_ctrl_c_gives_exit_code_130(folder, run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("colorizationnet.headless.standin.graph.Graph.run", interrupted)
    assert run("run", "workflow.json") == (130, [], ["Stopped."])


def test_ctrl_c_while_a_clip_is_written_leaves_nothing(folder, run, monkeypatch):
    writer = imageio_ffmpeg.write_frames("clip.mp4", (48, 32), fps=10)
    writer.send(None)
    for value in range(20):
        writer.send(bytes([10 * value]) * 48 * 32 * 3)
    writer.close()
    prompt = {
        "1": {
            "class_type": "ColorizationNetLoadVideo",
            "inputs": {
                "file": "clip.mp4",
                "start_frame": 0,
                "frame_count": 0,
                "frame_step": 1,
                "batch_size": 4,
            },
        },
        "2": {
            "class_type": "ColorizationNetSaveVideo",
            "inputs": {
                "frames": ["1", 0],
                "fps": ["1", 2],
                "filename_prefix": "out",
                "format": "h264",
            },
        },
    }
    (folder / "clip.json").write_text(json.dumps(prompt))

    def report(self, done, total, preview=None):
        if Path("output").is_dir():  # the second node is at work
            raise KeyboardInterrupt

    monkeypatch.setattr(TerminalProgress, "report", report)
    assert run("run", "clip.json") == (130, [], ["Stopped."])
    assert not list(Path("output").iterdir())
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run("run", "clip.json") == (0, ["output/out_00001_.mp4"], [])


def test_help_does_not_wait_for_torch():
    code = "import sys; from colorizationnet.headless.cli import main\ntry: main(['run', '--help'])"
    code += "\nexcept SystemExit: sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_workflow_for_a_server_needs_no_torch():
    code = "import sys; import colorizationnet.headless.server, colorizationnet.headless.run"
    code += "\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_dry_run_needs_no_torch(folder):
    code = "import sys; from colorizationnet.headless.cli import main"
    code += "\nmain(['colorize', '--dry-run', 'clip.mp4', 'photo.png', '-o', 'to/'])"
    code += "\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_python_dash_m():
    command = [sys.executable, "-m", "colorizationnet", "run", "none.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "There is no workflow file none.json.\n"


@pytest.fixture
def scans(folder):
    """A folder of sources: two photos, one of them below, and a file that is none."""
    (folder / "scans" / "1920").mkdir(parents=True)
    for name in ("a.png", "1920/b.png"):
        Image.open("photo.png").save(folder / "scans" / name)
    (folder / "scans" / "bad.png").write_bytes(b"no picture")
    return folder / "scans"


def colorize(*arguments):
    """The command in a process of its own, where the log goes to standard error."""
    command = [sys.executable, "-m", "colorizationnet", "colorize", "--render-size", "32"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    return done.returncode, sorted(done.stdout.splitlines()), done.stderr.splitlines()


def test_a_bad_photo_does_not_end_the_batch(scans):
    code, saved, errors = colorize("scans", "-o", "done")
    assert (code, saved) == (1, ["done/1920/b-color.png", "done/a-color.png"])
    assert "scans/bad.png: its content is of no kind of photo or clip known here." in errors
    assert errors[-1] == "1 of 3 files failed, each named above."
    assert not Path("done/bad-color.png").exists()


def test_a_single_bad_photo_is_one_sentence(scans, run):
    code, saved, errors = run("colorize", "scans/bad.png")
    assert (code, saved, len(errors)) == (2, [], 1)


def test_a_full_disk_ends_the_batch(scans, run, monkeypatch):
    def full_disk(source, target, *_, **__):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("colorizationnet.pipeline.photo.paint_photo", full_disk)
    code, saved, errors = run("colorize", "scans")
    assert (code, saved) == (1, []) and errors == ["scans/a-color.png: No space left on device."]


@pytest.mark.parametrize("output", [[], ["-o", "scans/done"], ["-o", "scans"]])
def test_results_are_not_colorized_again(scans, run, output):
    (scans / "bad.png").unlink()
    _, first, _ = run("colorize", "scans", *output)
    assert len(first) == 2
    assert run("colorize", "scans", "--overwrite", *output) == (0, first, [])


def test_nothing_below_the_output_folder_is_a_source(scans, run):
    (scans / "bad.png").unlink()
    (scans / "done").mkdir()
    (scans / "a.png").rename(scans / "done" / "renamed.png")
    code, saved, _ = run("colorize", "scans", "-o", "scans/done")
    assert (code, saved) == (0, ["scans/done/1920/b-color.png"])


@pytest.mark.parametrize("name", ["coloured.mp4", "coloured.gif", "my.scans"])
def test_a_photo_needs_the_name_of_a_photo(folder, run, monkeypatch, name):
    monkeypatch.setattr("colorizationnet.model.load_model", pytest.fail)
    code, saved, errors = run("colorize", "photo.png", "-o", name)
    assert (code, saved, len(errors)) == (2, [], 1)
    assert errors[0].startswith(f"{name} is no name for a photo; end it in .png")


@pytest.mark.parametrize("name", ["coloured", "my.scans/"])
def test_a_folder_is_made_for_a_name_without_suffix_or_with_a_slash(folder, run, name):
    code, saved, _ = run("colorize", "photo.png", "-o", name)
    assert (code, saved) == (0, [f"{Path(name)}/photo-color.png"])


def test_a_still_gif_becomes_a_photo_and_a_moving_one_a_film(folder, run):
    frames = [Image.new("L", (32, 32), level) for level in (40, 90, 200)]
    frames[0].save("still.gif")
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:], duration=100)
    code, saved, _ = run("colorize", "still.gif", "moving.gif")
    assert (code, saved) == (0, ["still-color.png", "moving-color.mp4"])


def test_16_bit_levels_are_kept_or_told(folder, run, caplog):
    Image.fromarray(np.linspace(0, 65535, 48 * 32).astype(np.uint16).reshape(32, 48)).save("d.tif")
    assert run("colorize", "d.tif", "photo.png")[:2] == (0, ["d-color.tif", "photo-color.png"])
    assert not [record for record in caplog.records if record.levelname != "INFO"]
    caplog.clear()
    assert run("colorize", "d.tif", "-o", "d.jpg")[:2] == (0, ["d.jpg"])
    assert caplog.messages == [
        "d.jpg: 16-bit levels are written with 8 bits; JPEG has no more here."
    ]
