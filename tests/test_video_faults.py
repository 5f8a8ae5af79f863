"""What is broken is said in one sentence, and nothing is lost or left behind."""

import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from colorizationnet.options import EncodeOptions
from colorizationnet.video import (
    FrameWriter,
    VideoError,
    probe,
    read_audio,
    read_frames,
    recolor,
)
from video_clips import each, ffmpeg, make_clip

NAMES = [
    "with space.mp4",
    'it\'s "quoted".mp4',
    "-y.mp4",
    "100%d %03d.mp4",
    "fïlm 映画 🎞.mp4",
    "two\nlines.mp4",
    "a:b=c,d;[e].mp4",
    "$(touch x) `y` & z.mp4",
    "x" * 240 + ".mp4",
]


class Stop(Exception):
    pass


@each
def grey(luma, planes):
    plane = np.full((len(luma), *planes.chroma_size), 128 << planes.depth - 8, planes.dtype)
    return plane, plane


@pytest.fixture
def processes(monkeypatch):
    """Every process started by the test, all of which must have ended when it is over."""
    started = []
    popen = subprocess.Popen

    def record(*arguments, **options):
        process = popen(*arguments, **options)
        started.append(process)
        return process

    monkeypatch.setattr("colorizationnet.video.ffmpeg.subprocess.Popen", record)
    yield started
    assert started
    assert all(process.poll() is not None for process in started)


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "in").mkdir()
    return make_clip(
        tmp_path / "in/clip.mp4",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        frames=30,
        sound="sin(2000*t)",
    )


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("name", NAMES)
def test_any_name_works(clip, out, name):
    source = out / name
    os.rename(clip, source)
    (out / "made").mkdir()
    target = out / "made" / name
    assert recolor(source, target, grey) == 30
    assert [path.name for path in (out / "made").iterdir()] == [name]
    assert probe(target).frame_count == 30
    assert read_audio(target)[0].shape[0] == 1

    sequence = out / "made" / name.removesuffix(".mp4")[:200]
    with FrameWriter(sequence, 64, 48, 25, EncodeOptions("png")) as writer:
        for frames in read_frames(target, frame_count=2):
            writer.write(frames)
    assert sorted(path.name for path in sequence.iterdir()) == ["000001.png", "000002.png"]


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "empty", "garbage", "text", "audio", "cover", "no frames"]
)
def test_no_video_is_one_sentence(tmp_path, kind):
    path = tmp_path / "clip.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(np.random.default_rng(1).bytes(50_000))
    elif kind == "text":
        path.write_text("This is not a film.\n" * 50)
    elif kind == "audio":
        ffmpeg("-f", "lavfi", "-i", "sine=d=1", path)
    elif kind == "cover":
        ffmpeg(
            "-f",
            "lavfi",
            "-i",
            "sine=d=1",
            "-f",
            "lavfi",
            "-i",
            "color=s=64x48",
            "-frames:v",
            "1",
            "-c:v",
            "png",
            "-disposition:v",
            "attached_pic",
            "-f",
            "mp4",
            path,
        )
    elif kind == "no frames":
        make_clip(tmp_path / "whole.mkv", "-pix_fmt", "yuv420p")
        whole = (tmp_path / "whole.mkv").read_bytes()
        path.write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75")])  # up to the first cluster
    with pytest.raises(VideoError) as error:
        probe(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(VideoError):
        list(read_frames(path))
    with pytest.raises(VideoError):
        recolor(path, tmp_path / "out.mkv", grey)
    assert not (tmp_path / "out.mkv").exists()


def test_playlists_do_not_reach_other_files(tmp_path, clip):
    playlist = tmp_path / "clip.mp4"
    for text in (
        f"ffconcat version 1.0\nfile '{clip}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n",
    ):
        playlist.write_text(text)
        with pytest.raises(VideoError):
            probe(playlist)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_truncated_clip_gives_what_it_holds(tmp_path, caplog, suffix):
    whole = make_clip(
        tmp_path / f"whole{suffix}",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "5",
        *(("-movflags", "+faststart") if suffix == ".mp4" else ()),
        frames=75,
    )
    path = tmp_path / f"clip{suffix}"
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with caplog.at_level(logging.WARNING):
        frames = np.concatenate(list(read_frames(path)))
    assert 20 < len(frames) < 75
    assert f"{75 - len(frames)} frames are missing" in caplog.text
    caplog.clear()
    count = recolor(path, tmp_path / "out.mkv", grey, encode=EncodeOptions("ffv1"))
    assert count == len(frames) == probe(tmp_path / "out.mkv").frame_count
    assert f"{75 - count} frames are missing" in caplog.text


def test_damage_in_the_middle(tmp_path, caplog):
    whole = make_clip(
        tmp_path / "whole.mkv", "-c:v", "mpeg4", "-g", "1", "-q:v", "2", frames=50, size="128x96"
    )
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 12_000] = bytes(12_000)
    path = tmp_path / "clip.mkv"
    path.write_bytes(data)
    count = recolor(path, tmp_path / "out.mp4", grey)
    assert 40 < count < 50
    assert probe(tmp_path / "out.mp4").frame_count == count
    assert f"{50 - count} frames are missing" in caplog.text
    assert probe(tmp_path / "out.mp4").duration == pytest.approx(2, abs=0.05)


def test_size_change_is_said(tmp_path, processes):
    one = make_clip(tmp_path / "1.ts", "-pix_fmt", "yuv420p", size="64x48")
    two = make_clip(tmp_path / "2.ts", "-pix_fmt", "yuv420p", size="96x64")
    path = tmp_path / "clip.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(VideoError, match="changes its size from 64x48 to 96x64"):
        recolor(path, tmp_path / "out.mp4", grey)
    assert not list(tmp_path.glob("*out*")) and not list(tmp_path.glob(".*"))
    with pytest.raises(VideoError, match="changes its size"):
        list(read_frames(path))


@pytest.mark.parametrize("where", ["colour", "on_progress", "check"])
def test_cancel_leaves_nothing(clip, out, processes, where):
    calls, closed = [], []

    def stop(*_):
        calls.append(1)
        if len(calls) > 2:
            raise Stop

    def colour(batches, planes):
        try:
            for planes_of_batch in grey(batches, planes):
                if where == "colour":
                    stop()
                yield planes_of_batch
        finally:
            closed.append(True)

    hooks = {where: stop} if where != "colour" else {}
    with pytest.raises(Stop):
        recolor(clip, out / "clip.mp4", colour, **hooks)
    assert closed
    assert list(out.iterdir()) == []


def too_few(luma, planes):
    yield from [next(grey(luma, planes))]


def half(luma, planes):
    yield from list(grey(luma, planes))[:4]


def none(luma, planes):
    yield from ()


def too_many(luma, planes):
    made = list(grey(luma, planes))
    yield from made + made[:1]


def too_early(luma, planes):
    plane = np.zeros((4, *planes.chroma_size), planes.dtype)
    yield plane, plane


@each
def of_full_size(luma, planes):
    return luma, luma


@each
def of_one_frame(luma, planes):
    plane = np.zeros((1, *planes.chroma_size), planes.dtype)
    return plane, plane


@each
def of_floats(luma, planes):
    plane = np.zeros((len(luma), *planes.chroma_size), np.float32)
    return plane, plane


@pytest.mark.parametrize(
    ("colour", "match"),
    [
        (too_few, "ended after 4 of 30 frames"),
        (half, "ended after 16 of 30 frames"),
        (none, "ended after 0 of 30 frames"),
        (too_many, "more batches than it was given"),
        (too_early, "more batches than it was given"),
        (of_full_size, r"\(4, 48, 64\) uint8 where \(4, 24, 32\) uint8 belongs"),
        (of_one_frame, r"\(1, 24, 32\) uint8 where \(4, 24, 32\) uint8 belongs"),
        (of_floats, r"\(4, 24, 32\) float32 where \(4, 24, 32\) uint8 belongs"),
    ],
)
def test_colour_that_does_not_fit_is_said(clip, out, processes, colour, match):
    with pytest.raises(ValueError, match=match):
        recolor(clip, out / "clip.mp4", colour)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_cancel_is_heard_while_the_encoder_takes_nothing(tmp_path, out, processes):
    options = ("-pix_fmt", "yuv420p", "-preset", "ultrafast")
    clip = make_clip(tmp_path / "in.mkv", *options, size="640x360", frames=60)
    calls = []

    def colour(batches, planes):
        processes[-2].send_signal(signal.SIGSTOP)
        yield from grey(batches, planes)

    def check():
        calls.append(1)
        if len(calls) == 20:
            raise Stop

    with pytest.raises(Stop):
        recolor(clip, out / "clip.mp4", colour, check=check)
    assert list(out.iterdir()) == []


def test_cancel_is_heard_while_the_encoder_ends(out, processes):
    source = make_clip(
        out.parent / "in.mkv",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "ultrafast",
        size="640x360",
        frames=40,
    )
    done = []

    def check():
        if done and done[-1] == 40:
            raise Stop

    with pytest.raises(Stop):
        recolor(
            source,
            out / "clip.mp4",
            grey,
            check=check,
            on_progress=lambda count, total: done.append(count),
        )
    assert list(out.iterdir()) == []


def test_exception_between_frames_leaves_nothing(out, processes):
    with pytest.raises(Stop), FrameWriter(out / "clip.mp4", 64, 48, 25) as writer:
        writer.write(np.zeros((3, 48, 64, 3), np.uint8))
        raise Stop
    assert list(out.iterdir()) == []
    with (
        pytest.raises(Stop),
        FrameWriter(out / "frames", 64, 48, 25, EncodeOptions("png")) as writer,
    ):
        writer.write(np.zeros((3, 48, 64, 3), np.uint8))
        raise Stop
    assert list(out.iterdir()) == []


def test_check_cancels_the_writer(out, processes):
    def check():
        raise Stop

    with pytest.raises(Stop), FrameWriter(out / "clip.mp4", 64, 48, 25, check=check) as writer:
        writer.write(np.zeros((3, 48, 64, 3), np.uint8))
    assert list(out.iterdir()) == []


def test_reader_that_is_left_ends_its_process(clip, processes):
    frames = read_frames(clip, batch_size=2)
    next(frames)
    frames.close()


def test_killed_encoder_is_said(clip, out, processes):
    def kill_encoder(batches, planes):
        processes[-2].kill()  # the decoder is started last
        return grey(batches, planes)

    with pytest.raises(VideoError, match="clip.mp4 could not be written: .*killed by SIGKILL"):
        recolor(clip, out / "clip.mp4", kill_encoder)
    assert list(out.iterdir()) == []


def test_encoder_that_fails_while_all_is_read_ahead_is_said(clip, out, processes):
    def colour(batches, planes):
        chroma = list(grey(batches, planes))
        processes[-2].kill()
        yield from chroma

    with pytest.raises(VideoError, match="clip.mp4 could not be written"):
        recolor(clip, out / "clip.mp4", colour)
    assert list(out.iterdir()) == []


def test_killed_writer_is_said(out, processes):
    with (
        pytest.raises(VideoError, match="could not be written"),
        FrameWriter(out / "clip.mp4", 640, 480, 25) as writer,
    ):
        processes[-1].kill()
        writer.write(np.zeros((30, 480, 640, 3), np.uint8))
    assert list(out.iterdir()) == []


def test_killed_decoder_is_said(tmp_path, out, processes):
    source = make_clip(
        tmp_path / "in.mkv",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "ultrafast",
        size="640x360",
        frames=100,
    )

    def kill_decoder(batches, planes):
        processes[-1].kill()
        return grey(batches, planes)

    with pytest.raises(VideoError, match="in.mkv.*broke off"):
        recolor(source, out / "clip.mp4", kill_decoder)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_file_that_cannot_grow_is_said(clip, out, processes):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with (
            pytest.raises(VideoError, match="clip.mkv could not be written"),
            FrameWriter(out / "clip.mkv", 64, 48, 25, EncodeOptions("ffv1")) as writer,
        ):
            noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
            writer.write(noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_kill_of_the_program_leaves_no_process_and_no_clip(tmp_path, out):
    source = make_clip(
        tmp_path / "in.mkv",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "ultrafast",
        size="640x360",
        frames=250,
    )
    script = (
        "import sys, time, numpy as np\n"
        "from colorizationnet.video import recolor\n"
        "def slow(batches, planes):\n"
        "    for luma in batches:\n"
        "        print('working', flush=True); time.sleep(0.1)\n"
        "        plane = np.full((len(luma), *planes.chroma_size), 128, planes.dtype)\n"
        "        yield plane, plane\n"
        "recolor(sys.argv[1], sys.argv[2], slow)\n"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script, str(source), str(out / "clip.mp4")],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    program.stdout.readline()
    program.send_signal(signal.SIGKILL)
    program.wait()
    group = program.pid
    for _ in range(100):  # its children see their pipes end
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("an ffmpeg outlives the program")
    assert not (out / "clip.mp4").exists()


def test_parts_of_killed_programs_go_a_day_later(clip, out):
    old, new, sequence = (out / f".colorizationnet-{i}.part.mp4" for i in range(3))
    other = out / ".part"
    sequence.mkdir()
    for path in (old, new, other, sequence / "000001.png"):
        path.touch()
    for path in (old, other, sequence):
        os.utime(path, (time.time() - 90_000,) * 2)
    recolor(clip, out / "clip.mp4", grey)
    assert sorted(out.iterdir()) == [new, other, out / "clip.mp4"]


def test_sound_of_too_many_channels_is_said(tmp_path, out):
    source = make_clip(
        tmp_path / "in.mkv",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "pcm_s16le",
        sound="|".join(["sin(900*t)"] * 12),
    )
    with pytest.raises(VideoError, match="12 channels"):
        recolor(source, out / "clip.mp4", grey)
    recolor(source, out / "clip.mkv", grey)
    assert probe(out / "clip.mkv").audio[0].channels == 12


def test_nothing_is_overwritten(clip, out):
    target = out / "clip.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="clip.mp4"):
        recolor(clip, target, grey)
    with pytest.raises(FileExistsError):
        FrameWriter(target, 64, 48, 25)
    assert target.read_bytes() == b"precious"
    with pytest.raises(Stop):
        recolor(
            clip,
            target,
            grey,
            encode=EncodeOptions(overwrite=True),
            on_progress=lambda *_: (_ for _ in ()).throw(Stop),
        )
    assert target.read_bytes() == b"precious"
    recolor(clip, target, grey, encode=EncodeOptions(overwrite=True))
    assert probe(target).frame_count == 30


def test_file_that_appears_meanwhile_is_kept(clip, out):
    target = out / "clip.mp4"
    with pytest.raises(FileExistsError):
        recolor(clip, target, grey, on_progress=lambda *_: target.write_bytes(b"precious"))
    assert target.read_bytes() == b"precious"
    assert list(out.iterdir()) == [target]


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("out.avi", {}, ".mp4 or .mov or .mkv"),
        ("out.webm", {"format": "ffv1"}, ".mkv"),
        ("out.mp4", {"quality": 99}, "from 0 to 51"),
        ("out.gif", {"format": "gif"}, "GIF"),
        ("nowhere/out.mp4", {}, "does not exist"),
    ],
)
def test_wrong_wishes_are_one_sentence(clip, out, name, options, match):
    with pytest.raises(VideoError, match=match):
        recolor(clip, out / name, grey, encode=EncodeOptions(**options))
    assert list(out.iterdir()) == []


def test_empty_writer_and_wrong_frames(out, processes):
    with pytest.raises(VideoError, match="no frames"), FrameWriter(out / "a.mp4", 64, 48, 25):
        pass
    for frames in (
        np.zeros((1, 48, 64, 4), np.uint8),
        np.zeros((1, 64, 48, 3), np.uint8),
        np.zeros((1, 48, 64, 3), np.uint16),
        np.zeros((48, 64, 3), np.uint8),
    ):
        with (
            pytest.raises(ValueError, match="Expected frames"),
            FrameWriter(out / "a.mp4", 64, 48, 25) as writer,
        ):
            writer.write(frames)
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_is_closed_is_said(clip, out):
    out.chmod(0o500)
    with pytest.raises(VideoError, match="Permission denied"):
        recolor(clip, out / "clip.mp4", grey)


def test_a_clip_that_is_cut_off_while_it_is_read(tmp_path):
    path = make_clip(
        tmp_path / "clip.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="320x240", frames=300
    )
    size = path.stat().st_size

    def cutting(batches, planes):
        for number, luma in enumerate(batches):
            if number == 3:
                os.truncate(path, size // 2)
            plane = np.full((len(luma), *planes.chroma_size), 128, planes.dtype)
            yield plane, plane

    with pytest.raises(VideoError, match=r"clip.mkv changed while .*: \d+ frames could not"):
        recolor(path, tmp_path / "out.mkv", cutting)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_errors_in_pictures_are_told_of(tmp_path, caplog, suffix):
    path = make_clip(tmp_path / f"clip{suffix}", "-pix_fmt", "yuv420p", size="320x240", frames=50)
    assert recolor(path, tmp_path / "whole.mkv", grey) == 50
    assert "is damaged" not in caplog.text
    content = bytearray(path.read_bytes())
    for place in np.random.default_rng(0).integers(8000, len(content) - 8000, 100):
        content[place] ^= 0x55
    path.write_bytes(content)
    missing = 50 - recolor(path, tmp_path / "out.mkv", grey)
    told = f"or cut off: {missing} frames are missing" if missing else "ffmpeg met"
    assert f"{path} is damaged" in caplog.text and told in caplog.text


@pytest.mark.parametrize(("lost", "more"), [(1, 0), (40, 1)])
def test_packets_that_a_ts_has_lost_are_told_of(tmp_path, caplog, lost, more):
    """A receiver drops packets of 188 bytes; nothing of it need be an error to a decoder."""
    path = make_clip(
        tmp_path / "in.ts", "-pix_fmt", "yuv420p", "-b:v", "2M", size="320x240", frames=50
    )
    packets = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 188)
    middle = len(packets) // 2
    path.write_bytes(np.delete(packets, slice(middle, middle + lost), axis=0).tobytes())
    count = recolor(path, tmp_path / "out.mkv", grey)
    missing = probe(path).missing_frames + probe(path).frame_count - count
    assert "is damaged" in caplog.text and missing >= more
    if missing:
        assert f"{missing} frames are missing" in caplog.text


def test_only_the_part_that_was_asked_for_must_be_whole(tmp_path, caplog):
    whole = make_clip(tmp_path / "whole.mkv", "-pix_fmt", "yuv420p", "-g", "5", frames=75)
    path = tmp_path / "clip.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    recolor(path, tmp_path / "part.mkv", grey, frames=range(5, 15))
    assert "damaged" not in caplog.text
    recolor(path, tmp_path / "out.mkv", grey)
    assert "damaged" in caplog.text


def test_empty_packets_are_no_frames(tmp_path, caplog):
    """Theora writes one where a picture is shown on."""
    path = tmp_path / "in.ogv"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=2,fps=25", "-pix_fmt", "yuv420p"),
        *("-c:v", "libtheora", "-q:v", "8", path),
    )
    clip = probe(path)
    assert clip.frame_count < 50
    assert recolor(clip, tmp_path / "out.mkv", grey) == clip.frame_count
    assert "damaged" not in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="pipes have a size of their own elsewhere")
def test_a_user_who_may_have_no_more_large_pipes_is_served(clip, out, monkeypatch):
    """Linux lets a user have 64 MiB of pipes, which many workers at once use up."""
    import fcntl

    plain = fcntl.fcntl

    def refuse(fd, command, *arguments):
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError(1, "Operation not permitted")
        return plain(fd, command, *arguments)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert recolor(clip, out / "out.mkv", grey) == 30
