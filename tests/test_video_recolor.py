"""A clip in other colours keeps its luma, its times, its sound and what else it has."""

import logging
import re
import time
from collections import deque
from fractions import Fraction

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import FrameWriter, VideoError, probe, read_frames, recolor
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

BEEPS = "sin(2*PI*440*t)*lt(mod(t\\,0.2)\\,0.05)"


SWEEP = "sin(2*PI*(200+900*t)*t)"  # no two packets alike


@each
def sepia(luma, planes):
    """U and V planes of one colour."""
    shift = planes.depth - 8
    shape = (len(luma), *planes.chroma_size)
    return np.full(shape, 100 << shift, planes.dtype), np.full(shape, 150 << shift, planes.dtype)


@pytest.mark.parametrize(
    ("pix_fmt", "options"),
    [
        ("yuv420p", ()),
        ("yuv422p", ()),
        ("yuv444p10le", ()),
        ("yuv420p10le", ()),
        ("gray", ()),
        ("gray10le", ()),
        ("yuv420p", ("-color_range", "pc", "-bsf:v", "null")),
        ("yuva420p", ()),
    ],
)
def test_luma_is_bit_exact(tmp_path, pix_fmt, options):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt, *options)
    target = tmp_path / "out.mkv"
    assert recolor(source, target, sepia, encode=EncodeOptions("ffv1")) == 10
    assert luma_hashes(target) == luma_hashes(source)
    assert probe(target).color_range == probe(source).color_range
    assert probe(target).bit_depth == probe(source).bit_depth


def test_full_range_jpeg_film(tmp_path):
    source = make_clip(tmp_path / "in.avi", "-c:v", "mjpeg", "-pix_fmt", "yuvj422p")
    recolor(source, tmp_path / "out.mkv", sepia, encode=EncodeOptions("ffv1"))
    assert luma_hashes(tmp_path / "out.mkv")[1] == luma_hashes(source)[1]
    assert probe(tmp_path / "out.mkv").color_range == "pc"


def test_chroma_is_what_was_made(tmp_path):
    source = make_clip(
        tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="65x49", source="testsrc"
    )

    @each
    def ramp(luma, planes):
        rows, columns = np.indices(planes.chroma_size)
        plane = np.broadcast_to((rows + 2 * columns).astype(planes.dtype), (len(luma), *rows.shape))
        return plane, 200 - plane

    target = tmp_path / "out.mkv"
    recolor(source, target, ramp, encode=EncodeOptions("ffv1"))
    raw = ffmpeg("-i", target, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
    frame = np.frombuffer(raw, np.uint8).reshape(10, -1)[3]
    u, v = frame[65 * 49 :].reshape(2, 25, 33)
    rows, columns = np.indices((25, 33))
    assert (u == rows + 2 * columns).all()
    assert (v == 200 - rows - 2 * columns).all()


def test_luma_reaches_the_colour_in_order(tmp_path):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p10le", frames=11)
    raw = ffmpeg("-i", source, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    expected = np.frombuffer(raw, "<u2").reshape(11, 48, 64)
    seen = []

    def look(batches, planes):
        assert (planes.depth, planes.full_range) == (10, False)
        for luma in batches:
            seen.append(luma.copy())
            yield from sepia([luma], planes)

    recolor(source, tmp_path / "out.mkv", look, encode=EncodeOptions("ffv1"), batch_size=4)
    assert [len(batch) for batch in seen] == [4, 4, 3]
    assert (np.concatenate(seen) == expected).all()


def shifted(luma, planes):
    """U and V planes that belong to no other luma: its own samples, and those upside down."""
    u = luma[:, : planes.chroma_size[0], : planes.chroma_size[1]]
    return u, u[:, ::-1]


@pytest.mark.parametrize("ahead", [0, 1, 5, 100])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_colour_may_look_ahead(tmp_path, ahead, batch_size):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", frames=23)

    def delayed(batches, planes):
        waiting = deque()

        def oldest():
            luma, copy = waiting.popleft()
            assert (luma == copy).all()  # valid until now
            return shifted(luma, planes)

        for luma in batches:
            waiting.append((luma, luma.copy()))
            if len(waiting) > ahead:
                yield oldest()
        while waiting:
            yield oldest()

    encode = EncodeOptions("ffv1")
    recolor(source, tmp_path / "1.mkv", each(shifted), encode=encode)
    recolor(source, tmp_path / "2.mkv", delayed, encode=encode, batch_size=batch_size)
    assert frame_hashes(tmp_path / "2.mkv") == frame_hashes(tmp_path / "1.mkv")
    raw = ffmpeg("-i", tmp_path / "2.mkv", "-f", "rawvideo", "-")
    frames = np.frombuffer(raw, np.uint8).reshape(23, -1)
    luma, u, v = frames[:, :3072].reshape(23, 48, 64), frames[:, 3072:3840], frames[:, 3840:]
    assert (u.reshape(23, 24, 32) == luma[:, :24, :32]).all()
    assert (v.reshape(23, 24, 32) == luma[:, 23::-1, :32]).all()


@pytest.mark.parametrize("rate", ["24", "25", "30000/1001", "24000/1001", "50", "25/2"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_constant_rate_stays_exact(tmp_path, rate, suffix):
    source = make_clip(tmp_path / f"in{suffix}", "-pix_fmt", "yuv420p", rate=rate, frames=30)
    target = tmp_path / f"out{suffix}"
    recolor(source, target, sepia)
    assert probe(target).fps == Fraction(rate)
    assert probe(target).times is None
    assert luma_hashes(target)[0] == luma_hashes(source)[0]


@pytest.mark.parametrize(
    ("suffix", "format"), [(".mp4", "h264"), (".mkv", "ffv1"), (".webm", "vp9"), (".mp4", "av1")]
)
def test_variable_rate_keeps_every_time(tmp_path, suffix, format):
    source = tmp_path / "in.mp4"
    expected = make_variable(source, "-pix_fmt", "yuv420p")
    target = tmp_path / f"out{suffix}"
    assert recolor(source, target, sepia, encode=EncodeOptions(format)) == 8
    times, _ = luma_hashes(target)
    tolerance = Fraction(0) if suffix == ".mp4" else Fraction(1, 2000)  # Matroska counts in ms
    assert len(times) == 8
    assert all(abs(t - e) <= tolerance for t, e in zip(times, expected, strict=True))
    assert probe(target).variable_rate
    assert probe(target).duration == pytest.approx(probe(source).duration, abs=0.002)


def test_sound_is_copied_with_its_offset(tmp_path):
    source = tmp_path / "in.mkv"
    make_clip(tmp_path / "picture.mkv", "-pix_fmt", "yuv420p", frames=50)
    ffmpeg(
        "-i",
        tmp_path / "picture.mkv",
        "-itsoffset",
        "0.5",
        "-f",
        "lavfi",
        "-i",
        f"aevalsrc='{BEEPS}':s=48000:d=1",
        "-itsoffset",
        "0.1",
        "-f",
        "lavfi",
        "-i",
        "sine=d=2",
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "2",
        "-ac:a:1",
        "6",
        "-c:v",
        "copy",
        "-c:a",
        "aac",
        "-metadata:s:a:1",
        "language=fra",
        source,
    )
    target = tmp_path / "out.mkv"
    recolor(source, target, sepia)
    for stream in ("0:a:0", "0:a:1"):
        assert packets(target, stream) == packets(source, stream)
    assert "(fra): Audio" in facts(target)
    assert probe(target).audio[1].channels == 6

    recolor(source, tmp_path / "out.mp4", sepia)
    for stream in ("0:a:0", "0:a:1"):
        times, sums = packets(tmp_path / "out.mp4", stream)
        expected_times, expected_sums = packets(source, stream)
        assert sums == expected_sums
        assert np.allclose(np.array(times, float), np.array(expected_times, float), atol=1.1e-3)


def test_picture_that_starts_late_stays_late(tmp_path):
    source = tmp_path / "in.mp4"
    ffmpeg(
        "-itsoffset",
        "0.4",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=25:d=1",
        "-f",
        "lavfi",
        "-i",
        "sine=d=1.4",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        source,
    )
    assert float(probe(source).start) == pytest.approx(0.4, abs=0.001)
    recolor(source, tmp_path / "out.mp4", sepia)
    assert luma_hashes(tmp_path / "out.mp4")[0] == luma_hashes(source)[0]
    assert packets(tmp_path / "out.mp4", "0:a:0") == packets(source, "0:a:0")


def test_sound_is_encoded_only_when_it_must_be(tmp_path, caplog):
    source = make_clip(tmp_path / "in.mkv", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", sound=BEEPS)
    recolor(source, tmp_path / "out.mkv", sepia)
    assert not caplog.records
    assert probe(tmp_path / "out.mkv").audio[0].codec == "pcm_s16le"
    recolor(source, tmp_path / "out.mp4", sepia)
    assert "pcm_s16le" in caplog.text and "aac" in caplog.text
    assert probe(tmp_path / "out.mp4").audio[0].codec == "aac"


def test_subtitles_chapters_and_metadata_come_along(tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    (tmp_path / "chapters").write_text(
        ";FFMETADATA1\ntitle=Film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=400\ntitle=Two\n"
    )
    make_clip(tmp_path / "picture.mkv", "-pix_fmt", "yuv420p")
    source = tmp_path / "in.mkv"
    ffmpeg(
        "-i",
        tmp_path / "picture.mkv",
        "-i",
        tmp_path / "words.srt",
        "-i",
        tmp_path / "chapters",
        "-map",
        "0",
        "-map",
        "1",
        "-map_metadata",
        "2",
        "-c",
        "copy",
        "-metadata:s:s:0",
        "language=ger",
        source,
    )
    workflow = 'a "prompt"; with = # \\ signs\nand 漢字' + "x" * 200_000
    for name in ("out.mkv", "out.mp4"):
        encode = EncodeOptions(metadata={"prompt": workflow})
        recolor(source, tmp_path / name, sepia, encode=encode)
        assert "(ger): Subtitle" in facts(tmp_path / name)
        text = ffmpeg("-i", tmp_path / name, "-map", "0:s:0", "-f", "srt", "-").decode()
        assert "00:00:00,100 --> 00:00:00,300\nHello" in text
        written = ffmpeg("-i", tmp_path / name, "-f", "ffmetadata", "-").decode()
        for special in "\\=;#\n":
            written = written.replace("\\" + special, special)
        assert workflow in written
        assert "title=Film" in written
        chapters = re.findall(r"TIMEBASE=1/(\d+)\nSTART=(\d+)\nEND=(\d+)\ntitle=(\w+)", written)
        times = [(int(a) / int(tick), int(b) / int(tick), name) for tick, a, b, name in chapters]
        assert times == [(0, 0.2, "One"), (0.2, 0.4, "Two")]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path, degrees):
    make_clip(tmp_path / "flat.mp4", "-pix_fmt", "yuv420p")
    source = tmp_path / "in.mp4"
    ffmpeg("-display_rotation", degrees, "-i", tmp_path / "flat.mp4", "-c", "copy", source)
    clip = probe(source)
    assert (clip.width, clip.height) == ((64, 48) if degrees == 180 else (48, 64))
    target = tmp_path / "out.mkv"
    recolor(source, target, sepia, encode=EncodeOptions("ffv1"))
    assert luma_hashes(target) == luma_hashes(source)  # ffmpeg turns its input as players do
    assert "rotation of" in facts(source) and "rotation of" not in facts(target)


def test_sample_aspect_ratio_is_kept(tmp_path):
    source = make_clip(tmp_path / "in.mp4", "-pix_fmt", "yuv420p", "-vf", "setsar=128/117:max=1000")
    recolor(source, tmp_path / "out.mp4", sepia)
    assert probe(tmp_path / "out.mp4").sample_aspect_ratio == Fraction(128, 117)


TAGS = [
    ("64x48", (), ("smpte170m", "smpte170m", "smpte170m")),
    ("1280x32", (), ("bt709", "bt709", "bt709")),
    ("32x720", (), ("bt709", "bt709", "bt709")),
    ("64x48", ("bt709", "bt709", "bt709"), ("bt709", "bt709", "bt709")),
    ("1280x32", ("smpte170m", "bt470bg", "smpte170m"), ("smpte170m", "bt470bg", "smpte170m")),
    ("64x48", ("bt2020nc", "bt2020", "smpte2084"), ("bt2020nc", "bt2020", "smpte2084")),
    ("64x48", ("bt2020nc", "bt2020", "arib-std-b67"), ("bt2020nc", "bt2020", "arib-std-b67")),
]


@pytest.mark.parametrize(
    ("format", "suffix", "size", "tags", "expected"),
    [("h264", ".mp4", *tags) for tags in TAGS]
    + [
        (format, suffix, *tags)
        for tags in TAGS[4:6]
        for format, suffix in (
            ("hevc", ".mp4"),
            ("av1", ".mp4"),
            ("vp9", ".webm"),
            ("prores", ".mov"),
            ("ffv1", ".mkv"),
        )
    ],
)
def test_output_is_tagged(tmp_path, format, suffix, size, tags, expected):
    tagging = "null"
    if tags:
        tagging = f"setparams=colorspace={tags[0]}:color_primaries={tags[1]}:color_trc={tags[2]}"
    source = make_clip(
        tmp_path / "in.mkv",
        "-c:v",
        "ffv1",
        "-pix_fmt",
        "yuv420p10le",
        "-vf",
        f"setparams=range=tv,{tagging}",
        size=size,
        frames=2,
    )
    seen = []

    def look(batches, planes):
        seen.append(planes.matrix)
        return sepia(batches, planes)

    target = tmp_path / f"out{suffix}"
    recolor(source, target, look, encode=EncodeOptions(format))
    clip = probe(target)
    assert seen == [expected[0]]
    assert (clip.color_matrix, clip.color_primaries, clip.color_trc) == expected
    # Few players show more than 8 bits of H.264, and HDR in 8 bits has bands.
    kept = clip.is_hdr or format != "h264"
    assert (clip.color_range, clip.bit_depth) == ("tv", 10 if kept else 8)
    assert clip.codec == ("hevc" if clip.is_hdr and format == "h264" else clip.codec)


def test_hdr_is_said(tmp_path, caplog):
    source = make_clip(
        tmp_path / "in.mkv",
        "-c:v",
        "ffv1",
        "-pix_fmt",
        "yuv420p10le",
        "-vf",
        "setparams=color_trc=smpte2084:colorspace=bt2020nc",
    )
    recolor(source, tmp_path / "out.mkv", sepia)
    assert "HDR" in caplog.text


@pytest.mark.parametrize(
    ("format", "suffix"),
    [
        ("h264", ".mp4"),
        ("hevc", ".mp4"),
        ("av1", ".mp4"),
        ("vp9", ".webm"),
        ("prores4444", ".mov"),
        ("ffv1", ".mkv"),
    ],
)
def test_odd_sizes_are_kept(tmp_path, format, suffix):
    source = make_clip(
        tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="65x49", source="testsrc"
    )
    recolor(source, tmp_path / f"out{suffix}", sepia, encode=EncodeOptions(format))
    clip = probe(tmp_path / f"out{suffix}")
    assert (clip.width, clip.height, clip.frame_count) == (65, 49, 10)


def test_bit_depth_may_be_chosen(tmp_path):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    recolor(source, tmp_path / "out.mkv", sepia, encode=EncodeOptions("ffv1", bit_depth=10))
    eight = ffmpeg("-i", source, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    ten = ffmpeg("-i", tmp_path / "out.mkv", "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    assert (np.frombuffer(ten, "<u2") == np.frombuffer(eight, np.uint8).astype(int) << 2).all()
    with pytest.raises(VideoError, match="8 or 10 bits"):
        recolor(source, tmp_path / "12.mkv", sepia, encode=EncodeOptions(bit_depth=12))


def test_trim_holds_to_the_frame(tmp_path):
    source = make_clip(
        tmp_path / "in.mp4",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "12",
        "-c:a",
        "aac",
        frames=75,
        sound=BEEPS,
    )
    _, whole = luma_hashes(source)
    for start, duration, first, last in (
        (0, 1, 0, 25),
        (0.4, 1, 10, 35),
        (1.01, 0.5, 26, 38),
        (2.96, None, 74, 75),
        (0.04, 0.04, 1, 2),
    ):
        target = tmp_path / f"{start}.mkv"
        frames = probe(source).frames(start, duration)
        assert frames == range(first, last)
        count = recolor(source, target, sepia, frames=frames, encode=EncodeOptions("ffv1"))
        assert count == last - first
        assert luma_hashes(target)[1] == whole[first:last]
        assert luma_hashes(target)[0][0] == 0


def test_trimmed_sound_stays_in_sync(tmp_path):
    source = make_clip(
        tmp_path / "in.mp4",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "25",
        "-c:a",
        "aac",
        frames=75,
        sound=SWEEP,
    )
    target = tmp_path / "out.mp4"
    recolor(source, target, sepia, frames=range(25, 50))
    times, sums = packets(target, "0:a:0")
    where = dict(zip(*reversed(packets(source, "0:a:0")), strict=True))
    assert len(times) >= 46
    shifts = {float(where[digest] - time) for time, digest in zip(times, sums, strict=True)}
    assert all(shift == pytest.approx(1.0, abs=0.001) for shift in shifts)
    assert times[0] > -0.03 and times[-1] < 1.03


def test_trim_of_a_variable_rate(tmp_path):
    source = tmp_path / "in.mp4"
    times = make_variable(source, "-pix_fmt", "yuv420p")
    target = tmp_path / "out.mp4"
    frames = probe(source).frames(float(times[2]), 0.3)
    assert recolor(source, target, sepia, frames=frames) == 3
    assert luma_hashes(target)[0] == [t - times[2] for t in times[2:5]]


@pytest.mark.parametrize("frames", [range(0), range(5, 11), range(-1, 4), range(12, 14)])
def test_frames_that_are_not_there_are_said(tmp_path, frames):
    source = make_clip(tmp_path / "in.mp4", "-pix_fmt", "yuv420p")
    with pytest.raises(VideoError, match="in.mp4: frames .* the clip has 10 frames"):
        recolor(source, tmp_path / "out.mp4", sepia, frames=frames)
    with pytest.raises(ValueError, match="steps of 2"):
        recolor(source, tmp_path / "out.mp4", sepia, frames=range(0, 10, 2))
    assert not (tmp_path / "out.mp4").exists()


def test_interlaced_film_is_said(tmp_path, caplog):
    source = make_clip(
        tmp_path / "in.mkv",
        "-pix_fmt",
        "yuv420p",
        "-vf",
        "interlace",
        "-flags",
        "+ildct+ilme",
        rate="50",
        frames=60,
        source="mandelbrot",
    )
    assert probe(source).interlaced
    with caplog.at_level(logging.WARNING):
        recolor(source, tmp_path / "out.mkv", sepia)
    assert "is interlaced" in caplog.text and "is marked" in caplog.text


@pytest.mark.parametrize(
    ("format", "suffix", "kept"),
    [
        ("ffv1", ".mkv", True),
        ("h264", ".mp4", True),
        ("prores", ".mov", True),
        ("hevc", ".mp4", False),
    ],
)
@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_stay_marked_where_the_codec_can(tmp_path, caplog, format, suffix, kept, order):
    source = make_clip(
        tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-vf", f"setfield={order}"
    )
    recolor(source, tmp_path / f"out{suffix}", sepia, encode=EncodeOptions(format))
    assert probe(tmp_path / f"out{suffix}").field_order == (order if kept else None)
    assert ("is marked" if kept else "is not marked") in caplog.text


def test_fields_of_a_height_that_x264_cannot_halve_are_said(tmp_path, caplog):
    source = make_clip(
        tmp_path / "in.mkv",
        "-c:v",
        "ffv1",
        "-pix_fmt",
        "yuv420p",
        "-vf",
        "setfield=tff",
        size="64x46",
    )
    assert recolor(source, tmp_path / "out.mp4", sepia) == 10
    assert "is not marked" in caplog.text


def test_rgb_film_gets_a_luma(tmp_path):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    recolor(source, tmp_path / "out.mkv", sepia, encode=EncodeOptions("ffv1"))
    expected = frame_hashes(
        source,
        filters="scale=out_color_matrix=smpte170m:out_range=tv:flags="
        "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp,format=yuv420p,"
        "extractplanes=y",
    )
    assert luma_hashes(tmp_path / "out.mkv") == expected


def test_colour_may_be_any_iterator(tmp_path):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    assert recolor(source, tmp_path / "1.mkv", lambda b, f: map(lambda y: shifted(y, f), b)) == 10


def test_luma_cannot_be_written_to(tmp_path):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p")

    @each
    def careless(luma, planes):
        luma += 1

    with pytest.raises(ValueError, match="read-only"):
        recolor(source, tmp_path / "out.mkv", careless)


@pytest.mark.parametrize("held", [0, 6])
def test_memory_is_what_the_colour_holds_and_some_batches(tmp_path, held):
    source = make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", frames=80)
    places = set()

    def colour(batches, planes):
        waiting = deque()
        for number, luma in enumerate(batches):
            places.add(luma.ctypes.data)
            waiting.append(luma)
            if number == 20:
                time.sleep(0.5)  # the decoder must not run away meanwhile
            if len(waiting) > held:
                yield shifted(waiting.popleft(), planes)
        while waiting:
            yield shifted(waiting.popleft(), planes)

    assert recolor(source, tmp_path / "out.mp4", colour, batch_size=1) == 80
    assert len(places) <= held + 3


def test_progress_counts_frames(tmp_path):
    source = make_clip(tmp_path / "in.mp4", "-pix_fmt", "yuv420p")
    steps = []
    recolor(source, tmp_path / "out.mp4", sepia, on_progress=lambda *step: steps.append(step))
    assert steps == [(4, 10), (8, 10), (10, 10)]


def test_result_is_readable_and_coloured(tmp_path):
    source = make_clip(tmp_path / "in.mp4", "-pix_fmt", "yuv420p")
    recolor(source, tmp_path / "out.mp4", sepia)
    frames = np.concatenate(list(read_frames(tmp_path / "out.mp4"))).astype(int)
    assert (frames[..., 0].mean() - frames[..., 2].mean()) > 40
    assert "h264" in facts(tmp_path / "out.mp4")


def test_new_tags_take_the_place_of_the_sources(tmp_path):
    source, target = tmp_path / "source.mkv", tmp_path / "target.mkv"
    with FrameWriter(
        source, 32, 24, 25, EncodeOptions("ffv1", metadata={"prompt": "old", "title": "kept"})
    ) as writer:
        writer.write(np.zeros((3, 24, 32, 3), np.uint8))

    def colour(luma, planes):
        for batch in luma:
            chroma = np.full((len(batch), *planes.chroma_size), 128, planes.dtype)
            yield chroma, chroma

    recolor(source, target, colour, encode=EncodeOptions("ffv1", metadata={"prompt": "new"}))
    tags = ffmpeg("-i", target, "-f", "ffmetadata", "-").decode().lower()
    assert "prompt=new" in tags and "old" not in tags and "title=kept" in tags
