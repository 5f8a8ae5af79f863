"""Numbered pictures and folders of pictures as clips, where somebody asks for it."""

import os
import sys
from fractions import Fraction

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import (
    VideoError,
    is_pattern,
    probe,
    probe_pictures,
    read_frames,
    recolor,
)
from PIL import Image
from video_clips import each, ffmpeg, luma_hashes

NAMES = ("%05d.png", "it's 100%% %d.png", "%03d.jpg", "%d.tif", "a [b] %02d.png", "%04d.pgm")


@each
def grey(luma, planes):
    neutral = np.full((len(luma), *planes.chroma_size), planes.chroma[0], planes.dtype)
    return neutral, neutral


def make_pictures(folder, pattern, count=12, first=1, size=(64, 48)):
    """Grey pictures that are all different; their levels ``(count, height, width)``."""
    rows, columns = np.indices(size[::-1])
    made = []
    for number in range(first, first + count):
        levels = ((rows * 3 + columns * 2 + number * 17) % 256).astype(np.uint8)
        Image.fromarray(levels).save(folder / (pattern % number))
        made.append(levels)
    return np.stack(made)


@pytest.mark.parametrize("pattern", NAMES)
def test_numbered_pictures_are_a_film(tmp_path, pattern):
    folder = tmp_path / "100% %d it's"
    folder.mkdir()
    levels = make_pictures(folder, pattern)
    asked = folder / pattern.replace("%%", "%")
    assert is_pattern(asked)
    clip = probe_pictures(asked, 23.976)
    assert (clip.fps, clip.frame_count, clip.missing_frames) == (Fraction(24000, 1001), 12, 0)
    for frames in (None, range(5, 9), range(11, 12)):
        target = tmp_path / f"{frames}.mkv"
        recolor(clip, target, grey, frames=frames, encode=EncodeOptions("ffv1"))
        raw = ffmpeg("-i", target, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
        got = np.frombuffer(raw, np.uint8).reshape(-1, 48, 64)
        expected = levels if frames is None else levels[frames.start : frames.stop]
        if pattern.endswith(".jpg"):
            assert got.shape == expected.shape and abs(got.astype(int) - expected).mean() < 5
        else:
            assert (got == expected).all()
        times, _ = luma_hashes(target)
        ideal = [number * 1001 / 24000 for number in range(len(expected))]
        assert np.allclose(np.array(times, float), ideal, atol=1e-3)
    first = next(read_frames(clip, start_frame=3, batch_size=1))
    assert first.shape == (1, 48, 64, 3)


def test_a_folder_is_taken_in_the_order_of_its_numbers(tmp_path):
    levels = make_pictures(tmp_path, "scan %d.png", first=8)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".scan 9.png").write_bytes(b"hidden")
    clip = probe_pictures(tmp_path, 25)
    recolor(clip, tmp_path / "out.mkv", grey, encode=EncodeOptions("ffv1"))
    raw = ffmpeg("-i", tmp_path / "out.mkv", "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    assert (np.frombuffer(raw, np.uint8).reshape(levels.shape) == levels).all()


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_pictures_lie_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")  # Latin-1
    folder.mkdir()
    levels = make_pictures(folder, "%03d.png")
    clip = probe_pictures(folder, 24)
    assert np.array_equal(np.concatenate(list(read_frames(clip)))[..., 0], levels)


def test_missing_numbers_are_counted(tmp_path, caplog):
    make_pictures(tmp_path, "%04d.png")
    (tmp_path / "0004.png").unlink()
    (tmp_path / "0009.png").unlink()
    clip = probe_pictures(tmp_path / "%04d.png", 25)
    assert (clip.frame_count, clip.missing_frames) == (10, 2)
    assert recolor(clip, tmp_path / "out.mkv", grey) == 10
    assert "2 frames are missing" in caplog.text


def test_what_is_no_row_of_pictures_is_said(tmp_path):
    with pytest.raises(VideoError, match="no pictures of that name"):
        probe_pictures(tmp_path / "%04d.png", 25)
    make_pictures(tmp_path, "%04d.png", count=2)
    make_pictures(tmp_path, "%04d.jpg", count=2)
    with pytest.raises(VideoError, match=r"more than one kind \(.jpg, .png\)"):
        probe_pictures(tmp_path, 25)
    assert probe_pictures(tmp_path / "%04d.jpg", 25).frame_count == 2


def test_pictures_reach_no_other_file(tmp_path):
    """A script under a picture's name is not followed, nor a pattern that nobody asked for."""
    secret = tmp_path / "secret.png"
    make_pictures(tmp_path, "secret%d.png", count=1)
    folder = tmp_path / "film"
    folder.mkdir()
    text = f"ffconcat version 1.0\nfile '{secret}'\n"
    for number in (1, 2):
        (folder / f"{number}.png").write_text(text)
    with pytest.raises(VideoError):
        probe_pictures(folder, 25)
    make_pictures(folder, "%05d.png", count=3)
    with pytest.raises(VideoError, match="no such file"):
        probe(folder / "%05d.png")


def test_a_broken_picture_is_told(tmp_path, caplog):
    make_pictures(tmp_path, "%04d.png", count=30)
    path = tmp_path / "0028.png"
    path.write_bytes(path.read_bytes()[:60])
    clip = probe_pictures(tmp_path, 25)
    count = recolor(clip, tmp_path / "out.mkv", grey)
    assert count < 30
    assert f"{30 - count} frames are missing" in caplog.text


def test_pictures_of_another_size_are_said(tmp_path):
    make_pictures(tmp_path, "%04d.png", count=3)
    make_pictures(tmp_path, "%04d.png", count=2, first=4, size=(32, 32))
    with pytest.raises(VideoError, match="changes its size from 64x48 to 32x32"):
        recolor(probe_pictures(tmp_path, 25), tmp_path / "out.mkv", grey)
