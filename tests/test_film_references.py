"""The command line with coloured frames named by number or time, its score, and the next frames."""

import json
import shutil

import numpy as np
import pytest
from colorizationnet.headless.cli import main
from colorizationnet.pipeline import probe
from colorizationnet.video import read_frames, read_tags
from PIL import Image
from video_clips import chroma, make_clip

pytestmark = pytest.mark.slow


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", frames=40, size="96x64", source="testsrc2")


@pytest.fixture
def colours(tmp_path, clip):
    folder = tmp_path / "colours"
    folder.mkdir()
    (frames,) = read_frames(probe(clip), start_frame=5, frame_count=1, alpha=False)
    Image.fromarray(frames[0]).save(folder / "00-00-00.200.png")
    return folder


def test_a_folder_without_a_list_colours_a_film_and_its_score_is_written(tmp_path, clip, colours):
    score = tmp_path / "score.json"
    arguments = ["colorize", clip, "--keyframes", colours, "--confidence", score]
    assert main([*map(str, arguments), "-o", str(tmp_path / "out.mp4")]) == 0
    assert probe(tmp_path / "out.mp4").frame_count == 40
    written = json.loads(score.read_text())
    confidence = written["confidence"]
    assert len(confidence) == len(written["error"]) == 40
    assert min(written["error"]) >= 0
    assert confidence[5] > 0.98
    assert all(0 <= value <= confidence[5] for value in confidence)


def test_more_frames_are_named_for_a_folder_of_coloured_ones(tmp_path, clip, colours):
    out = tmp_path / "more"
    arguments = ["keyframes", clip, "--keyframes", colours, "--more", 2, "-o", out]
    assert main(list(map(str, arguments))) == 0
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 2 and "frame_000005.png" not in names
    for name in names:
        shutil.copy(out / name, colours / name)  # as they are: grey would do as well
    again = [*arguments[:-1], tmp_path / "again"]
    assert main(list(map(str, again))) == 0
    assert not set(names) & {path.name for path in (tmp_path / "again").iterdir()}


def test_more_frames_go_to_those_that_keyframes_wrote(tmp_path, clip):
    keys = tmp_path / "keys"
    assert main(["keyframes", str(clip), "-o", str(keys)]) == 0
    found = {}
    for name in ("next", "again"):
        out = tmp_path / name
        arguments = ["keyframes", clip, "--keyframes", keys, "--more", 2, "-o", out]
        assert main(list(map(str, arguments))) == 0
        found[name] = {path.name for path in out.iterdir()}
        shutil.copytree(out, keys, dirs_exist_ok=True)
    assert len(found["next"]) == 2 and not found["next"] & found["again"]


def test_a_part_of_a_film_has_its_keyframes(tmp_path, clip):
    part = ["--start", "0.6", "--duration", "0.4"]
    keys, more, score = tmp_path / "keys", tmp_path / "more", tmp_path / "score.json"
    assert main(["keyframes", str(clip), *part, "-o", str(keys)]) == 0
    (name,) = (path.name for path in keys.glob("*.png"))
    frame = int(name[-10:-4])
    assert 15 <= frame < 25
    (image,) = read_frames(probe(clip), start_frame=frame, frame_count=1, alpha=False)
    with Image.open(keys / name) as written:
        assert (np.asarray(written) == image[0]).all()
    asked = [str(clip), *part, "--keyframes", str(keys)]
    assert main(["keyframes", *asked, "--more", "1", "-o", str(more)]) == 0
    (name,) = (path.name for path in more.iterdir())
    assert 15 <= int(name[-10:-4]) < 25
    out = tmp_path / "out.mp4"
    assert main(["colorize", *asked, "--confidence", str(score), "-o", str(out)]) == 0
    confidence = json.loads(score.read_text())["confidence"]
    assert probe(out).frame_count == len(confidence) == 10
    assert max(confidence) == confidence[frame - 15] > 0.98
    assert main(["colorize", str(clip), "--keyframes", str(keys)]) == 2


def test_a_part_is_coloured_by_the_keyframes_of_the_whole(tmp_path, clip, colours):
    score, out = tmp_path / "score.json", tmp_path / "out.mp4"
    keys = tmp_path / "keys"
    assert main(["keyframes", str(clip), "-o", str(keys)]) == 0
    for path in keys.glob("*.png"):
        path.unlink()
    shutil.copy(colours / "00-00-00.200.png", keys)
    known = []
    for start in (0.2, 0.24):
        arguments = ["colorize", clip, "--keyframes", keys, "--start", start, "--duration", 0.4]
        arguments += ["--overwrite", "--confidence", score, "-o", out]
        assert main(list(map(str, arguments))) == 0
        known.append(json.loads(score.read_text())["confidence"])
    assert known[0][0] > 0.98  # the frame of the picture, which the second part lacks
    assert np.allclose(known[0][1:6], known[1][:5], atol=0.02)


def test_strokes_need_the_frames_that_they_are_painted_on(tmp_path, clip, capsys):
    assert main(["colorize", str(clip), "--strokes", "-o", str(tmp_path / "film.mp4")]) == 2
    assert "--strokes tells how --keyframes are painted" in capsys.readouterr().err


def test_how_keyframes_teach_and_shots_are_found_can_be_chosen(tmp_path, clip, colours):
    out = tmp_path / "out"
    command = ["colorize", str(clip), "--keyframes", str(colours), "-o", f"{out}/"]
    command += ["--skip-existing"]
    made = out / "clip-color.mp4"
    assert main([*command, "--teach-steps", "3"]) == 0
    settings = json.loads(read_tags(made)["colorizationnet"])["settings"]
    assert settings["teach_steps"] == 3 and "sensitivity" not in settings
    first, few = made.read_bytes(), chroma(made)
    for more in (["--teach-steps", "40"], ["--teach-steps", "3", "--sensitivity", "0.9"]):
        assert main([*command, *more]) == 0
        assert made.read_bytes() == first  # as other settings, which replace none unasked
    command.remove("--skip-existing")
    command += ["--overwrite", "--sensitivity", "0.9"]
    assert main([*command, "--teach-steps", "40"]) == 0
    settings = json.loads(read_tags(made)["colorizationnet"])["settings"]
    assert settings["teach_steps"] == 40 and settings["sensitivity"] == 0.9
    assert np.abs(chroma(made) - few).mean() > 0.5


def test_the_record_names_keyframes_that_lie_where_the_user_stands(
    tmp_path, clip, colours, monkeypatch
):
    monkeypatch.chdir(colours)
    out = tmp_path / "out.mp4"
    options = ["--keyframes", ".", "--teach-steps", "3", "-o", str(out)]
    assert main(["colorize", str(clip), *options]) == 0
    tags = read_tags(out)
    assert json.loads(tags["colorizationnet"])["settings"]["keyframes"] == "colours"
    assert "prompt" not in tags


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sensitivity", "0.9"], "--sensitivity tells how the shots of --keyframes are found"),
        (["--keyframes", "gone"], "There is no folder gone of keyframes"),
        (["--teach-steps", "9"], "--teach-steps tells how to learn from --keyframes"),
        (["--keyframes", "LISTED", "--sensitivity", "0.9"], "says where the shots begin"),
        (["--keyframes", "COLOURS", "--sensitivity", "2"], "sensitivity is 2"),
        (["--keyframes", "COLOURS", "--teach-steps", "0"], "steps is 0"),
    ],
)
def test_what_tells_nothing_is_refused(tmp_path, clip, colours, options, words, capsys):
    listed = shutil.copytree(colours, tmp_path / "listed")
    (listed / "shots.json").write_text("{}")
    places = {"COLOURS": str(colours), "LISTED": str(listed)}
    options = [places.get(option, option) for option in options]
    assert main(["colorize", str(clip), "-o", str(tmp_path / "out.mp4"), *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--sensitivity", "0.9"], "says where the shots begin"), (["--per-shot", "2"], "choose one")],
)
def test_more_is_of_the_shots_that_are_listed(tmp_path, clip, colours, options, words, capsys):
    (colours / "shots.json").write_text("{}")
    command = ["keyframes", str(clip), "--keyframes", str(colours), "--more", "1"]
    assert main([*command, "-o", str(tmp_path / "more"), *options]) == 2
    assert words in capsys.readouterr().err


def test_more_needs_the_frames_that_are_there(tmp_path, clip, capsys):
    assert main(["keyframes", str(clip), "--more", "2", "-o", str(tmp_path / "more")]) != 0
