"""Rough endings of the command line: signals, kills, and what the next run finds."""

import inspect
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from colorizationnet import files
from colorizationnet.files import AtomicOutput
from colorizationnet.headless import claims, cli, signals
from colorizationnet.headless.journal import NAME
from colorizationnet.host.paths import list_files
from PIL import Image
from video_clips import make_clip

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "colorizationnet"]
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A photo, and a film that takes long."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    Image.linear_gradient("L").save("scans/a.png")
    options = ("-pix_fmt", "yuv420p", "-preset", "ultrafast")
    make_clip(Path("scans/b.mp4"), *options, size="640x480", frames=1200)
    return Path("scans")


def begin(*arguments, **options):
    """The command, once it has written the photo and is at the film."""
    command = [*COMMAND, "colorize", *arguments, "--quality", "fast"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    program = subprocess.Popen(command, **pipes, **options)
    assert program.stdout.readline() == "done/a-color.png\n"
    for _ in range(600):
        if any(part.stat().st_size for part in Path("done").glob(".colorizationnet-*.part.mp4")):
            return program
        time.sleep(0.05)
    pytest.fail("the film is not begun")


@needs_posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_it_like_ctrl_c(scans, number, code):
    with begin("scans", "-o", "done") as program:
        program.send_signal(number)
        _, said = program.communicate(timeout=60)
    assert program.returncode == code and said.splitlines()[-1] == "Stopped."
    assert "1 coloured" in said and "1 not done" in said
    assert sorted(os.listdir("done")) == [NAME, "a-color.png"]


@needs_posix
def test_a_reader_that_has_ended_is_told_of_and_leaves_nothing(tmp_path):
    for name in ("a.png", "b.png"):
        Image.linear_gradient("L").resize((32, 32)).save(tmp_path / name)
    command = [*COMMAND, "colorize", tmp_path, "-o", tmp_path / "done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        program.stdout.close()
        said = program.stderr.read().decode()
    assert program.returncode == 1 and "Nobody reads what is printed any more." in said
    assert sorted(os.listdir(tmp_path / "done")) == [NAME, "a-color.png"]


@needs_posix
def test_a_closed_terminal_leaves_nothing_either(scans):
    import pty

    program, terminal = pty.fork()
    if program == 0:
        os.execv(sys.executable, [*COMMAND, "colorize", "scans", "-o", "done"])
    said = b""
    while b"done/a-color.png" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)
    _, status = os.waitpid(program, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert sorted(os.listdir("done")) == [NAME, "a-color.png"]


@needs_posix
def test_whenever_a_signal_comes_no_claim_is_left(tmp_path):
    """At each step of taking a claim and giving it up, whichever are there."""

    held = inspect.unwrap(signals.held).__code__

    def end_at(moment):
        steps = 0

        def trace(frame, event, _):
            nonlocal steps
            if frame.f_code.co_filename == claims.__file__ or frame.f_code is held:
                frame.f_trace_opcodes = True
                steps += 1
                if steps == moment:
                    signal.raise_signal(signal.SIGTERM)
            return trace

        before = sys.gettrace()
        try:
            with signals.raised():
                sys.settrace(trace)
                with claims.claimed(tmp_path / "a.png") as mine:
                    assert mine
        except signals.Ended:
            return True
        finally:
            sys.settrace(before)
            claims.give_up_claims()  # as the command line does at its end
        return False

    moments = 1
    while end_at(moments):
        assert not list(tmp_path.iterdir()), moments
        moments += 1
    assert moments > 50 and not list(tmp_path.iterdir())


@needs_posix
def test_a_program_without_a_terminal_goes_on_at_its_end():
    """`nohup` has SIGHUP ignored."""
    code = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    code += "\nfrom colorizationnet.headless import signals"
    code += "\nimport os"
    code += "\nwith signals.raised(): os.kill(os.getpid(), signal.SIGHUP); print('on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "on\n"


@needs_posix
@pytest.mark.skipif(sys.platform != "linux", reason="tells the owner by /proc")
def test_what_a_kill_leaves_goes_with_the_next_run_which_goes_on(scans):
    with begin("scans", "-o", "done") as program:
        program.kill()
    assert len(list(Path("done").glob(".colorizationnet-*"))) == 2  # the part and the claim
    (scans / "b.mp4").unlink()
    Image.linear_gradient("L").save("scans/c.png")
    done = subprocess.run(
        [*COMMAND, "colorize", "scans", "-o", "done", "--quality", "fast"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "done/c-color.png\n")
    assert "1 already there" in done.stderr
    assert sorted(os.listdir("done")) == [NAME, "a-color.png", "c-color.png"]


@pytest.fixture
def dead_owner():
    """What a process that has ended called its temporary files."""
    code = "from colorizationnet.owners import owner; print(owner())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout[:-1]


@needs_posix
def test_parts_and_temporary_folders_go_when_their_owner_is_dead(tmp_path, dead_owner):
    prefix = files.PREFIX
    kept = [
        tmp_path / f"{prefix}{files.owner()}-00.part.png",  # of this process
        tmp_path / f"{prefix}00000000-1-1-00.part.png",  # of another host
        tmp_path / f"{prefix}mine.png",
        tmp_path / "colorizationnet-my-own-good-things",
        Path(tempfile.mkdtemp(prefix=files.temp_prefix(), dir=tmp_path)),
    ]
    for path in kept[:-1]:
        path.touch()
    long_ago = time.time() - 2 * files.STALE
    os.utime(kept[0], (long_ago, long_ago))  # its process waits, and is alive
    old = tmp_path / f"{prefix}00000000-1-2-00.part.png"
    old.touch()
    os.utime(old, (long_ago, long_ago))
    (tmp_path / f"{prefix}{dead_owner}-00.part.png").touch()
    (tmp_path / f"{prefix}{dead_owner}-01.part").mkdir()
    (tmp_path / f"colorizationnet-{dead_owner}-abc").mkdir()
    (tmp_path / f"colorizationnet-{dead_owner}-abc" / "half.mp4").touch()
    files.remove_stale_parts(tmp_path)
    files.remove_stale_temp(tmp_path)
    assert set(tmp_path.iterdir()) == set(kept)


@needs_posix
def test_the_command_line_cleans_the_temporary_folder(tmp_path, dead_owner, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"colorizationnet-{dead_owner}-abc"
    left.mkdir()
    cli.main(["colorize", str(tmp_path / "gone.png")])
    assert not left.exists()


def no_links(*_):
    raise OSError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_meanwhile_is_kept(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with AtomicOutput(tmp_path / "a.png") as part:
        part.write_bytes(b"first")
    with pytest.raises(FileExistsError), AtomicOutput(tmp_path / "b.png") as part:
        part.write_bytes(b"second")
        (tmp_path / "b.png").write_bytes(b"mine")
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"a.png": b"first", "b.png": b"mine"}


@pytest.mark.parametrize("links", [True, False])
def test_a_part_that_is_gone_leaves_no_empty_result(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(FileNotFoundError), AtomicOutput(tmp_path / "a.png") as part:
        part.write_bytes(b"first")
        part.unlink()
    assert not list(tmp_path.iterdir())


@needs_posix
def test_only_a_plain_file_is_ever_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("nowhere.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "link.png", "folder.png"):
        with pytest.raises(FileExistsError):
            AtomicOutput(tmp_path / name, overwrite=True)


def test_a_name_that_no_file_can_have_is_refused_before_the_work(tmp_path):
    with pytest.raises(OSError, match="too long"):
        AtomicOutput(tmp_path / f"{'n' * 300}.png")


@needs_posix
def test_a_link_in_a_circle_harms_no_list_of_inputs(tmp_path):
    (tmp_path / "round.png").symlink_to("round.png")
    (tmp_path / "a.png").touch()
    assert list_files(str(tmp_path), "image") == ["a.png"]
    assert list_files(str(tmp_path / "a.png"), "image") == []


@pytest.mark.parametrize(
    "command", [[], ["colorize"], ["teach"], ["keyframes"], ["run"], ["convert"]]
)
def test_help_is_light(command):
    code = "import sys; from colorizationnet.headless.cli import main"
    code += f"\ntry: main({[*command, '--help']})"
    code += "\nexcept SystemExit as error: assert not error.code"
    code += "\nheavy = {'torch', 'numpy', 'PIL', 'tqdm', 'imageio_ffmpeg'} & set(sys.modules)"
    code += "\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: colorizationnet")


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    name, number = capsys.readouterr().out.split()
    assert name == "colorizationnet" and number[0].isdigit()


def test_keyframes_refuses_none_a_shot(tmp_path, capsys):
    clip = make_clip(tmp_path / "a.mp4")
    arguments = ["keyframes", str(clip), "-o", str(tmp_path / "keys")]
    assert cli.main([*arguments, "--per-shot", "0"]) == 2
    assert capsys.readouterr().err == "--per-shot is 0; a shot needs at least 1 keyframe.\n"
    assert not (tmp_path / "keys").exists()


def test_keyframes_are_of_clips_only(tmp_path, capsys):
    photo = tmp_path / "a.mp4"
    Image.linear_gradient("L").save(photo, "PNG")
    assert cli.main(["keyframes", str(photo), "-o", str(tmp_path / "keys")]) == 2
    assert capsys.readouterr().err == f"{photo} is a photo; keyframes are those of a clip.\n"
    assert not (tmp_path / "keys").exists()


def test_keyframes_leaves_nothing_when_it_is_stopped(tmp_path, monkeypatch, capsys):
    clip = make_clip(tmp_path / "a.mp4", frames=20)
    from colorizationnet.pipeline import write_photo

    def stopped(path, image):
        write_photo(path, image)
        raise KeyboardInterrupt

    monkeypatch.setattr("colorizationnet.pipeline.write_photo", stopped)
    (tmp_path / "empty").mkdir()
    for folder in ("keys", "empty"):
        assert cli.main(["keyframes", str(clip), "-o", str(tmp_path / folder)]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "empty"]
    assert not list((tmp_path / "empty").iterdir())
    monkeypatch.undo()
    assert cli.main(["keyframes", str(clip), "-o", str(tmp_path / "keys")]) == 0
    assert (tmp_path / "keys" / "shots.json").is_file()


def test_teach_replaces_no_model_that_appears_meanwhile(tmp_path, monkeypatch, capsys):
    Image.effect_noise((32, 32), 50).convert("RGB").save(tmp_path / "frame.png")
    model = tmp_path / "taught.safetensors"

    def taught(base, *_, **__):
        model.write_bytes(b"mine")
        return base

    monkeypatch.setattr("colorizationnet.pipeline.teach", taught)
    assert cli.main(["teach", str(tmp_path / "frame.png"), "-o", str(model)]) == 2
    assert "is there already; choose another name." in capsys.readouterr().err
    assert model.read_bytes() == b"mine"
