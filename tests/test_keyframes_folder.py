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
        "frame_count": 10,
        "shots": [{"first": 0}, {"first": 6}],
    }
    (folder / "shots.json").write_text(json.dumps(content | changes))
    return folder


def test_shots_are_the_lists_and_pictures_those_that_lie_there(clip, keys):
    picture(keys / "frame_000007.png")  # as --more writes them
    picture(keys / "._frame_000007.png")  # as macOS leaves them on other disks
    shots, images = read_references(listed(keys), clip, clip.frames())
    assert [(shot.first, shot.keyframes) for shot in shots.shots] == [(0, (3,)), (6, (7,))]
    assert images.shape == (2, 24, 32, 3)


def test_a_shot_without_a_picture_is_left_to_the_network(clip, keys, caplog):
    caplog.set_level("INFO")
    shots, _ = read_references(listed(keys), clip, clip.frames())
    assert [shot.keyframes for shot in shots.shots] == [(3,), ()]
    assert caplog.messages == [f"{keys}: no picture of 1 of 2 shots."]


def test_pictures_are_kept_small_unless_they_are_painted(clip, keys):
    picture(keys / "shot_0001_frame_000003.png", size=(600, 450))
    listed(keys)
    (small,), (whole,) = (
        read_references(keys, clip, clip.frames(), strokes=flag)[1] for flag in (False, True)
    )
    assert small.shape == (224, 299, 3) and whole.shape == (450, 600, 3)
    assert (small - whole[0, 0]).abs().max() < 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_count": "10"},
        {"part": [3]},
        {"part": [2, 10]},
        {"shots": []},
        {"shots": [{"first": 2}]},
        {"shots": [{"first": 0}, {"first": 6}, {"first": 6}]},
        {"shots": [{"first": 0}, {"first": 8}, {"first": 4}]},
        {"shots": [{"first": 0}, {"first": 10}]},
        {"frame_count": -1},
        {"frame_count": float("nan")},
        {"shots": [{"first": 1e400}]},
        {"shots": 7},
    ],
)
def test_a_list_that_makes_no_sense_is_one_sentence(clip, keys, changes, capsys):
    listed(keys, **changes)
    with pytest.raises(ValueError, match=r"holds no readable shots\.json"):
        read_references(keys, clip, clip.frames())
    assert cli.main(["colorize", str(clip.path), "--keyframes", str(keys)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_part_of_the_clip_has_the_pictures_of_its_shots(clip, keys):
    picture(keys / "frame_000007.png")
    shots, images = read_references(listed(keys), clip, range(5, 10))
    assert [(shot.first, shot.keyframes) for shot in shots.shots] == [(0, (-2,)), (1, (2,))]
    assert shots.frame_count == 5 and len(images) == 2
    shots, images = read_references(keys, clip, range(6, 7))
    assert [(shot.first, shot.keyframes) for shot in shots.shots] == [(0, (1,))]
    assert shots.frame_count == len(images) == 1


def test_pictures_of_other_shots_alone_are_refused(clip, keys):
    with pytest.raises(ValueError, match="all of other shots"):
        read_references(listed(keys), clip, range(6, 10))
    (keys / "shots.json").unlink()
    with pytest.raises(ValueError, match="all of other shots"):
        read_references(keys, clip, range(4, 10))


def test_a_list_of_a_part_is_of_no_other(clip, keys):
    listed(keys, part=[2, 9], shots=[{"first": 2}, {"first": 6}])
    shots, _ = read_references(keys, clip, range(2, 9))
    assert [(shot.first, shot.keyframes) for shot in shots.shots] == [(0, (1,)), (4, ())]
    with pytest.raises(ValueError, match=r"has the shots from 0\.080 s to 0\.320 s only"):
        read_references(keys, clip, clip.frames())


def test_a_list_of_another_clip_is_refused(clip, keys):
    listed(keys, frame_count=12)
    with pytest.raises(ValueError, match=r"of a clip with 12 frames, and clip\.mp4 has 10"):
        read_references(keys, clip, clip.frames())
