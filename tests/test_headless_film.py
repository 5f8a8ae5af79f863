"""`colorize` with films: rows of pictures, bit depth, and what is said of damage."""

from pathlib import Path

import numpy as np
import pytest
from colorizationnet.headless import cli
from colorizationnet.pipeline import probe
from PIL import Image
from video_clips import ffmpeg, make_clip

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, caplog):
    """Runs `colorize` in an empty folder; the exit code, the files printed, and what was said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        caplog.clear()
        code = cli.main(["colorize", "--render-size", "32", *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out.splitlines(), "\n".join([*caplog.messages, output.err])

    return run


@pytest.fixture
def scans(tmp_path):
    """A folder of twelve numbered pictures."""
    folder = tmp_path / "reel 1"
    folder.mkdir()
    row = np.linspace(20, 230, 48).astype(np.uint8)
    for number in range(1, 13):
        Image.fromarray(np.tile(np.roll(row, number), (32, 1))).save(folder / f"{number:05}.png")
    return folder


def test_numbered_pictures_are_one_film(scans, run):
    code, saved, said = run("reel 1/%05d.png", "--fps", "23.976", "-o", "film.mp4")
    assert (code, saved) == (0, ["film.mp4"]), said
    clip = probe("film.mp4")
    assert (clip.frame_count, clip.fps.numerator, clip.fps.denominator) == (12, 24000, 1001)


def test_a_folder_is_a_film_where_it_is_asked_for(scans, run):
    code, saved, _ = run("reel 1", "--as-film", "--fps", "25", "-o", "done/")
    assert (code, saved) == (0, ["done/reel 1-color.mp4"])
    assert probe(saved[0]).frame_count == 12
    code, saved, said = run("reel 1", "--as-film", "--fps", "25", "-o", "film.mp4")
    assert (code, saved) == (0, ["film.mp4"]), said
    assert Path("film.mp4").is_file()
    code, saved, _ = run("reel 1", "-o", "apart/")
    assert code == 0 and len(saved) == 12


def test_results_of_a_films_pictures_are_none_of_its_pictures(scans, run):
    assert run("reel 1/00003.png")[0] == 0
    code, saved, said = run("reel 1", "--as-film", "--fps", "25")
    assert (code, saved) == (2, []) and "00003-color.png is the result of another picture" in said
    assert run("reel 1/%05d.png", "--fps", "25")[:2] == (0, ["reel 1-color.mp4"])
    assert probe("reel 1-color.mp4").frame_count == 12


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["reel 1/%05d.png"], "Say it with --fps"),
        (["reel 1", "--as-film"], "Say it with --fps"),
        (["reel 1", "--fps", "25"], "--fps is for pictures"),
        (["reel 1/%05d.jpg", "--fps", "25"], "no pictures of that name"),
    ],
)
def test_what_is_missing_to_a_film_is_said(scans, run, arguments, match):
    code, saved, said = run(*arguments)
    assert code != 0 and not saved and match in said


@pytest.mark.parametrize("fps", ["0", "-3", "nan", "1/0", "fast"])
def test_a_rate_that_is_none_is_refused(scans, run, capsys, fps):
    with pytest.raises(SystemExit) as end:
        run("reel 1", "--as-film", f"--fps={fps}")
    assert end.value.code == 2
    assert "no rate" in capsys.readouterr().err


def test_frames_that_are_missing_end_with_1(scans, run):
    (scans / "00005.png").unlink()
    code, saved, said = run("reel 1/%05d.png", "--fps", "25", "-o", "film.mp4")
    assert (code, saved) == (1, ["film.mp4"])
    assert "1 frames are missing" in said and "Written, but frames" in said


def test_a_clip_that_is_cut_off_ends_with_1(tmp_path, run):
    whole = make_clip(tmp_path / "whole.mkv", "-pix_fmt", "yuv420p", "-g", "5", frames=75)
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    code, saved, said = run("whole.mkv", "-o", "out.mkv")
    assert (code, saved) == (0, ["out.mkv"]) and "missing" not in said
    code, saved, said = run("cut.mkv", "whole.mkv", "-o", "done/")
    assert code == 1 and len(saved) == 2
    assert "frames are missing" in said and "cut-color.mkv." in said
    code, saved, said = run("cut.mkv", "-o", "part.mkv", "--duration", "0.4")
    assert (code, saved) == (0, ["part.mkv"]) and "missing" not in said


def test_missing_frames_are_told_each_time(scans, run):
    whole = scans / "00005.png"
    kept = whole.read_bytes()
    whole.unlink()
    command = ("reel 1/%05d.png", "--fps", "25", "-o", "done/", "--skip-existing")
    code, saved, said = run(*command)
    assert (code, saved) == (1, ["done/reel 1-color.mp4"])
    assert said.rstrip().endswith("frames of the source are missing: reel 1-color.mp4.")
    code, saved, said = run(*command)
    assert (code, saved) == (1, [])
    assert "1 already there, but frames of their source are missing." in said
    assert said.rstrip().endswith("frames of the source are missing: reel 1-color.mp4.")
    whole.write_bytes(kept)
    assert run(*command)[:2] == (0, ["done/reel 1-color.mp4"])
    assert run(*command)[:2] == (0, [])


def test_bit_depth_keeps_what_the_default_does_not(tmp_path, run):
    make_clip(tmp_path / "in.mov", "-c:v", "prores_ks", "-pix_fmt", "yuv422p10le")
    code, _, said = run("in.mov", "-o", "8.mov")
    assert code == 0 and "has 10 bits a sample, 8.mov gets 8" in said
    assert probe("8.mov").pix_fmt == "yuv420p"
    code, _, said = run("in.mov", "-o", "10.mov", "--bit-depth", "10")
    assert code == 0 and "bits a sample" not in said
    assert probe("10.mov").pix_fmt == "yuv420p10le"


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".y4m", "wrapped_avframe"), (".h264", "libx264"), (".hevc", "libx265")]
)
@pytest.mark.parametrize("short", [False, True])
def test_bare_streams_are_clips(tmp_path, run, suffix, codec, short):
    quiet = ("-x265-params", "log-level=none") if codec == "libx265" else ()
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-frames:v", 12, "-pix_fmt", "yuv420p"),
        *("-c:v", codec, *quiet, tmp_path / f"in{suffix}"),
    )
    if short and suffix != ".y4m":  # a start code may have three bytes or four
        data = (tmp_path / f"in{suffix}").read_bytes()
        (tmp_path / f"in{suffix}").write_bytes(data.removeprefix(b"\0"))
    code, saved, said = run(f"in{suffix}", "-o", "done/")
    assert (code, saved) == (0, ["done/in-color.mp4"]), said
    assert probe(saved[0]).frame_count == 12


def test_a_row_of_pictures_is_done_again_when_one_changes(scans, run):
    again = ("reel 1", "--as-film", "--fps", "25", "-o", "done/")
    assert run(*again)[1] == ["done/reel 1-color.mp4"]
    assert run(*again)[:2] == (0, [])
    (scans / "notes.txt").write_text("no picture of the row")
    assert run(*again)[:2] == (0, [])
    Image.new("L", (48, 32), 90).save(scans / "00007.png")
    assert run(*again)[:2] == (0, ["done/reel 1-color.mp4"])
    code, saved, said = run(*again, "--strength", "0.5")
    assert (code, saved) == (0, []) and "1 already there, made with other settings" in said
    (scans / "00001.png").unlink()
    assert run(*again)[:2] == (0, ["done/reel 1-color.mp4"])
    assert probe("done/reel 1-color.mp4").frame_count == 11


def test_another_row_replaces_no_result_of_the_first_unasked(scans, run):
    options = ("--fps", "25", "-o", "done/", "--skip-existing")
    assert run("reel 1/%05d.png", *options)[1] == ["done/reel 1-color.mp4"]
    code, saved, said = run("reel 1/0000%d.png", *options)
    assert (code, saved) == (0, []) and "made or changed by others" in said


def test_two_rows_in_one_folder_do_not_take_each_others_name(scans, run):
    for file in sorted(scans.iterdir())[:3]:
        file.rename(scans / f"b_{file.name}")
    code, saved, said = run("reel 1/%05d.png", "reel 1/b_%05d.png", "--fps", "25", "-o", "done/")
    assert (code, saved) == (2, []) and "Two results would be named" in said
