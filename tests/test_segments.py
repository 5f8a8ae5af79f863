"""A long film in segments: equal to one piece, gone on with after any end, nothing done twice."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from colorizationnet.files import AtomicOutput
from colorizationnet.model import load_model
from colorizationnet.options import ColorOptions, EncodeOptions, FilmOptions, TeachOptions
from colorizationnet.pipeline import (
    ClipShots,
    Shot,
    VideoError,
    colorize_film,
    colorize_long_film,
    probe,
)
from colorizationnet.pipeline.segments import (
    FilmColors,
    FilmProgress,
    FilmWork,
    Segment,
    SegmentStore,
    SourceState,
    at_nearest,
    color_segments,
    even_boundaries,
    segments_between,
)
from colorizationnet.pipeline.segments.plan import from_json, likely_cuts, to_json
from colorizationnet.video import Part
from hypothesis import given
from hypothesis import strategies as st
from video_clips import chroma, ffmpeg, hidden_files, luma_hashes, make_clip, packets

MEADOW = Path(__file__).parents[1] / "workflows/samples/colorizationnet_meadow.mp4"
FFV1 = EncodeOptions("ffv1")


@pytest.fixture(scope="module")
def network():
    return load_model()


@pytest.fixture(scope="module")
def reel(tmp_path_factory):
    """Real film, small, there and back and in a mirror: 288 frames, cuts at 96 and 192."""
    path = tmp_path_factory.mktemp("reel") / "reel.mp4"
    graph = (
        "[0:v]scale=160:90,trim=end_frame=96,setpts=N/25/TB,split=3[a][b][c];"
        "[b]hflip,negate[d];[c]vflip,reverse[e];[a][d][e]concat=n=3[v]"
    )
    ffmpeg(
        *("-stream_loop", "3", "-i", MEADOW, "-f", "lavfi", "-i", "sine=d=11.52"),
        *("-filter_complex", graph, "-map", "[v]", "-map", "1:a", "-r", "25"),
        *("-frames:v", "288", "-pix_fmt", "yuv420p", "-crf", "12", path),
    )
    assert probe(path).frame_count == 288
    return path


@pytest.fixture(scope="module")
def one_piece(reel, network):
    target = reel.with_name("one.mkv")
    colorize_film(reel, target, network, encode=FFV1)
    return target


class Stop(Exception):
    pass


def stopped_after(count, target):
    """A ``check`` that ends the work once so many segments are there."""

    def check():
        if len(list(target.parent.glob(f".colorizationnet-film-*/0*{target.suffix}"))) >= count:
            raise Stop

    return check


@given(st.integers(0, 50), st.integers(1, 5000), st.integers(1, 700), st.data())
def test_segments_cover_a_film_once(start, count, length, data):
    frames = range(start, start + count)
    cuts = data.draw(st.lists(st.integers(start, start + count - 1), max_size=20))
    boundaries = at_nearest(even_boundaries(frames, length), cuts, length // 2)
    segments = segments_between(frames, boundaries)
    assert [f for segment in segments for f in segment.frames] == list(frames)
    assert {s.frames.start for s in segments if s.begins_at_cut} <= {start, *cuts}
    assert from_json(to_json(segments), frames) == segments
    for stability in (0, 0.5, 1):
        film = FilmOptions(stability)
        assert all(2 <= s.lead(film) <= 500 and 2 <= s.tail(film) < 24 for s in segments)


@pytest.mark.parametrize("text", ["", "{", "[[1]]", "[]", "[[9, true]]", "[[0, true], [99, true]]"])
def test_a_plan_that_is_none_is_made_anew(text):
    assert from_json(text, range(10)) is None


def test_a_film_in_segments_is_that_of_one_piece(tmp_path, reel, network, one_piece):
    target = tmp_path / "out.mkv"
    heard = []
    count = colorize_long_film(
        reel,
        target,
        network,
        encode=FFV1,
        length=50,
        from_length=100,
        on_progress=lambda done, total, preview=None: heard.append((done, total)),
    )
    assert count == 288 and heard[-1] == (288, 288)
    assert luma_hashes(target) == luma_hashes(one_piece) == luma_hashes(reel)
    assert packets(target, "0:a") == packets(one_piece, "0:a")
    assert (chroma(target) == chroma(one_piece)).all()
    assert not hidden_files(tmp_path)


@pytest.mark.slow
def test_boundaries_go_where_the_encoder_saw_a_cut(tmp_path, reel, network, one_piece):
    coded = tmp_path / "coded.mp4"
    ffmpeg("-i", reel, *("-map", "0", "-c:a", "copy", "-qp", "0", "-g", "60"), coded)
    clip = probe(coded)
    assert clip.key_frames.tolist() == [0, 60, 96, 156, 192, 252]
    assert likely_cuts(clip, range(clip.frame_count)) == [96, 192]
    assert likely_cuts(clip, range(100, 150)) == []
    even = make_clip(tmp_path / "even.mp4", "-g", "10", "-sc_threshold", "0", frames=45)
    assert probe(even).key_frames.tolist() == [0, 10, 20, 30, 40]
    alike = make_clip(tmp_path / "alike.mkv", "-c:v", "ffv1", frames=5)
    for path in (even, alike):
        assert likely_cuts(probe(path), range(5)) == []
    target = tmp_path / "out.mkv"
    how = {"encode": FFV1, "length": 85, "from_length": 100}  # 96 and 192 are near
    with pytest.raises(Stop):
        colorize_long_film(coded, target, network, **how, check=stopped_after(2, target))
    [folder] = hidden_files(tmp_path)
    assert (folder / "000000000-000000096.mkv").exists()
    colorize_long_film(coded, target, network, **how)
    assert luma_hashes(target) == luma_hashes(one_piece)
    assert (chroma(target) == chroma(one_piece)).all()


def colored_alone(segment, work, network, folder):
    """The chroma of a segment that another machine could have made."""
    store = SegmentStore(folder / "film.mkv", "key")
    store.open(work.frames)
    part = store.part(segment)
    color_segments(work, [segment], [part], FilmColors(network))
    assert luma_hashes(part.path)[1] == luma_hashes(work.clip.path)[1][slice_of(segment)]
    return chroma(part.path)


def slice_of(segment):
    return slice(segment.frames.start, segment.frames.stop)


@pytest.mark.slow
def test_a_segment_by_itself_is_as_in_the_whole(tmp_path, reel, network, one_piece):
    clip, whole = probe(reel), chroma(one_piece)
    frames = range(clip.frame_count)
    work = FilmWork(SourceState.of(reel), clip, frames, ColorOptions(), FilmOptions(), FFV1)
    for segment in segments_between(frames, {96: True, 192: True}):
        found = colored_alone(segment, work, network, tmp_path)
        assert (found == whole[slice_of(segment)]).all()
    # Within a take, of which it sees no more than it asks for; a cut makes all that follows equal.
    segment = Segment(range(250, 270), False, False)
    found = colored_alone(segment, work, network, tmp_path)
    assert np.abs(found - whole[slice_of(segment)]).max() <= 1


def test_frames_beside_a_segment_do_not_count(tmp_path, reel, network):
    clip, frames = probe(reel), range(60, 100)
    work = FilmWork(SourceState.of(reel), clip, frames, ColorOptions(), FilmOptions(), FFV1)
    shots = ClipShots(160, 90, 40, (Shot(0, (10,)),))
    keyframe = torch.rand(1, 90, 160, 3, generator=torch.Generator().manual_seed(1))
    colors = FilmColors.of(network, shots=shots, keyframes=keyframe, teaching=TeachOptions(steps=3))
    segment = Segment(range(70, 80), False, False)
    progress, confident = FilmProgress(None, 43), []
    color_segments(
        work,
        [segment],
        [Part(segment.frames, tmp_path / "part.mkv")],
        colors,
        progress=progress,
        on_confidence=lambda frame, known, error: confident.append(frame),
    )
    assert progress.done == 3 + 10
    assert confident == list(range(10, 20))


def test_only_shots_that_are_kept_are_taught(tmp_path, reel, network):
    clip = probe(reel)
    frames = range(clip.frame_count)
    shots = ClipShots(160, 90, len(frames), tuple(Shot(n, (n + 10,)) for n in (0, 96, 192)))
    keyframes = torch.rand(3, 90, 160, 3, generator=torch.Generator().manual_seed(1))
    how = {"shots": shots, "keyframes": keyframes, "teaching": TeachOptions(steps=3)}
    whole = tmp_path / "whole.mkv"
    colorize_film(reel, whole, network, encode=FFV1, **how)
    work = FilmWork(SourceState.of(reel), clip, frames, ColorOptions(), FilmOptions(), FFV1)
    segment, progress = Segment(range(96, 192), True, True), FilmProgress(None, 1000)
    part = Part(segment.frames, tmp_path / "part.mkv")
    color_segments(work, [segment], [part], FilmColors.of(network, **how), progress=progress)
    assert progress.done == 3 + 96
    assert (chroma(part.path) == chroma(whole)[slice_of(segment)]).all()


@pytest.mark.slow
def test_an_ended_run_is_gone_on_with(tmp_path, reel, network, one_piece, caplog):
    caplog.set_level("INFO")
    target = tmp_path / "out.mkv"
    how = {"encode": FFV1, "length": 50, "from_length": 100}
    with pytest.raises(Stop):
        colorize_long_film(reel, target, network, **how, check=stopped_after(2, target))
    [folder] = hidden_files(tmp_path)
    assert "are finished and kept in" in caplog.messages[-1] and not target.exists()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("0*.mkv")}
    assert len(kept) >= 2
    broken = min(kept)
    broken.write_bytes(broken.read_bytes()[:5000])
    at_first = []

    def look(done, total, preview=None):
        if not at_first:
            at_first.append(done)
            times = {path: path.stat().st_mtime_ns for path in kept if path.exists()}
            assert broken not in times and times.items() <= kept.items()

    colorize_long_film(reel, target, network, **how, on_progress=look)
    assert at_first[0] > 288 * (len(kept) - 1) // 6
    assert luma_hashes(target) == luma_hashes(one_piece)
    assert np.abs(chroma(target) - chroma(one_piece)).max() <= 1
    assert not hidden_files(tmp_path)


@pytest.mark.slow
def test_what_has_changed_is_done_anew(tmp_path, reel, network, caplog):
    caplog.set_level("INFO")
    source, target = tmp_path / "reel.mp4", tmp_path / "out.mkv"
    shutil.copy(reel, source)
    how = {"encode": FFV1, "length": 50, "from_length": 100}

    def begin(**more):
        caplog.clear()
        with pytest.raises(Stop):
            colorize_long_film(
                source, target, network, **how, **more, check=stopped_after(1, target)
            )
        [folder] = hidden_files(tmp_path)
        return folder

    first = begin()
    assert "have changed since" not in caplog.text
    second = begin(color=ColorOptions(saturation=0.5))
    assert "have changed since an earlier run" in caplog.text and second != first
    os.utime(source, ns=(1, 1))
    assert begin(color=ColorOptions(saturation=0.5)) != second
    assert "have changed since an earlier run" in caplog.text


def test_a_source_that_changes_meanwhile_gives_no_film(tmp_path, reel, network):
    source, target = tmp_path / "reel.mp4", tmp_path / "out.mkv"
    shutil.copy(reel, source)

    def touch(done, total, preview=None):
        os.utime(source, ns=(done, done))

    with pytest.raises(VideoError, match=r"reel\.mp4 has changed since its colouring began"):
        colorize_long_film(
            source, target, network, encode=FFV1, length=50, from_length=100, on_progress=touch
        )
    assert not target.exists()


def test_only_finished_segments_are_counted(tmp_path):
    store = SegmentStore(tmp_path / "film.MKV", "key")
    segments = segments_between(range(30), {10: False, 20: False})
    assert store.open(range(30)) is None
    store.plan(segments)
    for segment in segments[:2]:
        store.part(segment).path.write_bytes(bytes(1000))
    with AtomicOutput(store.part(segments[2]).path) as part:
        part.write_bytes(bytes(500))
        assert (store.count(), store.size()) == (2, 2000)
    assert (store.count(), store.size()) == (3, 2500)


def test_a_disk_that_will_be_full_is_told_in_time(tmp_path, reel, network, monkeypatch):
    target = tmp_path / "out.mkv"
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"the disk is too small, about \d.* more are needed"):
        colorize_long_film(reel, target, network, encode=FFV1, length=50, from_length=100)
    assert not target.exists()


def test_a_clip_that_cannot_be_decoded_whole_is_coloured_in_one_piece(tmp_path, network, caplog):
    """Each picture is a PNG; one, far behind what is looked at first, is torn."""
    caplog.set_level("INFO")
    source, target = tmp_path / "torn.mkv", tmp_path / "out.mkv"
    make_clip(source, "-c:v", "png", "-pix_fmt", "gray", frames=200)
    data = source.read_bytes()
    headers = [found.start() for found in re.finditer(b"IHDR", data)]
    source.write_bytes(data[: headers[130]] + b"torn" + data[headers[130] + 4 :])
    heard = []
    count = colorize_long_film(
        source,
        target,
        network,
        encode=FFV1,
        length=50,
        from_length=100,
        on_progress=lambda done, total, preview=None: heard.append((done, total)),
    )
    assert count == 199 == probe(target).frame_count and heard[-1] == (199, 200)
    assert any("torn.mkv is damaged" in said and "in one piece" in said for said in caplog.messages)
    assert any("1 frames are missing" in said for said in caplog.messages)
    colorize_film(source, tmp_path / "one.mkv", network, encode=FFV1)
    assert luma_hashes(target) == luma_hashes(tmp_path / "one.mkv")
    assert not hidden_files(tmp_path)


def test_what_cannot_be_written_is_said_before_it_is_coloured(tmp_path, reel, network):
    how = {"length": 50, "from_length": 100}
    (tmp_path / "out.mp4").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        colorize_long_film(reel, tmp_path / "out.mp4", network, **how)
    with pytest.raises(VideoError, match="does not exist"):
        colorize_long_film(reel, tmp_path / "no" / "out.mp4", network, **how)
    with pytest.raises(VideoError, match="takes a quality"):
        colorize_long_film(
            reel, tmp_path / "new.mp4", network, encode=EncodeOptions(quality=99), **how
        )
    assert not hidden_files(tmp_path) and (tmp_path / "out.mp4").read_bytes() == b"mine"


@pytest.mark.slow
def test_a_shot_is_taught_once(tmp_path, reel, network, monkeypatch, caplog):
    caplog.set_level("INFO")
    from colorizationnet.pipeline import teaching as room

    taught = []

    def teach(*arguments, **options):
        network = original(*arguments, **options)
        taught.append(len(arguments[1]))
        return network

    original = room.model.teach
    monkeypatch.setattr(room.model, "teach", teach)
    frames = range(66, 126)  # the cut is at 30
    keyframes = torch.rand(2, 90, 160, 3, generator=torch.Generator().manual_seed(1))
    how = {
        "encode": FFV1,
        "frames": frames,
        "shots": ClipShots(160, 90, 60, (Shot(0, (10,)), Shot(30, (50,)))),
        "keyframes": keyframes,
        "teaching": TeachOptions(steps=3),
    }
    colorize_film(reel, tmp_path / "one.mkv", network, **how)
    assert taught == [1, 1]
    target = tmp_path / "out.mkv"
    how |= {"length": 15, "from_length": 50}

    def stop_when_taught():
        if len(taught) == 3:
            raise Stop

    with pytest.raises(Stop):
        colorize_long_film(reel, target, network, **how, check=stop_when_taught)
    assert "networks are taught and kept in" in caplog.messages[-1]
    with pytest.raises(Stop):
        colorize_long_film(reel, target, network, **how, check=stopped_after(1, target))
    colorize_long_film(reel, target, network, **how)
    assert taught == [1, 1, 1, 1]
    assert luma_hashes(target) == luma_hashes(tmp_path / "one.mkv")
    assert np.abs(chroma(target) - chroma(tmp_path / "one.mkv")).mean() < 0.2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_command_goes_on_and_leaves_nothing(tmp_path):
    source = make_clip(
        tmp_path / "film.mp4", "-pix_fmt", "yuv420p", "-preset", "ultrafast", frames=400
    )
    code = """
import sys
from colorizationnet.headless import cli
from colorizationnet.pipeline.segments import film
film.colorize_long_film.__kwdefaults__ |= {"length": 50, "from_length": 200}
sys.exit(cli.main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "colorize", source, "-o", tmp_path / "out"]
    command += ["--format", "ffv1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as program:
        for _ in range(2400):
            if len(list(tmp_path.glob("out/.colorizationnet-film-*/0*.mkv"))) >= 2:
                break
            time.sleep(0.05)
        program.kill()
    left = sorted(path.name[:21] for path in hidden_files(tmp_path / "out"))
    assert left == [".colorizationnet-clai", ".colorizationnet-film"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"film\.mp4: 8 segments, [2-7] of them finished before, kept in", done.stderr)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["film-color.mkv"]
    assert luma_hashes(tmp_path / "out/film-color.mkv") == luma_hashes(source)
