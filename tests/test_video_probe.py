"""What `probe` says of clips whose facts are known."""

from fractions import Fraction

import pytest
from colorizationnet.video import matrix_for_size, probe
from video_clips import ffmpeg, make_clip, make_variable


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
def test_steady_rate_is_that_of_the_quickest_frames(tmp_path, suffix, gaps, rate):
    make_variable(tmp_path / f"clip{suffix}", "-pix_fmt", "yuv420p", gaps=gaps)
    clip = probe(tmp_path / f"clip{suffix}")
    assert clip.variable_rate
    assert clip.steady_rate == Fraction(rate)


def test_steady_rate_of_a_constant_rate(tmp_path):
    path = make_clip(tmp_path / "clip.mkv", "-c:v", "ffv1", rate="24000/1001", frames=30)
    assert probe(path).steady_rate == Fraction(24000, 1001)


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
        "-metadata:s:a:1",
        "language=fra",
        "-metadata:s:s:0",
        "language=eng",
        "-c:s",
        "srt",
        path,
    )
    first, second = probe(path).audio
    assert (first.codec, first.rate, first.channels, first.start) == ("flac", 48000, 6, 0)
    assert (second.rate, second.channels, second.layout, second.language) == (
        44100,
        1,
        "mono",
        "fra",
    )
    assert second.start == pytest.approx(0.25, abs=0.001)
    assert [(s.codec, s.language) for s in probe(path).subtitles] == [("subrip", "eng")]


def test_sound_may_begin_before_the_picture(tmp_path):
    path = make_clip(tmp_path / "clip.mkv", "-c:a", "aac", sound="sin(900*t)")
    assert probe(path).audio[0].start == pytest.approx(-1024 / 48000, abs=0.001)


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
