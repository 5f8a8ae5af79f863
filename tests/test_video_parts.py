"""A clip recoloured in parts and joined is what a run in one piece makes of it."""

import os
import re
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import (
    Part,
    VideoError,
    count_pictures,
    join_parts,
    probe,
    recolor,
    recolor_parts,
)
from video_clips import (
    each,
    facts,
    ffmpeg,
    frame_hashes,
    luma_hashes,
    make_clip,
    make_variable,
    packets,
)

pytestmark = pytest.mark.slow

SWEEP = "sin(2*PI*(200+900*t)*t)"
HDR = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")


@each
def sepia(luma, planes):
    shift = planes.depth - 8
    shape = (len(luma), *planes.chroma_size)
    return np.full(shape, 100 << shift, planes.dtype), np.full(shape, 150 << shift, planes.dtype)


def ntsc(folder):
    """With sound, tags and chapters, the picture late."""
    listing = folder / "chapters.txt"
    listing.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle=One\n")
    plain = make_clip(folder / "plain.mp4", rate="30000/1001", frames=60, sound=SWEEP)
    late = folder / "late.mp4"
    ffmpeg(
        *("-itsoffset", "0.2", "-i", plain, "-i", plain, "-i", listing),
        *("-map", "0:v", "-map", "1:a", "-map_chapters", "2", "-c", "copy"),
        *("-metadata", "title=Reel", late),
    )
    return late


def variable(folder):
    gaps = (1, 1, 3, 2, 5, 1, 1, 4) * 8
    make_variable(folder / "variable.mkv", "-c:v", "libx264", gaps=gaps)
    return folder / "variable.mkv"


def hdr(folder):
    options = ("-c:v", "ffv1", "-pix_fmt", "yuv420p10le", *HDR, "-color_range", "pc")
    return make_clip(folder / "hdr.mkv", *options, frames=60, sound=SWEEP)


def interlaced(folder):
    options = ("-flags", "+ildct+ilme", "-vf", "setfield=tff", "-x264opts", "tff")
    return make_clip(folder / "fields.mp4", *options, "-pix_fmt", "yuv420p", frames=60)


def broadcast(folder):
    """Its sound must be encoded anew for MP4 and WebM."""
    options = ("-c:v", "mpeg2video", "-c:a", "mp2", "-pix_fmt", "yuv420p")
    return make_clip(folder / "broadcast.ts", *options, frames=60, sound=SWEEP)


def subtitled(folder):
    (folder / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nHallo\n")
    plain = make_clip(folder / "plain.mkv", "-c:v", "ffv1", frames=60, sound=SWEEP)
    target = folder / "subtitled.mkv"
    ffmpeg("-i", plain, "-i", folder / "a.srt", "-map", "0", "-map", "1", "-c", "copy", target)
    return target


def in_parts(clip, target, frames, encode, cuts=(17, 30)):
    """The clip in three parts, the last of them in a run of its own."""
    film = frames or range(clip.frame_count)
    bounds = [film.start, *(film.start + cut for cut in cuts), film.stop]
    folder = target.parent / "it's 100% [parts]"
    folder.mkdir(exist_ok=True)
    parts = [
        Part(range(start, stop), folder / f"{start}{target.suffix}")
        for start, stop in pairwise(bounds)
    ]
    for run in (parts[:2], parts[2:]):
        recolor_parts(clip, run, sepia, frames=frames, encode=encode, lead=3, tail=4)
    assert [count_pictures(part.path) for part in parts] == [len(part.frames) for part in parts]
    join_parts(clip, target, parts, frames=frames, encode=encode)
    return parts


def all_of(path):
    """What can be told of a clip, but for the bits of lossy pictures."""
    printed = re.sub(r"\d+ kb/s|bitrate:.*|Input #0.*", "", facts(path))
    clip = probe(path)
    sound = [packets(path, f"0:a:{index}") for index in range(len(clip.audio))]
    times = sorted(packets(path, "0:v")[0]), frame_hashes(path)[0]
    return replace(clip, path=None), sound, times, printed


@pytest.mark.parametrize(
    ("make", "form", "suffix"),
    [
        (ntsc, "h264", ".mp4"),
        (ntsc, "h264", ".mkv"),
        (variable, "h264", ".mp4"),
        (variable, "ffv1", ".mkv"),
        (hdr, "ffv1", ".mkv"),
        (hdr, "hevc", ".mp4"),
        (interlaced, "prores", ".mov"),
        (interlaced, "h264", ".mkv"),
        (broadcast, "h264", ".mp4"),
        (broadcast, "vp9", ".webm"),
        (subtitled, "av1", ".mkv"),
        (subtitled, "h264", ".mov"),
    ],
)
@pytest.mark.parametrize("frames", [None, range(5, 50)], ids=["whole", "trimmed"])
def test_the_joined_clip_is_that_of_one_piece(tmp_path, make, form, suffix, frames):
    clip, encode = probe(make(tmp_path)), EncodeOptions(form, metadata={"comment": "x;y"})
    one, joined = tmp_path / f"one{suffix}", tmp_path / f"joined{suffix}"
    recolor(clip, one, sepia, frames=frames, encode=encode)
    in_parts(clip, joined, frames, encode)
    found, wanted = all_of(joined), all_of(one)
    for there, expected in zip(found, wanted, strict=True):
        assert there == expected
    if form in ("ffv1", "prores"):
        assert luma_hashes(joined) == luma_hashes(one)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_parts_lie_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")  # Latin-1
    folder.mkdir()
    clip = probe(make_clip(folder / "in.mp4", "-pix_fmt", "yuv420p", frames=60))
    in_parts(clip, folder / "out.mp4", None, EncodeOptions())
    assert probe(folder / "out.mp4").frame_count == 60


def test_a_part_that_is_missing_or_broken_loses_nothing(tmp_path):
    clip = probe(make_clip(tmp_path / "in.mp4", "-pix_fmt", "yuv420p", frames=60))
    target = tmp_path / "out.mp4"
    parts = in_parts(clip, target, None, EncodeOptions())
    before = target.read_bytes()
    whole = parts[1].path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", None):
        parts[1].path.unlink()
        if content is not None:
            parts[1].path.write_bytes(content)
        assert count_pictures(parts[1].path) == 0
        with pytest.raises(VideoError, match=r"out\.mp4: of 60 pictures \d+ were written"):
            join_parts(clip, target, parts, encode=EncodeOptions(overwrite=True))
        assert target.read_bytes() == before
        parts[1].path.touch()


def test_a_cancel_keeps_the_parts_that_are_whole(tmp_path):
    clip = probe(make_clip(tmp_path / "in.mp4", "-pix_fmt", "yuv420p", frames=60))
    parts = [Part(range(i, i + 20), tmp_path / f"{i}.mkv") for i in (0, 20, 40)]
    there = []

    def stop(done, total):
        if there:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recolor_parts(
            clip, parts, sepia, encode=EncodeOptions("ffv1"), on_part=there.append, on_progress=stop
        )
    assert there[0] == parts[0] and count_pictures(parts[0].path) == 20
    assert {path.name for path in tmp_path.iterdir()} <= {"in.mp4", "0.mkv", "20.mkv"}


def test_a_damaged_clip_is_not_divided_unnoticed(tmp_path):
    """Where frames cannot be decoded, the numbers of those after them would be wrong."""
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", frames=60)
    clip = probe(source)
    parts = [Part(range(i, i + 20), tmp_path / f"{i}.mkv") for i in (0, 20, 40)]
    longer = replace(clip, frame_count=70)
    parts[-1] = Part(range(40, 70), parts[-1].path)
    with pytest.raises(VideoError, match="only 20 could be decoded; .* in one piece"):
        recolor_parts(longer, parts, sepia, encode=EncodeOptions("ffv1"))
