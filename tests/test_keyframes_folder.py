"""A folder of coloured keyframes: what its list may say."""

import json

import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.keyframes import read_keyframes
from PIL import Image


@pytest.fixture
def keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    Image.new("RGB", (32, 24), (200, 90, 60)).save(folder / "a.png")
    Image.new("RGB", (32, 24), (10, 90, 200)).save(tmp_path / "secret.png")
    return folder


def listed(folder, **changes):
    content = {
        "width": 32,
        "height": 24,
        "frame_count": 10,
        "shots": [{"first": 0, "keyframes": [3]}],
        "pictures": ["a.png"],
    }
    (folder / "shots.json").write_text(json.dumps(content | changes))
    return folder


def test_what_keyframes_wrote_is_read(keys):
    shots, images = read_keyframes(listed(keys))
    assert shots.keyframes == [3] and images.shape == (1, 24, 32, 3)


def test_pictures_are_kept_small_unless_they_are_painted(keys):
    Image.new("RGB", (600, 450), (200, 90, 60)).save(keys / "a.png")
    folder = listed(keys, width=600, height=450)
    (small,), (whole,) = (read_keyframes(folder, strokes=strokes)[1] for strokes in (False, True))
    assert small.shape == (224, 299, 3) and whole.shape == (450, 600, 3)
    assert (small - whole[0, 0]).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "sub/../../secret.png"])
def test_names_that_lead_outside_the_folder_are_refused(keys, name):
    with pytest.raises(ValueError, match="which is not in the folder"):
        read_keyframes(listed(keys, pictures=[name]))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": "32"},
        {"frame_count": -1},
        {"frame_count": float("nan")},
        {"shots": [{"first": 0, "keyframes": [1e400]}]},
        {"shots": 7},
        {"pictures": None},
    ],
)
def test_a_list_that_makes_no_sense_is_one_sentence(keys, changes, capsys):
    listed(keys, **changes)
    with pytest.raises(ValueError, match="holds no readable shots.json"):
        read_keyframes(keys)
    clip = keys / "clip.mp4"
    assert cli.main(["colorize", str(clip), "--keyframes", str(keys)]) == 2
    assert "Traceback" not in capsys.readouterr().err
