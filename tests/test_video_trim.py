"""A part of a clip begins and ends at its own frames, in every container."""

import logging
from fractions import Fraction

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import probe, read_audio, read_frames, read_luma, recolor
from video_clips import each, facts, ffmpeg, luma_hashes, make_clip

H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2")
OPEN = "open-gop=1:keyint=12:bframes=2:scenecut=0"
CONTAINERS = {
    "ts": (".ts", *H264, "-c:a", "aac"),
    "ts of mpeg2": (".ts", "-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-c:a", "mp2"),
    "ts with an open gop": (".ts", "-c:v", "libx264", "-x264-params", OPEN, "-c:a", "aac"),
    "mp4 with an open gop": (".mp4", "-c:v", "libx264", "-x264-params", OPEN, "-c:a", "aac"),
    "vob": (".vob", "-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-c:a", "ac3"),
    "flv": (".flv", *H264, "-c:a", "aac"),
    "wmv": (".wmv", "-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2"),
    "ogv": (".ogv", "-c:v", "libtheora", "-c:a", "libvorbis"),
}


@each
def grey(luma, planes):
    neutral = luma[:, : planes.chroma_size[0], : planes.chroma_size[1]] * 0 + planes.chroma[0]
    return neutral, neutral


def subtitles(path):
    """``(begin, end, text)`` of each cue, in seconds, as ffmpeg reads them."""

    def seconds(clock):
        hours, minutes, rest = clock.replace(",", ".").split(":")
        return round(int(hours) * 3600 + int(minutes) * 60 + float(rest), 3)

    blocks = ffmpeg("-i", path, "-map", "0:s:0", "-f", "srt", "-").decode().strip().split("\n\n")
    rows = [block.split("\n") for block in blocks]
    return [(*map(seconds, row[1].split(" --> ")), row[2]) for row in rows]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_trim_is_exact_and_no_damage(tmp_path, caplog, kind):
    suffix, *options = CONTAINERS[kind]
    options = ("-pix_fmt", "yuv420p", "-g", "12", *options)
    path = make_clip(tmp_path / f"in{suffix}", *options, frames=75, sound="sin(2000*t)")
    _, whole = luma_hashes(path)
    clip = probe(path)
    for number, start in enumerate((5, 12, 13, 24, 37, len(whole) - 3)):
        target = tmp_path / f"{number}.mkv"
        frames = range(start, min(start + 5, len(whole)))
        count = recolor(clip, target, grey, frames=frames, encode=EncodeOptions("ffv1"))
        times, hashes = luma_hashes(target)
        assert hashes == whole[frames.start : frames.stop]
        assert count == len(frames) and times[0] == 0
        taken = sum(map(len, read_frames(clip, start_frame=start, frame_count=len(frames))))
        assert taken == len(frames)
    assert "damaged" not in caplog.text


def test_a_frame_is_sought_by_its_time_in_the_whole_file(tmp_path):
    """In MPEG-TS ffmpeg counts from the first of the streams that are used, here from the sound."""
    path = make_clip(
        tmp_path / "in.ts", "-pix_fmt", "yuv420p", "-g", "12", frames=75, sound="sin(2000*t)"
    )
    clip = probe(path)
    assert clip.start > 0  # so this clip tells the two apart
    frames = clip.frames(float(clip.time_of(12)))
    assert frames.start == 12
    recolor(clip, tmp_path / "out.mkv", grey, frames=frames, encode=EncodeOptions("ffv1"))
    assert luma_hashes(tmp_path / "out.mkv")[1] == luma_hashes(path)[1][12:]


def test_sound_that_is_late_in_a_ts_stays_late(tmp_path):
    picture = make_clip(tmp_path / "v.ts", "-pix_fmt", "yuv420p", frames=50)
    ffmpeg("-f", "lavfi", "-i", "sine=d=1.5", "-c:a", "mp2", tmp_path / "a.ts")
    path = tmp_path / "in.ts"
    ffmpeg(
        *("-i", picture, "-itsoffset", "0.5", "-i", tmp_path / "a.ts"),
        *("-map", "0:v", "-map", "1:a", "-c", "copy", path),
    )
    samples, rate = read_audio(path)
    assert abs(samples[0, : int(0.45 * rate)]).max() == 0 and abs(samples).max() > 0.05
    recolor(path, tmp_path / "out.mkv", grey)
    late = {
        name: first_time(name, "0:a") - first_time(name, "0:v")
        for name in (path, tmp_path / "out.mkv")
    }
    assert late[path] > 0.45
    assert late[tmp_path / "out.mkv"] == pytest.approx(late[path], abs=0.002)


def first_time(path, stream):
    """When a stream begins on the file's own clock, in seconds."""
    listing = ("-map", stream, "-c", "copy", "-f", "framecrc", "-")
    rows = ffmpeg("-copyts", "-i", path, *listing).decode().splitlines()
    tick = Fraction(next(row for row in rows if row.startswith("#tb")).split(": ")[1])
    return float(min(int(row.split(",")[2]) for row in rows if row[0] != "#") * tick)


CUES = "".join(
    f"{number}\n00:00:{begin} --> 00:00:{end}\n{text}\n\n"
    for number, (begin, end, text) in enumerate(
        [
            ("00,100", "00,500", "before"),
            ("00,200", "01,400", "over the start"),
            ("01,500", "01,800", "within"),
            ("01,850", "02,900", "over the end"),
            ("02,910", "02,990", "after"),
        ],
        1,
    )
)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("into", [".mkv", ".mp4"])
def test_subtitles_that_span_the_cuts_are_cut(tmp_path, suffix, into):
    (tmp_path / "words.srt").write_text(CUES)
    (tmp_path / "chapters").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=3000\ntitle=Two\n"
    )
    sound = ("-f", "lavfi", "-i", "sine=d=3:r=48000")
    make_clip(tmp_path / "v.mkv", "-pix_fmt", "yuv420p", frames=75)
    source = tmp_path / f"in{suffix}"
    ffmpeg(
        *("-i", tmp_path / "v.mkv", "-i", tmp_path / "words.srt", "-i", tmp_path / "chapters"),
        *(*sound, "-map", "0", "-map", "1", "-map", "3", "-map_metadata", "2", "-c:v", "copy"),
        *("-c:s", "mov_text" if suffix == ".mp4" else "srt", "-c:a", "aac", source),
    )
    target = tmp_path / f"out{into}"
    recolor(source, target, grey, frames=probe(source).frames(1, 1))
    assert subtitles(target) == [
        (0, 0.4, "over the start"),
        (0.5, 0.8, "within"),
        (0.85, 1, "over the end"),
    ]
    # As long as asked, but for the last packet of sound.
    assert "Duration: 00:00:01.0" in facts(target)
    clip = probe(target)
    assert clip.frame_count == 25 and clip.missing_frames == 0


def test_joined_files_are_no_damage(tmp_path, caplog):
    one = make_clip(tmp_path / "1.ts", "-pix_fmt", "yuv420p", frames=40, sound="sin(2000*t)")
    path = tmp_path / "in.ts"
    path.write_bytes(one.read_bytes() * 2)
    clip = probe(path)
    with caplog.at_level(logging.WARNING):
        frames = range(45, 60)
        recolor(clip, tmp_path / "out.mkv", grey, frames=frames, encode=EncodeOptions("ffv1"))
    assert luma_hashes(tmp_path / "out.mkv")[1] == luma_hashes(one)[1][5:20]
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("kind", ["ts", "ts of mpeg2", "vob"])
@pytest.mark.parametrize("into", [".mp4", ".mkv"])
def test_flashes_and_beeps_of_a_part_stay_together(tmp_path, kind, into):
    suffix, *options = CONTAINERS[kind]
    source = tmp_path / f"in{suffix}"
    flash = "geq=lum='255*lt(mod(T+0.0001,0.6),0.04)':cb=128:cr=128"
    beep = "aevalsrc='sin(2*PI*1000*t)*lt(mod(t,0.6),0.04)':s=48000:d=4"
    ffmpeg(
        *("-f", "lavfi", "-i", f"color=black:s=64x48:r=25:d=4,{flash}", "-f", "lavfi", "-i", beep),
        *("-pix_fmt", "yuv420p", "-g", "12", *options, source),
    )
    target = tmp_path / f"out{into}"
    recolor(source, target, grey, frames=probe(source).frames(1, 2))
    clip = probe(target)
    luma = np.concatenate(list(read_luma(clip)))[:, 24, 32]
    samples, rate = read_audio(clip)
    loud = np.flatnonzero(abs(samples[0]) > 0.3) / rate
    beeps = loud[np.diff(loud, prepend=-1) > 0.3]
    assert np.flatnonzero(luma > 120) / 25 == pytest.approx([0.2, 0.8, 1.4], abs=0.021)
    assert beeps[:3] == pytest.approx(np.flatnonzero(luma > 120) / 25, abs=0.005)
    samples, rate = read_audio(source, 1, 2)  # what Load Video Frames gives
    loud = np.flatnonzero(abs(samples[0]) > 0.3) / rate
    assert loud[np.diff(loud, prepend=-1) > 0.3][:3] == pytest.approx([0.2, 0.8, 1.4], abs=0.021)
    # As long as asked, but for the last packet of sound.
    assert clip.duration == pytest.approx(2) and 1.95 < samples.shape[1] / rate < 2.03
