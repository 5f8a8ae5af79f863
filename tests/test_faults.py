"""A disk that is full, files that cannot grow, and descriptors that run out."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from colorizationnet.headless import cli
from colorizationnet.headless.journal import NAME
from colorizationnet.model import ColorizationNet, save_model
from photo_files import scene
from PIL import Image
from video_clips import make_clip

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "colorizationnet"]
FAST = ["--render-size", "16", "--quality", "fast"]
WORKFLOWS = Path(__file__).parents[1] / "workflows"
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc of Linux")


def can_mount():
    mount = 'd=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs "$d"'
    tried = [*UNSHARED, "sh", "-c", mount]
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    return subprocess.run(tried, capture_output=True).returncode == 0


UNSHARED = ["unshare", "--user", "--map-root-user", "--mount"]
needs_mount = pytest.mark.skipif(not can_mount(), reason="no user may mount a tmpfs here")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Two photos whose results take 200 KB each, and a clip of noise."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("films").mkdir()
    noise = torch.randint(0, 256, (300, 300), dtype=torch.uint8, generator=torch.manual_seed(0))
    for name in "abc":
        Image.fromarray(noise.numpy()).save(f"photos/{name}.png")
    for name in "ab":
        make_clip(Path(f"films/{name}.mp4"), "-pix_fmt", "yuv420p", size="320x240", frames=60)
    return tmp_path


def on_full_disk(kilobytes, *arguments):
    """Run the command where the folder ``full`` has so much room; code, errors, what is left."""
    Path("full").mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o size={kilobytes}k tmpfs full && "$@"; code=$?; '
    script += "ls -A full; exit $code"
    command = [*UNSHARED, "sh", "-c", script, "sh", *COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr, done.stdout.splitlines()


def check_one_sentence(code, errors, words="No space left on device"):
    assert code == 1 and "Traceback" not in errors and "Unexpected" not in errors, errors
    assert errors.splitlines()[-1].count(words) == 1, errors


@needs_mount
@pytest.mark.parametrize("kind", ["photos", "films"])
def test_a_full_disk_ends_a_folder_at_once(sources, kind):
    options = ["--format", "ffv1"] if kind == "films" else []
    code, errors, left = on_full_disk(64, "colorize", kind, "-o", "full", *FAST, *options)
    check_one_sentence(code, errors)
    assert f"{len(os.listdir(kind))} not done" in errors
    assert set(left) <= {NAME}


@needs_mount
def test_a_full_disk_keeps_what_was_done(sources):
    code, errors, left = on_full_disk(450, "colorize", "photos", "-o", "full", *FAST)
    check_one_sentence(code, errors)
    done = [name for name in left if name != NAME and not name.startswith("full/")]
    assert sorted(done) == ["a-color.png", "b-color.png"] and "2 coloured" in errors


@needs_mount
@pytest.mark.parametrize("name", ["01 Colorize Photo", "02 Colorize Film"])
def test_a_full_disk_ends_a_workflow(sources, name):
    arguments = ["--input-dir", WORKFLOWS / "samples", "--output-dir", "full/out"]
    if "Film" in name:
        arguments += ["--set", "ColorizationNetColorizeVideo.render_size=16"]
    code, errors, left = on_full_disk(64, "run", WORKFLOWS / f"{name}.json", *arguments)
    check_one_sentence(code, errors)
    assert left in ([], ["out"])


@needs_mount
def test_a_full_disk_ends_keyframes_and_teaching(sources):
    code, errors, left = on_full_disk(20, "keyframes", "films/a.mp4", "-o", "full/keys")
    check_one_sentence(code, errors)
    assert left == []
    Image.merge("RGB", (scene(), scene(), Image.new("L", (96, 64)))).save("frame.png")
    taught = ["teach", "frame.png", "--steps", "1", "-o", "full/taught.safetensors"]
    code, errors, left = on_full_disk(64, *taught)
    check_one_sentence(code, errors)
    assert left == []


def limited(name, value, *arguments):
    """Run the command under a limit of the system."""
    import resource

    def limit():
        resource.setrlimit(getattr(resource, name), (value, value))

    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=300)
    return done.returncode, done.stderr


@needs_linux
@pytest.mark.parametrize("source", ["photos/a.png", "films/a.mp4"])
def test_a_file_that_cannot_grow_is_said(sources, source):
    options = ["--format", "ffv1"] if source.startswith("films") else []
    arguments = ["colorize", source, "-o", "out/", *FAST, *options]
    code, errors = limited("RLIMIT_FSIZE", 20_000, *arguments)
    check_one_sentence(code, errors, "File too large")
    assert os.listdir("out") == []


@needs_linux
@pytest.mark.parametrize("source", ["photos/a.png", "films/a.mp4"])
@pytest.mark.parametrize("most", [8, 12, 16, 20])
def test_descriptors_that_run_out_are_said(sources, source, most):
    code, errors = limited("RLIMIT_NOFILE", most, "colorize", source, "-o", "out/", *FAST)
    if code:
        assert "Traceback" not in errors and "Unexpected" not in errors, errors
        assert not Path("out").exists() or os.listdir("out") == []
    else:
        assert len(os.listdir("out")) == 1


@needs_linux
def test_a_hundred_jobs_leave_nothing_open(sources, caplog):
    caplog.set_level("INFO")
    torch.manual_seed(0)
    save_model(ColorizationNet(), "net.safetensors", {"render_size": "16", "quality": "fast"})
    Path("many").mkdir()
    for number in range(36):
        scene((40, 30)).save(f"many/{number:03}{('.png', '.jpg', '.tif', '.webp')[number % 4]}")
    for number in range(36, 46):
        Path(f"many/{number:03}.png").write_bytes(b"\x89PNG\r\n\x1a\ntorn")
    for number in range(46, 48):
        make_clip(Path(f"many/{number}.mp4"), "-pix_fmt", "yuv420p", frames=3)
        Path(f"many/{number}t.mp4").write_bytes(b"\0\0\0\x18ftypmp42torn")
    colorize = ["colorize", "many", "-o", "out", "--model", "net.safetensors"]
    assert cli.main([*colorize, "--overwrite"]) == 1  # the torn ones
    before = set(os.listdir("/proc/self/fd")), threading.active_count()
    assert cli.main([*colorize, "--overwrite"]) == 1
    after = set(os.listdir("/proc/self/fd")), threading.active_count()
    assert len(after[0]) <= len(before[0]) and after[1] <= before[1]
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    assert not children.strip()
    assert caplog.text.count("38 coloured") == 2 and caplog.text.count("12 failed") == 2
