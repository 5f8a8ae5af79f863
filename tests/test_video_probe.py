"""What `probe` says of clips whose facts are known."""

import re
import sys
from dataclasses import replace
from fractions import Fraction

import imageio_ffmpeg
import pytest
from colorizationnet.video import AudioStream, SubtitleStream, VideoError, matrix_for_size, probe
from colorizationnet.video.ffmpeg import TESTED_VERSIONS
from video_clips import FFMPEG, ffmpeg, make_clip, make_variable


@pytest.mark.parametrize("rate", ["24000/1001", "25", "60000/1001", "12"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts", ".nut"])
def test_rate_is_exact(tmp_path, rate, suffix):
    codec = "libvpx-vp9" if suffix == ".webm" else "mpeg4"
    if suffix in (".ts", ".avi") and Fraction(rate) < 20:
        pytest.skip("mpeg4 has no such rate there")
    path = make_clip(
        tmp_path / f"clip{suffix}", "-c:v", codec, "-pix_fmt", "yuv420p", rate=rate, frames=31
    )
    clip = probe(path)
    assert (clip.fps, clip.frame_count, clip.variable_rate) == (Fraction(rate), 31, False)
    assert clip.times is None
    assert clip.duration == pytest.approx(31 / Fraction(rate))
    assert clip.missing_frames == 0


def test_variable_rate(tmp_path):
    expected = make_variable(tmp_path / "clip.mp4", "-pix_fmt", "yuv420p")
    clip = probe(tmp_path / "clip.mp4")
    assert clip.variable_rate
    assert [clip.time_of(i) for i in range(8)] == expected
    assert clip.fps == Fraction(7, 1) / expected[-1]
    for index, time in enumerate(expected):
        assert clip.frame_at(float(time)) == index
        assert clip.frame_at(float(time) + 0.02) == index + 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])  # exact times, and rounded to 1/1000 s
@pytest.mark.parametrize(
    ("gaps", "rate"),
    [((1,) * 12 + (3,) * 12, "30"), ((1, 1, 1, 6, 6, 6) * 4, "30"), ((2, 2, 2, 5) * 5, "15")],
)
def test_constant_rate_is_that_of_the_quickest_frames(tmp_path, suffix, gaps, rate):
    make_variable(tmp_path / f"clip{suffix}", "-pix_fmt", "yuv420p", gaps=gaps)
    clip = probe(tmp_path / f"clip{suffix}")
    assert clip.variable_rate
    assert clip.constant_rate == Fraction(rate)


@pytest.mark.parametrize(
    ("expression", "rate"), [("floor(N/4)*4+gte(mod(N,4),2)", 10), ("0", 25)], ids=["twins", "all"]
)
def test_frames_of_one_time_have_no_rate_of_their_own(tmp_path, expression, rate):
    path = tmp_path / "twins.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10", "-frames:v", "40", "-c:v", "ffv1"),
        *("-vf", f"settb=1/1000,setpts='100*({expression})'", "-fps_mode", "passthrough"),
        *("-enc_time_base", "1/1000", path),
    )
    clip = probe(path)
    assert clip.frame_count == 40 and clip.variable_rate
    assert clip.constant_rate == rate


def test_constant_rate_of_a_constant_rate(tmp_path):
    path = make_clip(tmp_path / "clip.mkv", "-c:v", "ffv1", rate="24000/1001", frames=30)
    assert probe(path).constant_rate == Fraction(24000, 1001)


def test_jitter_is_no_variable_rate(tmp_path):
    make_variable(tmp_path / "clip.mp4", "-pix_fmt", "yuv420p", gaps=(10, 11, 10, 9, 10, 10, 10))
    clip = probe(tmp_path / "clip.mp4")
    assert not clip.variable_rate
    assert clip.times is not None


def test_frame_at_rounds_as_people_write_times(tmp_path):
    clip = probe(make_clip(tmp_path / "c.mp4", "-pix_fmt", "yuv420p", rate="30000/1001", frames=90))
    for frame in (0, 1, 2, 30, 89):
        assert clip.frame_at(float(clip.time_of(frame))) == frame
        assert clip.frame_at(round(float(clip.time_of(frame)), 3)) == frame
        assert clip.frame_at(float(clip.time_of(frame)) + 0.017) == frame + 1
    assert clip.frame_at(100) == 90
    assert clip.frame_at(-1) == 0


def test_frames_of_so_many_seconds(tmp_path):
    clip = probe(make_clip(tmp_path / "c.mp4", "-pix_fmt", "yuv420p", frames=75))
    assert clip.frames() == range(75)
    assert clip.frames(1) == range(25, 75)
    assert clip.frames(1, 0.04) == range(25, 26)
    assert clip.frames(2.9, 10) == range(73, 75)
    for nothing in ((3.0, None), (1.0, 0.0), (4.0, 1.0)):
        with pytest.raises(VideoError, match="c.mp4: no frame lies .*the clip lasts 3 s"):
            clip.frames(*nothing)


@pytest.mark.parametrize(
    ("pix_fmt", "depth", "alpha", "color_range"),
    [
        ("yuv420p", 8, False, "tv"),
        ("yuv422p10le", 10, False, "tv"),
        ("gray", 8, False, "pc"),
        ("gray10le", 10, False, "pc"),
        ("yuva420p", 8, True, "tv"),
        ("bgr0", 8, False, "pc"),
        ("yuva444p10le", 10, True, "tv"),
        ("gbrp12le", 12, False, "pc"),
        ("gbrp16le", 16, False, "pc"),
        ("bgra", 8, True, "pc"),
        ("yuv420p12le", 12, False, "tv"),
        ("gbrap16le", 16, True, "pc"),
    ],
)
def test_pixel_formats(tmp_path, pix_fmt, depth, alpha, color_range):
    path = make_clip(tmp_path / "c.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt, "-strict", "-2")
    clip = probe(path)
    assert (clip.pix_fmt, clip.bit_depth, clip.has_alpha) == (pix_fmt, depth, alpha)
    assert clip.color_range == color_range


@pytest.mark.parametrize(
    ("width", "height", "matrix"),
    [
        (720, 576, "smpte170m"),
        (1279, 719, "smpte170m"),
        (1280, 719, "bt709"),
        (16, 720, "bt709"),
        (1920, 1080, "bt709"),
        (1, 1, "smpte170m"),
    ],
)
def test_matrix_of_untagged_pictures(width, height, matrix):
    assert matrix_for_size(width, height) == matrix


def test_streams(tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nHello\n")
    path = tmp_path / "clip.mkv"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "sine=d=1:r=48000",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:d=1",
        "-itsoffset",
        "0.25",
        "-f",
        "lavfi",
        "-i",
        "sine=d=1:r=44100",
        "-i",
        tmp_path / "words.srt",
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "2",
        "-map",
        "3",
        "-c:a",
        "flac",
        "-ac:a:0",
        "6",
        "-ac:a:1",
        "1",
        "-c:s",
        "srt",
        path,
    )
    clip = probe(path)
    assert clip.audio == (AudioStream("flac", 6), AudioStream("flac", 1))
    assert clip.subtitles == (SubtitleStream("subrip"),)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 12])
def test_channel_counts(tmp_path, channels):
    path = make_clip(
        tmp_path / "clip.mkv", "-c:a", "pcm_s16le", sound="|".join(["sin(900*t)"] * channels)
    )
    assert probe(path).audio[0].channels == channels


@pytest.mark.parametrize(("filters", "interlaced"), [("interlace", True), ("null", False)])
def test_interlaced_film_is_seen_without_a_flag(tmp_path, filters, interlaced):
    path = make_clip(
        tmp_path / "clip.avi",
        "-c:v",
        "ffv1",
        "-pix_fmt",
        "yuv420p",
        "-vf",
        f"{filters},setfield=prog",
        rate="50",
        frames=60,
        source="mandelbrot",
    )
    assert probe(path).interlaced is interlaced


@pytest.mark.parametrize("order", ["tff", "bff", "prog"])
def test_field_order(tmp_path, order):
    path = make_clip(tmp_path / "clip.mkv", "-c:v", "ffv1", "-vf", f"setfield={order}")
    clip = probe(path)
    assert clip.field_order == {"prog": None}.get(order, order)
    assert clip.interlaced == (order != "prog")


def test_cancel_is_heard_at_every_packet(tmp_path):
    path = make_clip(tmp_path / "clip.mkv", "-c:v", "ffv1", frames=20)
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe(path, check)
    assert len(calls) == 15


def test_clip_that_starts_late(tmp_path):
    ffmpeg(
        "-itsoffset",
        "1.6",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=25:d=1",
        "-f",
        "lavfi",
        "-i",
        "sine=d=3",
        "-pix_fmt",
        "yuv420p",
        tmp_path / "clip.mp4",
    )
    clip = probe(tmp_path / "clip.mp4")
    assert clip.time_of(0) == clip.start == Fraction(8, 5)
    assert (clip.frame_at(0), clip.frame_at(1.6), clip.frame_at(2)) == (0, 0, 10)
    assert clip.duration == 1


def test_copied_cut_shows_only_what_its_edit_list_shows(tmp_path):
    whole = make_clip(tmp_path / "whole.mp4", "-pix_fmt", "yuv420p", "-g", "50", frames=100)
    ffmpeg("-ss", "1", "-i", whole, "-c", "copy", tmp_path / "cut.mp4")
    clip = probe(tmp_path / "cut.mp4")
    shown = ffmpeg("-i", tmp_path / "cut.mp4", "-fps_mode", "passthrough", "-f", "framemd5", "-")
    assert clip.frame_count == sum(not line.startswith(b"#") for line in shown.splitlines())


def test_a_few_frames_are_no_reason_to_warn(tmp_path, caplog):
    for name in ("clip.mkv", "clip.mp4", "clip.h264", "clip.ts", "clip.gif"):
        path = make_clip(tmp_path / name, frames=2)
        assert probe(path).missing_frames == 0
    assert not caplog.records


@pytest.fixture
def reworded(tmp_path, monkeypatch):
    """Makes an ffmpeg whose log and packet list are put through ``sed``."""

    def reword(script):
        command = "\n".join(
            [
                "#!/bin/sh",
                f'[ "$1" = -version ] && exec "{FFMPEG}" "$@"',
                f"""{{ "{FFMPEG}" "$@" 2>&1 >&3 3>&- | sed -u '{script}' >&2 3>&-; }} 3>&1 |""",
                f"sed -u '{script}'",
            ]
        )
        path = tmp_path / "ffmpeg"
        path.write_text(command)
        path.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))

    return reword


TAGGED = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script as ffmpeg")
@pytest.mark.parametrize(
    ("script", "said", "changes"),
    [
        ("", None, {}),
        ("s/frame_rate:/rate:/", "frame rate; assumed: 23.976 frames a second", {}),
        (
            "s/color_range:/range:/",
            "colour tags; assumed: smpte170m, SDR",
            {"color_matrix": "smpte170m", "color_primaries": None, "color_trc": None},
        ),
        ("s/Multi frame/All/", "count of interlaced frames; assumed: progressive", {}),
        ("s/Duration:/Length:/", "duration; assumed: that the file is complete", {}),
    ],
)
def test_what_ffmpeg_words_anew_is_said(tmp_path, caplog, reworded, script, said, changes):
    options = ("-pix_fmt", "yuv420p", "-vf", TAGGED)
    path = make_clip(tmp_path / "clip.mp4", *options, rate="24000/1001", frames=30)
    expected = probe(path)
    assert (expected.color_matrix, expected.fps) == ("bt709", Fraction(24000, 1001))
    assert not caplog.records
    reworded(script)
    assert probe(path) == replace(expected, **changes)
    if said:
        (record,) = caplog.records
        assert f"{path}: ffmpeg's log has no {said}" in record.getMessage()
        assert "tested is 9.0" in record.getMessage()
    else:
        assert not caplog.records


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script as ffmpeg")
def test_rate_that_nothing_tells_is_assumed_and_said(tmp_path, caplog, reworded):
    path = make_clip(tmp_path / "clip.h264", "-pix_fmt", "yuv420p", rate="30", frames=20)
    assert probe(path).fps == 30
    reworded("s/frame_rate:/rate:/")
    assert probe(path).fps == 25
    assert "clip.h264: ffmpeg's log has no frame rate; assumed: 25 frames" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script as ffmpeg")
@pytest.mark.parametrize(
    ("script", "match"),
    [
        ("s/ fmt:/ format:/", "clip.mkv: what ffmpeg's log says of the frames is not understood"),
        ("s/^#tb /#time_base /", "packet list has no 'tb'"),
        ("s/^#channel_layout_name/#layout/", "packet list has no 'channel_layout_name'"),
    ],
)
def test_what_cannot_be_assumed_is_an_error(tmp_path, reworded, script, match):
    path = make_clip(tmp_path / "clip.mkv", "-c:v", "ffv1", sound="sin(900*t)")
    reworded(script)
    with pytest.raises(VideoError, match=f"{match}.*the package imageio-ffmpeg"):
        probe(path)


def test_this_ffmpeg_is_among_the_tested_ones():
    """A newer one that passes the other tests is to be named there; an older one does not pass."""
    version = re.match(r"n?(\d+\.\d+)", imageio_ffmpeg.get_ffmpeg_version())
    if version[1] not in TESTED_VERSIONS:
        assert float(version[1]) > max(map(float, TESTED_VERSIONS))
        pytest.skip(
            f"ffmpeg {version[1]} is newer than {TESTED_VERSIONS}: name it in video/ffmpeg.py"
        )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_tags_are_whole_however_long(tmp_path, suffix):
    """The log leaves out what of a line is beyond 255 bytes; tags are read once more then."""
    long, short = "é" * 3000 + "\nsecond = line; # \\", "a short one"
    tags = ("-metadata", f"comment={long}", "-metadata", f"Prompt={short}")
    options = ("-movflags", "use_metadata_tags") if suffix == ".mp4" else ()
    clip = probe(make_clip(tmp_path / f"a{suffix}", *tags, *options, frames=3))
    assert (clip.tags["comment"], clip.tags["prompt"]) == (long, short)
