"""What belongs to a clip beside its pictures comes along, or is named."""

import re
import struct
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import probe, recolor
from colorizationnet.video.timecode import advanced
from PIL import Image
from video_clips import FFMPEG, each, facts, ffmpeg, frame_hashes, luma_hashes, make_clip, packets

CREATED = "2001-02-03T04:05:06.000000Z"


@each
def grey(luma, planes):
    shape = (len(luma), *planes.chroma_size)
    neutral = np.full(shape, planes.chroma[0], planes.dtype)
    return neutral, neutral


def stream_facts(path):
    """What ``ffmpeg -i`` prints of each stream: its line and the tags below it."""
    parts = re.split(r"\n +(?=Stream #0:)", facts(path))[1:]
    return [part.split("At least one")[0] for part in parts]


@pytest.fixture
def cover(tmp_path):
    path = tmp_path / "cover.jpg"
    Image.new("RGB", (40, 30), "red").save(path)
    return path


@pytest.fixture
def rich(tmp_path, cover):
    """A film with two pictures, the second the default, two sounds, subtitles and two files."""
    make_clip(tmp_path / "a.mkv", "-pix_fmt", "yuv420p", size="64x48", frames=50)
    make_clip(tmp_path / "b.mkv", "-pix_fmt", "yuv420p", size="48x64", frames=50, source="testsrc")
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nHello\n")
    (tmp_path / "font.ttf").write_bytes(bytes(range(256)))
    path = tmp_path / "in.mkv"
    ffmpeg(
        *("-i", tmp_path / "a.mkv", "-i", tmp_path / "b.mkv", "-i", tmp_path / "words.srt"),
        *("-f", "lavfi", "-i", "sine=d=2:r=48000", "-f", "lavfi", "-i", "sine=f=900:d=2:r=48000"),
        *("-map", "0", "-map", "1", "-map", "3", "-map", "4", "-map", "2"),
        *("-c:v", "copy", "-c:a", "aac", "-c:s", "srt"),
        *("-metadata:s:v:0", "title=Rushes", "-disposition:v:0", "0"),
        *("-metadata:s:v:1", "title=Main", "-metadata:s:v:1", "language=fra"),
        *("-disposition:v:1", "default+original"),
        *("-metadata:s:a:0", "language=ger", "-disposition:a:0", "0"),
        *("-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Remarks"),
        *("-disposition:a:1", "default+comment"),
        *("-metadata:s:s:0", "language=ita", "-disposition:s:0", "forced"),
        *("-metadata", f"creation_time={CREATED}", "-metadata", "title=Film"),
        *("-attach", tmp_path / "font.ttf", "-metadata:s:t:0", "mimetype=application/x-font"),
        *("-attach", cover, "-metadata:s:t:1", "mimetype=image/jpeg", path),
    )
    return path


@pytest.mark.parametrize("part", [None, range(25, 50)])
def test_every_track_keeps_its_name_and_its_marks(tmp_path, caplog, rich, part):
    clip = probe(rich)
    assert (clip.width, clip.height) == (48, 64)  # of the default picture
    target = tmp_path / "out.mkv"
    recolor(rich, target, grey, frames=part, encode=EncodeOptions("ffv1"))
    expected = frame_hashes(rich, filters="extractplanes=y", stream="0:1")[1]
    assert luma_hashes(target)[1] == (expected[25:] if part else expected)
    streams = stream_facts(target)
    marks = [re.findall(r"\((default|original|comment|forced|attached pic)\)", s) for s in streams]
    languages = [re.match(r"Stream #0:\d+(?:\((\w+)\))?", stream)[1] for stream in streams]
    kept = [*zip(languages, marks, strict=True)]
    assert kept[:4] == [
        ("fra", ["default", "original"]),
        ("ger", []),
        ("eng", ["default", "comment"]),
        ("ita", ["forced"]),
    ]
    assert re.search(r"title +: Main", streams[0])
    assert re.search(r"title +: Remarks", streams[2])
    assert "Attachment" in streams[4] and "font.ttf" in streams[4]
    assert kept[5][1] == ["attached pic"] and "cover.jpg" in streams[5]
    assert facts(target).count("creation_time") == 1
    [said] = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    assert "video track 0 (Rushes)" in said and "cover" not in said


def test_what_a_container_cannot_hold_is_named_in_one_warning(tmp_path, caplog, rich):
    recolor(rich, tmp_path / "out.webm", grey, encode=EncodeOptions("vp9"))
    [said] = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    for name in ("video track 0 (Rushes)", "attachment font.ttf", "cover art"):
        assert name in said


@pytest.mark.parametrize("into", [".mp4", ".mkv"])
@pytest.mark.parametrize("part", [None, range(25, 50)])
def test_cover_art_stays_what_it_was(tmp_path, cover, rich, into, part):
    target = tmp_path / f"out{into}"
    recolor(rich, target, grey, frames=part, encode=EncodeOptions(metadata={"prompt": "mine"}))
    picture = ffmpeg("-i", target, "-map", "0:v:1", "-c", "copy", "-f", "image2pipe", "-")
    assert picture == cover.read_bytes()
    again = tmp_path / f"again{into}"
    recolor(target, again, grey)
    assert ffmpeg("-i", again, "-map", "0:v:1", "-c", "copy", "-f", "image2pipe", "-") == picture
    assert probe(again).frame_count == (25 if part else 50)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_creation_time_is_there_once_and_in_the_headers(tmp_path, suffix):
    source = make_clip(
        tmp_path / f"in{suffix}",
        *("-pix_fmt", "yuv420p", "-c:a", "aac", "-metadata", f"creation_time={CREATED}"),
        sound="sin(2000*t)",
    )
    for name in ("out.mp4", "out.mov"):
        target = tmp_path / name
        recolor(source, target, grey, encode=EncodeOptions(metadata={"prompt": "mine"}))
        data = target.read_bytes()
        seconds = 3064017906  # of CREATED since 1904
        for box, count in ((b"mvhd", 1), (b"tkhd", 2), (b"mdhd", 2)):
            places = [found.end() for found in re.finditer(box, data)]
            assert len(places) == count
            assert {struct.unpack_from(">xxxxI", data, place)[0] for place in places} == {seconds}
        container = facts(target).split("Stream #")[0]
        assert re.findall(r"creation_time +: (.*)", container) == [CREATED]
        assert "isom;isom" not in container and "qt  ;" not in container
        assert re.search(r"prompt +: mine", container)


@pytest.mark.parametrize(
    ("timecode", "frames", "fps", "later"),
    [
        ("01:00:00:00", 25, 25, "01:00:01:00"),
        ("23:59:59:24", 1, 25, "00:00:00:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 107892, Fraction(30000, 1001), "01:00:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("00:00:59:29", 1, Fraction(30000, 1001), "00:01:00:00"),
        ("00:00:00:23", 1, Fraction(24000, 1001), "00:00:01:00"),
        ("1:2", 1, 25, None),
        ("00:00:00:00", 1, Fraction(13), None),
    ],
)
def test_timecode_counts_on(timecode, frames, fps, later):
    assert advanced(timecode, frames, Fraction(fps)) == later


@pytest.mark.parametrize("into", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize("part", [None, range(5, 10)])
def test_timecode_is_kept_and_counts_on(tmp_path, caplog, into, part):
    flat = make_clip(tmp_path / "flat.mov", "-pix_fmt", "yuv420p", frames=10)
    source = tmp_path / "in.mov"
    ffmpeg("-i", flat, "-c", "copy", "-timecode", "01:00:00:20", source)
    recolor(source, tmp_path / f"out{into}", grey, frames=part)
    found = re.findall(r"timecode +: (\S+)", facts(tmp_path / f"out{into}"), re.IGNORECASE)
    assert set(found) == {"01:00:01:00" if part else "01:00:00:20"}
    if into != ".mkv":
        assert "tmcd" in facts(tmp_path / f"out{into}")
    assert "left out" not in caplog.text


def test_data_tracks_are_kept_or_named(tmp_path, caplog):
    flat = make_clip(tmp_path / "flat.mov", "-pix_fmt", "yuv420p", frames=10)
    (tmp_path / "telemetry").write_bytes(bytes(range(200)))
    source = tmp_path / "in.mov"
    ffmpeg(
        *("-i", flat, "-f", "data", "-i", tmp_path / "telemetry", "-map", "0", "-map", "1"),
        *("-c", "copy", "-tag:d", "gpmd", source),
    )
    recolor(source, tmp_path / "out.mp4", grey)
    assert packets(tmp_path / "out.mp4", "0:d:0")[1] == packets(source, "0:d:0")[1]
    assert "left out" not in caplog.text
    recolor(source, tmp_path / "out.mkv", grey)
    assert "data track 1 (gpmd)" in caplog.text


@pytest.mark.parametrize("delay", ["0.043", "0.8", "0.017"])
@pytest.mark.parametrize("rate", ["25", "30000/1001"])
@pytest.mark.parametrize("into", [".mp4", ".mkv"])
def test_a_late_picture_is_not_moved_to_a_grid(tmp_path, delay, rate, into):
    source = tmp_path / "in.mkv"
    ffmpeg(
        *("-itsoffset", delay, "-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d=1"),
        *("-f", "lavfi", "-i", "sine=d=1", "-pix_fmt", "yuv420p", "-c:a", "aac", source),
    )
    target = tmp_path / f"out{into}"
    recolor(source, target, grey)
    times, _ = luma_hashes(target)
    expected, _ = luma_hashes(source)
    assert max(abs(a - b) for a, b in zip(times, expected, strict=True)) <= Fraction(1, 1000)
    assert packets(target, "0:a:0")[0][0] == pytest.approx(
        float(packets(source, "0:a:0")[0][0]), abs=0.001
    )
    assert probe(target).fps == Fraction(rate) and not probe(target).variable_rate


def slice_orders(path):
    """``(pic_struct, delta_pic_order_cnt_bottom)`` of all pictures, by ffmpeg's parser."""
    command = [FFMPEG, "-v", "trace", "-i", str(path), "-c", "copy"]
    command += ["-bsf:v", "trace_headers", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True).stderr.decode(errors="replace")
    return (
        set(re.findall(r"pic_struct +\d+ = (\d+)", log)),
        set(re.findall(r"delta_pic_order_cnt_bottom +\d+ = (-?\d+)", log)),
    )


@pytest.mark.parametrize(("order", "struct", "bottom"), [("bff", "4", "-1"), ("tff", "3", "1")])
def test_every_picture_of_h264_tells_its_field_order(tmp_path, order, struct, bottom):
    source = make_clip(
        *(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p"),
        *("-vf", f"setfield={order}"),
        frames=30,
    )
    recolor(source, tmp_path / "out.mp4", grey)
    assert slice_orders(tmp_path / "out.mp4") in (({struct}, {bottom}), ({struct}, {bottom, "0"}))
    assert f"{'bottom' if order == 'bff' else 'top'} first" in facts(tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("format", "suffix", "pix_fmt"),
    [
        ("prores4444", ".mov", "yuva444p10le"),
        ("ffv1", ".mkv", "yuva420p10le"),
        ("vp9", ".webm", "yuva420p"),
    ],
)
@pytest.mark.parametrize("blend", [1.0, 0.5])
def test_alpha_is_kept_where_the_format_has_it(tmp_path, caplog, format, suffix, pix_fmt, blend):
    source = make_clip(
        *(tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt),
        *("-vf", f"format={pix_fmt},geq=lum='p(X,Y)':cb='p(X,Y)':cr='p(X,Y)':a='X*3+T*50'"),
    )
    target = tmp_path / f"out{suffix}"
    recolor(source, target, grey, encode=EncodeOptions(format), blend=blend)
    assert probe(target).has_alpha
    decoder = ("-c:v", "libvpx-vp9") if format == "vp9" else ()
    planes = []
    for before, path in (((), source), (decoder, target)):
        raw = ffmpeg(
            *(*before, "-i", path, "-vf", "alphaextract,format=gray", "-f", "rawvideo", "-")
        )
        planes.append(np.frombuffer(raw, np.uint8).astype(int))
    assert abs(planes[0] - planes[1]).max() <= (0 if format != "vp9" else 8)
    assert "transparency" not in caplog.text


def test_alpha_that_is_lost_is_named(tmp_path, caplog):
    source = make_clip(
        tmp_path / "in.mov", "-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le"
    )
    recolor(source, tmp_path / "out.mp4", grey)
    assert "its transparency is left out" in caplog.text


@pytest.mark.parametrize(
    ("pix_fmt", "encode", "expected"),
    [
        ("yuv422p10le", EncodeOptions(), ("h264", "yuv420p")),
        ("gray10le", EncodeOptions(), ("h264", "yuvj420p")),  # of full range
        ("yuv420p10le", EncodeOptions(bit_depth=10), ("h264", "yuv420p10le")),
        ("yuv420p10le", EncodeOptions("hevc"), ("hevc", "yuv420p10le")),
        ("yuv420p10le", EncodeOptions("hevc", bit_depth=8), ("hevc", "yuv420p")),
    ],
)
def test_what_becomes_of_ten_bits(tmp_path, caplog, pix_fmt, encode, expected):
    source = make_clip(
        tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt, "-vf", "setparams=range=tv"
    )
    recolor(source, tmp_path / "out.mp4", grey, encode=encode)
    clip = probe(tmp_path / "out.mp4")
    assert (clip.codec, clip.pix_fmt) == expected
    assert ("has 10 bits a sample" in caplog.text) == (clip.bit_depth == 8)


@pytest.mark.parametrize("bit_depth", [None, 8, 10])
def test_hdr_is_ten_bits_in_a_codec_that_players_show(tmp_path, caplog, bit_depth):
    tags = "setparams=color_trc=smpte2084:colorspace=bt2020nc:color_primaries=bt2020:range=tv"
    source = make_clip(
        tmp_path / "in.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p10le", "-vf", tags, frames=3
    )
    recolor(source, tmp_path / "out.mp4", grey, encode=EncodeOptions(bit_depth=bit_depth))
    clip = probe(tmp_path / "out.mp4")
    assert clip.is_hdr
    expected = ("hevc", 10) if bit_depth is None else ("h264", bit_depth)
    assert (clip.codec, clip.bit_depth) == expected
    assert ("it becomes HEVC" in caplog.text) == (bit_depth is None)
    if bit_depth is None:
        assert "hvc1" in facts(tmp_path / "out.mp4")
