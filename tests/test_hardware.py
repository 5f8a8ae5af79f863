"""Encoders of graphics cards, of which the machines that test have none.

An ffmpeg that stands in for one with NVIDIA's encoder gives that work to x264; what the real ones
make of their options only a machine that has them can show.
"""

import json
import re
import stat
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.pipeline import colorize_film, colorize_long_film, load_model
from colorizationnet.video import FrameWriter, VideoError, probe, read_luma
from colorizationnet.video.hardware import CODECS, MAKERS, format_of
from video_clips import luma_hashes, make_clip

REAL = imageio_ffmpeg.get_ffmpeg_exe()
NO_CARD = "libcuda|nvcuda|cuInit|MFX|amfrt|AMF|No capable devices"
STAND_IN = f"""#!{sys.executable}
import os, sys
arguments = sys.argv[1:]
if "h264_nvenc" in arguments:
    begin = arguments.index("h264_nvenc")
    asked, arguments = arguments, arguments[:begin] + ["libx264", "-preset", "ultrafast"]
    assert asked[begin + 1 : begin + 9] == [
        "-preset", "p5", "-tune", "hq", "-rc", "vbr", "-b:v:0", "0"
    ]
    assert asked[begin + 9] == "-cq:v:0" and asked[begin + 11 : begin + 13] == [
        "-pix_fmt:v:0", "+nv12"
    ]
    arguments += ["-crf", asked[begin + 10], *asked[begin + 11 :]]
elif any(name.endswith(("_nvenc", "_qsv", "_amf")) for name in arguments):
    sys.exit("[error] no such card")
os.execv({REAL!r}, [{REAL!r}, *arguments])
"""


@pytest.fixture
def nvidia(tmp_path, monkeypatch):
    """This machine as if it had NVIDIA's encoder of H.264."""
    path = tmp_path / "ffmpeg"
    path.write_text(STAND_IN)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.name)
@pytest.mark.parametrize("codec", CODECS)
def test_ffmpeg_knows_every_option(codec, maker):
    """It reads them before it looks for a graphics card."""
    entry = format_of(EncodeOptions(codec, encoder=f"{codec}_{maker.suffix}"))
    if entry.encoder not in _run("-encoders"):
        pytest.skip(f"this ffmpeg is built without {entry.encoder}")
    options = entry.encoder_options(None, "", pix_fmt="yuv420p")
    filters = ",".join(entry.repacking("yuv420p"))
    source = ["-f", "lavfi", "-i", "color=size=320x240:rate=25", "-frames:v", "2", "-vf", filters]
    said = _run("-v", "level+error", *source, *options, "-f", "null", "-")
    if not said:
        return  # there is such a card here
    assert re.search(NO_CARD, said) and not re.search("option|constant", said), said
    options[options.index(maker.quality) - 1] = "nonsense"
    assert not re.search(NO_CARD, _run(*source, *options, "-f", "null", "-"))


def _run(*arguments: str) -> str:
    done = subprocess.run([REAL, "-hide_banner", *arguments], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_graphics_card_encodes_where_it_can(nvidia, tmp_path, caplog):
    caplog.set_level("INFO", "colorizationnet")
    clip = make_clip(tmp_path / "clip.mp4", size="320x240", sound="0.1*sin(2764*t)")
    target = tmp_path / "film.mp4"
    encode = EncodeOptions(quality=1, encoder="hardware")
    assert colorize_film(clip, target, load_model(), encode=encode) == 10
    assert "by NVIDIA's graphics card (h264_nvenc)" in caplog.text
    made = probe(target)
    assert (made.frame_count, made.codec) == (10, "h264")
    before, after = (np.concatenate([*read_luma(path)]).astype(int) for path in (clip, target))
    assert abs(before - after).mean() < 1  # it is coded anew, in high quality


def test_a_long_film_has_one_encoder_in_all_its_parts(nvidia, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", "-g", "10", size="160x120", frames=90)
    whole, parts = tmp_path / "whole.mp4", tmp_path / "parts.mp4"
    encode = EncodeOptions(quality=1, encoder="hardware")
    colorize_film(clip, whole, load_model(), encode=encode)
    colorize_long_film(clip, parts, load_model(), encode=encode, length=30, from_length=60)
    assert probe(parts).frame_count == probe(whole).frame_count == 90


def test_frames_are_encoded_by_it_too(nvidia, tmp_path, caplog):
    caplog.set_level("INFO", "colorizationnet")
    frames = np.random.default_rng(0).integers(0, 255, (5, 144, 176, 3), np.uint8)
    target = tmp_path / "film.mp4"
    with FrameWriter(target, 176, 144, 25, EncodeOptions(encoder="hardware")) as writer:
        writer.write(frames)
    assert "h264_nvenc" in caplog.text
    assert probe(target).frame_count == 5


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"format": "ffv1"}, "No graphics card encodes such FFV1"),
        ({"format": "hevc"}, "No graphics card here encodes HEVC"),
        ({"format": "h264", "bit_depth": 10}, "No graphics card here encodes H.264"),
    ],
    ids=str,
)
def test_what_none_can_is_encoded_in_software(nvidia, tmp_path, caplog, options, why):
    clip = make_clip(tmp_path / "clip.mkv", size="64x48")
    found = []
    for encoder in ("software", "hardware"):
        target = tmp_path / f"{encoder}.mkv"
        encode = EncodeOptions(**options, encoder=encoder)
        colorize_film(clip, target, load_model(), encode=encode)
        found.append(luma_hashes(target))
    assert found[0] == found[1]
    assert why in caplog.text


def test_odd_sizes_are_encoded_in_software(nvidia, tmp_path, caplog):
    clip = make_clip(tmp_path / "clip.mkv", size="63x47", source="testsrc")
    target = tmp_path / "film.mp4"
    colorize_film(clip, target, load_model(), encode=EncodeOptions(encoder="hardware"))
    assert "No graphics card encodes such H.264" in caplog.text
    assert (probe(target).width, probe(target).height) == (63, 47)


def test_an_encoder_asked_for_by_name_must_be_there(nvidia, tmp_path):
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    target = tmp_path / "film.mp4"
    with pytest.raises(VideoError, match=r"h264_amf does not work here \(no such card\); choose"):
        FrameWriter(target, 64, 64, 25, EncodeOptions(encoder="h264_amf"))
    with pytest.raises(VideoError, match="'hevc_nvenc' is no encoder of H.264"):
        FrameWriter(target, 64, 64, 25, EncodeOptions(encoder="hevc_nvenc")).write(frames)
    assert not target.exists()


def test_a_quality_that_it_has_not_is_told(nvidia, tmp_path):
    with pytest.raises(VideoError, match="quality from 1 to 51, not 0"):
        FrameWriter(tmp_path / "a.mp4", 64, 64, 25, EncodeOptions("h264", 0, encoder="hardware"))


def test_the_command_line_and_the_record_know_it(nvidia, tmp_path):
    from colorizationnet.headless.cli import main

    clip = make_clip(tmp_path / "clip.mp4", size="64x48")
    target = tmp_path / "film.mp4"
    assert main(["colorize", str(clip), "-o", str(target), "--encoder", "hardware"]) == 0
    prompt = json.loads(probe(target).tags["prompt"])
    assert prompt["3"]["inputs"]["encoder"] == "hardware"
    assert main(["colorize", str(clip), "-o", "x.mp4", "--encoder", "hardware", "--ray", "x"]) == 2
