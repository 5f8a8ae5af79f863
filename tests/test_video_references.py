"""Files that name other files or a server are refused, whatever they are called."""

import socket
from contextlib import closing

import numpy as np
import pytest
from colorizationnet.headless import cli
from colorizationnet.headless.standin.clip import VideoFromFile
from colorizationnet.video import (
    VideoError,
    input_file,
    probe,
    read_audio,
    read_frames,
    read_luma,
    recolor,
)
from PIL import Image
from video_clips import each, facts, ffmpeg, frame_hashes, make_clip

DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT0.4S"
 minBufferTime="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">
<Period><AdaptationSet mimeType="video/mp4">
<Representation id="1" bandwidth="1000" width="64" height="48" codecs="avc1.64000a">
<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>
"""
HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><image href="{}"/></svg>'
TEXTS = {"dash": DASH, "hls": HLS, "concat": CONCAT, "sdp": SDP, "svg": SVG}


@each
def grey(luma, planes):
    plane = np.full((len(luma), *planes.chroma_size), 128 << planes.depth - 8, planes.dtype)
    return plane, plane


@pytest.fixture
def hidden(tmp_path):
    """A clip outside the folder of the hostile file, in a form that manifests can name."""
    (tmp_path / "hidden").mkdir()
    fragments = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof")
    return make_clip(tmp_path / "hidden" / "film.mp4", "-pix_fmt", "yuv420p", *fragments)


@pytest.fixture
def hostile(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()

    def write(kind, target, name="x.mp4"):
        path = folder / name
        path.write_text(TEXTS[kind].format(target))
        return path

    return write


def test_the_manifest_is_a_real_one(hidden, hostile):
    path = hostile("dash", f"file:{hidden}")
    if "Input #0, dash" not in facts(path):
        pytest.skip("this ffmpeg reads no DASH")
    assert "Video: h264" in facts(path)


@pytest.mark.parametrize("name", ["x.mp4", "x.m3u8"])
@pytest.mark.parametrize("way", ["file:{}", "../hidden/film.mp4"])
@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_that_names_others_is_no_clip(hidden, hostile, kind, way, name):
    path = hostile(kind, way.format(hidden), name)
    with pytest.raises(VideoError) as error:
        probe(path)
    assert str(path) in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("kind", ["dash", "concat"])
def test_it_is_said_what_to_do(hidden, hostile, kind):
    path = hostile(kind, f"file:{hidden}")
    with pytest.raises(VideoError, match="is a playlist, or .* convert it to MKV or MP4"):
        probe(path)


@pytest.mark.parametrize("kind", TEXTS)
def test_the_command_refuses_it(hidden, hostile, tmp_path, capsys, kind):
    path = hostile(kind, f"file:{hidden}")
    assert cli.main(["colorize", str(path), "-o", str(tmp_path / "out.mp4")]) != 0
    assert "x.mp4" in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("kind", TEXTS)
def test_nothing_is_asked_of_a_network(hostile, kind):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        for scheme in ("http", "tcp", "rtmp"):
            with pytest.raises(VideoError):
                probe(hostile(kind, f"{scheme}://{host}/film.mp4"))
        with pytest.raises(BlockingIOError):  # nobody has knocked
            listener.accept()


def test_a_clip_that_becomes_a_manifest_after_it_was_probed(hidden, hostile, tmp_path):
    path = tmp_path / "in" / "x.mp4"
    make_clip(path, "-pix_fmt", "yuv420p", sound="sin(440*t)")
    clip, video = probe(path), VideoFromFile(path)
    assert video.get_dimensions() == (64, 48)
    hostile("dash", f"file:{hidden}")
    for read in (read_frames, read_luma):
        with pytest.raises(VideoError):
            list(read(clip))
    with pytest.raises(VideoError):
        read_audio(clip)
    with pytest.raises(VideoError):
        recolor(clip, tmp_path / "out.mkv", grey)
    for options in ({}, {"codec": "h264", "crf": 30}):
        with pytest.raises(ValueError):
            video.save_to(tmp_path / "out.mp4", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hidden", "in"]


def test_a_name_with_a_pattern_reads_no_other_picture(tmp_path):
    for number in range(3):
        Image.new("RGB", (64, 48)).save(tmp_path / f"f{number:03}.png")
    (tmp_path / "f%03d.png").write_bytes(b"no picture")
    with pytest.raises(VideoError):
        probe(tmp_path / "f%03d.png")


def test_only_a_demuxer_that_was_asked_for_opens_a_file(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"f{number:03}.png")
    pattern = input_file(tmp_path / "f%03d.png", ["-framerate", "5"], demuxer="image2")
    listed = ffmpeg(*pattern, "-f", "framemd5", "-").decode()
    assert len([line for line in listed.splitlines() if not line.startswith("#")]) == 3


@pytest.mark.parametrize("name", ["concat:x.mp4", "http:x.mp4", "Film: part 2.mp4", "-x.mp4"])
def test_names_are_names(tmp_path, monkeypatch, name):
    make_clip(tmp_path / "plain.mp4", "-pix_fmt", "yuv420p").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).frame_count == 10
    VideoFromFile(name).save_to("copy.mkv")
    assert frame_hashes("copy.mkv") == frame_hashes(f"file:{tmp_path / name}")


def test_folders_whose_names_look_like_something_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "plain.mp4", "-pix_fmt", "yuv420p", frames=3).rename("Film: part 2.mp4")
    for folder in ("T12:30", "-out"):
        asked = ["colorize", "Film: part 2.mp4", f"--output={folder}/a.mp4", "--render-size", "32"]
        (tmp_path / folder).mkdir()
        assert cli.main(asked) == 0
        assert probe(f"{folder}/a.mp4").frame_count == 3
