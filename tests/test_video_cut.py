"""Clips that begin amid a group of pictures, or in which pictures are broken: the right times."""

from fractions import Fraction

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import (
    IncompletePart,
    Part,
    join_parts,
    probe,
    read_frames,
    read_luma,
    recolor,
    recolor_parts,
)
from video_clips import each, ffmpeg, frame_hashes, luma_hashes, make_clip, packets

pytestmark = pytest.mark.slow

OPEN = ("-x264-params", "open-gop=1:keyint=12:bframes=2:b-adapt=0:scenecut=0:threads=1")
CODECS = {
    "mpeg2": ("-c:v", "mpeg2video", "-g", "12", "-bf", "2", "-q:v", "3", "-c:a", "mp2"),
    "h264": ("-c:v", "libx264", *OPEN, "-c:a", "mp2"),
}
FFV1 = EncodeOptions("ffv1")


@each
def sepia(luma, planes):
    shape = (len(luma), *planes.chroma_size)
    return np.full(shape, 100, planes.dtype), np.full(shape, 150, planes.dtype)


@pytest.fixture(
    params=[
        ("mpeg2", ".ts"),
        ("mpeg2", ".mpg"),
        ("mpeg2", ".mkv"),
        ("h264", ".ts"),
        ("h264", ".mkv"),
    ],
    ids=lambda param: "".join(param),
)
def cut(request, tmp_path):
    """A clip whose first two packets after the key frame show what came before the cut."""
    codec, suffix = request.param
    options = (*CODECS[codec], "-pix_fmt", "yuv420p")
    whole = make_clip(tmp_path / "whole.ts", *options, frames=120, sound="sin(2000*t)")
    path = tmp_path / f"cut{suffix}"
    ffmpeg("-ss", "1.3", "-i", whole, "-map", "0", "-c", "copy", path)
    assert len(packets(path, "0:V")[0]) == len(frame_hashes(path)[0]) + 2  # else it tests nothing
    return path


def after_sound(path):
    """When the pictures of a file are shown, in seconds after its sound begins."""
    options = ("-fps_mode", "passthrough", "-enc_time_base:v", "1/90000", "-c:a", "copy")
    text = ffmpeg("-i", path, "-map", "0:V", "-map", "0:a:0", *options, "-f", "framemd5", "-")
    lines = text.decode().splitlines()
    ticks = [Fraction(line.split(": ")[1]) for line in lines if line.startswith("#tb")]
    times: list[list[Fraction]] = [[], []]
    for line in lines:
        if not line.startswith("#"):
            stream, _, pts, *_ = line.split(",")
            times[int(stream)].append(int(pts) * ticks[int(stream)])
    return [float(time - times[1][0]) for time in times[0]]


def test_frames_are_those_that_can_be_decoded(cut, caplog):
    clip, times = probe(cut), frame_hashes(cut)[0]
    assert clip.frame_count == len(times) == sum(map(len, read_frames(clip)))
    assert clip.key_frames is None or clip.key_frames[0] == 0
    assert (clip.missing_frames, clip.times) == (0, None)
    assert "missing" not in caplog.text
    every = np.concatenate(list(read_luma(clip)))
    for start in (1, 17, 50):
        frames = range(start, start + 5)
        assert np.array_equal(np.concatenate(list(read_luma(clip, frames=frames))), every[frames])


def test_the_picture_stays_with_its_sound(cut, tmp_path):
    target = tmp_path / "out.mkv"
    recolor(cut, target, sepia, encode=FFV1)
    assert luma_hashes(target)[1] == luma_hashes(cut)[1]
    assert after_sound(target) == pytest.approx(after_sound(cut), abs=2e-3)


def test_parts_made_alone_are_joined_to_the_whole(cut, tmp_path):
    clip, target = probe(cut), tmp_path / "out.mkv"
    bounds = [0, 20, 45, clip.frame_count]
    parts = [
        Part(range(start, stop), tmp_path / f"{start}.mkv")
        for start, stop in zip(bounds, bounds[1:], strict=False)
    ]
    for part in parts:
        recolor_parts(clip, [part], sepia, encode=FFV1, lead=3, tail=3)
    join_parts(clip, target, parts, encode=FFV1)
    assert luma_hashes(target)[1] == luma_hashes(cut)[1]
    assert after_sound(target) == pytest.approx(after_sound(cut), abs=2e-3)


@pytest.fixture
def broken(tmp_path):
    """Frames 0, 1 and 40 to 42 of 100 cannot be decoded."""
    options = ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le")
    path = make_clip(tmp_path / "whole.mkv", *options, frames=100, sound="sin(2000*t)")
    data = path.read_bytes()
    begins = [0]
    while (found := data.find(b"\xff\xd8\xff", begins[-1] + 1)) >= 0:
        begins.append(found)
    begins = begins[1:]
    assert len(begins) == 100
    damaged = bytearray(data)
    for frame in (0, 1, 40, 41, 42):
        end = data.find(b"\xff\xd9", begins[frame])
        damaged[begins[frame] : end] = bytes(end - begins[frame])
    target = tmp_path / "broken.mkv"
    target.write_bytes(damaged)
    return target


def test_what_is_broken_at_the_beginning_is_told(broken, tmp_path, caplog):
    target = tmp_path / "out.mkv"
    assert recolor(broken, target, sepia, encode=FFV1) == 95
    assert "5 frames are missing" in caplog.text
    assert after_sound(target) == pytest.approx(after_sound(broken), abs=2e-3)


def test_a_part_whose_first_frame_is_broken_is_not_filled_with_later_ones(broken, tmp_path):
    clip = probe(broken)
    first = clip.frame_at(40 / 25)
    part = Part(range(first, first + 20), tmp_path / "part.mkv")
    with pytest.raises(IncompletePart, match="only 17 could be decoded"):
        recolor_parts(clip, [part], sepia, encode=FFV1)
    assert not part.path.exists()
