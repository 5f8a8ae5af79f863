"""A folder of coloured keyframes: what its list may say, and which pictures in it count."""

import json

import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.references import read_references
from colorizationnet.pipeline import probe
from PIL import Image
from video_clips import make_clip


@pytest.fixture
def clip(tmp_path):
    return probe(make_clip(tmp_path / "clip.mp4", frames=10, size="32x24"))


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    picture(folder / "shot_0001_frame_000003.png")
    return folder


def picture(path, color=(200, 90, 60), size=(32, 24)):
    Image.new("RGB", size, color).save(path)


def listed(folder, **changes):
    content = {
        "width": 32,
        "height": 24,
        "frame_count": 10,
        "shots": [{"first": 0, "keyframes": [3]}, {"first": 6, "keyframes": [8]}],
    }
    (folder / "shots.json").write_text(json.dumps(content | changes))
    return folder


def test_shots_are_the_lists_and_pictures_those_that_lie_there(clip, keys):
    picture(keys / "frame_000007.png")  # as --more writes them
    picture(keys / "._frame_000007.png")  # as macOS leaves them on other disks
    shots, images = read_references(listed(keys), clip)
    assert [(shot.first, shot.keyframes) for shot in shots.shots] == [(0, (3,)), (6, (7,))]
    assert images.shape == (2, 24, 32, 3)


def test_a_shot_without_a_picture_is_left_to_the_network(clip, keys, caplog):
    caplog.set_level("INFO")
    shots, _ = read_references(listed(keys), clip)
    assert [shot.keyframes for shot in shots.shots] == [(3,), ()]
    assert caplog.messages == [f"{keys}: no picture of 1 of 2 shots."]


def test_pictures_are_kept_small_unless_they_are_painted(clip, keys):
    picture(keys / "shot_0001_frame_000003.png", size=(600, 450))
    listed(keys)
    (small,), (whole,) = (read_references(keys, clip, strokes=flag)[1] for flag in (False, True))
    assert small.shape == (224, 299, 3) and whole.shape == (450, 600, 3)
    assert (small - whole[0, 0]).abs().max() < 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {"width": "32"},
        {"frame_count": -1},
        {"frame_count": float("nan")},
        {"shots": [{"first": 1e400}]},
        {"shots": 7},
    ],
)
def test_a_list_that_makes_no_sense_is_one_sentence(clip, keys, changes, capsys):
    listed(keys, **changes)
    with pytest.raises(ValueError, match=r"holds no readable shots\.json"):
        read_references(keys, clip)
    assert cli.main(["colorize", str(clip.path), "--keyframes", str(keys)]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("firsts", [[], [2, 5], [0, 6, 6], [0, 8, 4], [0, 10]])
def test_shots_follow_each_other_from_the_first_frame_on(clip, keys, firsts):
    listed(keys, shots=[{"first": first} for first in firsts])
    with pytest.raises(ValueError, match="lists no shots that follow each other"):
        read_references(keys, clip)


def test_a_list_of_another_clip_is_refused(clip, keys):
    listed(keys, frame_count=12)
    with pytest.raises(ValueError, match=r"of a clip with 12 frames, and clip\.mp4 has 10"):
        read_references(keys, clip)
