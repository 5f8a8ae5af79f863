from fractions import Fraction
from pathlib import Path

import pytest
from colorizationnet.pipeline.reference_names import (
    find_references,
    frame_or_time,
    in_order,
)
from colorizationnet.video import probe
from PIL import Image
from video_clips import ffmpeg, make_clip


@pytest.mark.parametrize(
    "name, place",
    [
        ("frame_000123", 123),
        ("ref_7", 7),
        ("shot_0002_frame_000310", 310),
        ("0", 0),
        ("00:01:05.200", Fraction("65.2")),
        ("film 00-01-05.200", Fraction("65.2")),
        ("1:02:03", 3723),
        ("take_2_00_00_04,5", Fraction("4.5")),
        ("shot 001 at 1m05.200s", Fraction("65.2")),
        ("shot 001 at 1m05.200s_00001_", Fraction("65.2")),
        ("frame_000123_00001_", 123),
    ],
)
def test_a_name_ends_with_a_frames_number_or_time(name, place):
    assert frame_or_time(name) == place


def test_a_name_that_tells_neither_is_refused():
    with pytest.raises(ValueError, match=r"hat names no frame.*frame_000123\.png"):
        frame_or_time("hat")


@pytest.mark.parametrize(
    "names",
    [
        ["key_00002_.png", "key_00010_.png"],  # as Save Image counts
        ["shot_0002_frame_000100.png", "shot_0001_frame_000310.png"],
        ["00-01-05.2.png", "00-01-05.30.png", "00-01-06.000.png"],
        ["shot 002 at 0m09.500s.png", "shot 001 at 1m00.000s.png"],
        ["a2.png", "a10.png", "hat11.png"],
        ["a.png", "b.png"],
    ],
)
def test_pictures_lie_in_the_order_of_the_film(names):
    assert [path.name for path in in_order(map(Path, reversed(names)))] == names


def folder_of(path, *names):
    path.mkdir()
    for name in names:
        Image.new("RGB", (8, 6), "red").save(path / name)
    (path / "notes.txt").write_text("as they came")
    return path


def test_pictures_are_found_by_number_and_time_in_the_order_of_their_frames(tmp_path):
    clip = probe(make_clip(tmp_path / "clip.mp4", frames=30))
    folder = folder_of(tmp_path / "colour", "00-00-00.200.png", "ref_21.png", "ref_000002.jpg")
    found = find_references(folder, clip)
    assert [(frame, file.name) for frame, file in found] == [
        (2, "ref_000002.jpg"),
        (5, "00-00-00.200.png"),
        (21, "ref_21.png"),
    ]


def test_times_of_a_clip_that_starts_late_count_from_its_sound(tmp_path):
    """As Shot Keyframes names them."""
    plain = make_clip(tmp_path / "plain.mkv", frames=30, sound="sin(2000*t)")
    path = tmp_path / "late.mkv"
    late = ("-itsoffset", "2", "-i", plain, "-i", plain, "-map", "0:v", "-map", "1:a")
    ffmpeg(*late, "-c", "copy", path)
    clip = probe(path)
    folder = folder_of(tmp_path / "colour", "at 0m02.000s.png", "at 0m03.000s.png")
    assert [frame for frame, _ in find_references(folder, clip)] == [0, 25]
    Image.new("RGB", (8, 6)).save(folder / "at 0m03.300s.png")
    with pytest.raises(ValueError, match=r"0m03\.300s\.png is beyond the end"):
        find_references(folder, clip)


@pytest.mark.parametrize(
    "names, message",
    [
        (["frame_10.png"], r"frame_10\.png is beyond the end of clip\.mp4, which has 10 frames"),
        (["00-00-09.000.png"], "beyond the end"),
        (["frame_5.png", "00-00-00.200.png"], "both of frame 5"),
        (["hat.png"], "names no frame"),
        ([], "no picture"),
    ],
)
def test_a_folder_that_fits_no_clip_is_refused(tmp_path, names, message):
    clip = probe(make_clip(tmp_path / "clip.mp4", frames=10))
    with pytest.raises(ValueError, match=message):
        find_references(folder_of(tmp_path / "colour", *names), clip)
