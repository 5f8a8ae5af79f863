"""Films and photos on a small Ray cluster of this machine: two nodes of one CPU each."""

import argparse
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from colorizationnet.headless import cli, colorize
from colorizationnet.headless.claims import claimed
from colorizationnet.headless.cluster import Engine, Report, connected
from colorizationnet.headless.cluster import nodes as nodes_of
from colorizationnet.headless.cluster.engine import gpu_share
from colorizationnet.headless.cluster.nodes import Node, check_nodes, check_room, slots_of
from colorizationnet.headless.cluster.planner import segment_length
from colorizationnet.headless.jobs import Begun, FilmRequest, Job
from colorizationnet.headless.painter import Painter
from colorizationnet.headless.sources import Source
from colorizationnet.options import ColorOptions, EncodeOptions, FilmOptions, TeachOptions
from colorizationnet.pipeline import (
    ClipShots,
    Shot,
    VideoError,
    colorize_film,
    colorize_long_film,
    load_model,
    probe,
)
from colorizationnet.version import pack_version
from colorizationnet.video import versions
from PIL import Image
from video_clips import chroma, ffmpeg, hidden_files, luma_hashes, make_clip, packets

MEADOW = Path(__file__).parents[1] / "workflows/samples/colorizationnet_meadow.mp4"
FFV1 = EncodeOptions("ffv1")
FRAMES = 240


@pytest.fixture(scope="module")
def cluster():
    """Two nodes, one of which says that it has a GPU, and the driver's connection to them."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install ray)")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    try:
        cluster = Cluster(
            initialize_head=True, head_node_args={**small, "include_dashboard": False}
        )
        cluster.add_node(**small, num_gpus=1)
    except Exception as error:
        pytest.skip(f"a local Ray cluster does not start here ({error})")
    cluster.small = small
    with connected(cluster.address) as cluster.ray:
        yield cluster
    cluster.shutdown()
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def network():
    return load_model()


@pytest.fixture(scope="module")
def reel(tmp_path_factory):
    """Real film, small, there and back: with sound and a title."""
    path = tmp_path_factory.mktemp("reel") / "reel.mp4"
    graph = "[0:v]scale=128:72,trim=end_frame=120,setpts=N/25/TB,split[a][b];"
    graph += "[b]hflip,reverse[c];[a][c]concat[v]"
    ffmpeg(
        *("-stream_loop", "4", "-i", MEADOW, "-f", "lavfi", "-i", f"sine=d={FRAMES / 25}"),
        *("-filter_complex", graph, "-map", "[v]", "-map", "1:a", "-r", "25", "-crf", "12"),
        *("-frames:v", FRAMES, "-pix_fmt", "yuv420p", "-metadata", "title=Meadow", path),
    )
    assert probe(path).frame_count == FRAMES
    return path


@pytest.fixture(scope="module")
def one_piece(reel, network):
    target = reel.with_name("one.mkv")
    colorize_film(reel, target, network, encode=FFV1)
    return target


def painter_of(*arguments):
    parser = argparse.ArgumentParser()
    colorize.add_parser(parser.add_subparsers())
    painter = Painter(parser.parse_args(["colorize", "x", *arguments]))
    painter.load()
    return painter


def color(cluster, source, target, *, heard=None, painter=None, **options):
    """The outcome and the report of one film."""
    painter = painter or painter_of("--format", "ffv1", "--no-metadata")
    job = Job(Source(source, is_clip=True), target)
    report = Report()

    def on_progress(begun, done, total):
        if heard:
            heard(report, done, total)

    with Engine(cluster.ray, painter, report, least=30, **options) as engine:
        [(_, outcome)] = engine.color(iter([Begun(job, False)]), 1, on_progress)
    return outcome, report


def check_equal(target, one_piece):
    """As in one piece, but for chroma after a segment's run-in, which may be a level off."""
    assert luma_hashes(target) == luma_hashes(one_piece)
    assert packets(target, "0:a") == packets(one_piece, "0:a")
    assert probe(target).tags == probe(one_piece).tags
    assert np.abs(chroma(target) - chroma(one_piece)).max() <= 1


def segments(report):
    return [piece.name for piece in report.pieces if piece.kind == "segment"]


def test_a_film_is_that_of_one_piece(cluster, tmp_path, reel, one_piece):
    heard = []
    outcome, report = color(
        cluster, reel, tmp_path / "out.mkv", heard=lambda report, *now: heard.append(now)
    )
    assert outcome.error is None and not outcome.is_incomplete
    check_equal(tmp_path / "out.mkv", one_piece)
    assert not hidden_files(tmp_path)
    assert len(set(segments(report))) == len(segments(report)) == 6
    assert sum(frames for frames, _ in report.by_node().values()) == FRAMES
    assert len(report.by_node()) == 2 and report.retries == 0 == report.bytes_moved
    assert all(0 <= done <= total == FRAMES for done, total in heard)


def test_without_a_shared_disk_files_travel(cluster, tmp_path, reel, one_piece):
    outcome, report = color(cluster, reel, tmp_path / "out.mkv", carry=True)
    assert outcome.error is None
    check_equal(tmp_path / "out.mkv", one_piece)
    assert not hidden_files(tmp_path)
    brought = sum(piece.bytes_in for piece in report.pieces)
    assert brought == reel.stat().st_size  # once, for both nodes are of one machine
    assert sum(piece.bytes_out for piece in report.pieces) > brought
    carried = list(Path(tempfile.gettempdir()).glob("colorizationnet-carried-*/*/*/reel.mp4"))
    assert not carried


@pytest.mark.slow
def test_a_killed_worker_costs_a_segment_at_most(cluster, tmp_path, reel, one_piece):
    killed = []

    def kill(report, done, total):
        done = {piece.task for piece in report.pieces}
        at_work = [pid for task, _, pid, _ in report.attempts if task not in done]
        # Once more, should the task have ended in the meantime.
        if done and at_work and at_work[-1] not in killed and not report.retries:
            killed.append(at_work[-1])
            with suppress(ProcessLookupError):
                os.kill(killed[-1], signal.SIGKILL)

    outcome, report = color(cluster, reel, tmp_path / "out.mkv", heard=kill)
    assert killed and outcome.error is None and report.retries
    check_equal(tmp_path / "out.mkv", one_piece)
    assert len(segments(report)) <= 6 + len(killed)


@pytest.mark.slow
def test_a_node_that_goes_is_done_without(cluster, tmp_path, reel, one_piece):
    node = cluster.add_node(**cluster.small)
    removed = []

    def remove(report, done, total):
        begun = [name for _, name, *_ in report.attempts if name.endswith(node.node_id[:6])]
        if begun and not removed:
            removed.append(begun)
            cluster.remove_node(node, allow_graceful=False)

    outcome, report = color(cluster, reel, tmp_path / "out.mkv", heard=remove)
    assert removed and outcome.error is None
    check_equal(tmp_path / "out.mkv", one_piece)
    assert len(segments(report)) <= 8


def test_a_stopped_run_is_gone_on_with_alone(cluster, tmp_path, reel, one_piece, network):
    class Stop(Exception):
        pass

    def stop(report, done, total):
        if segments(report):
            raise Stop

    target = tmp_path / "out.mkv"
    with pytest.raises(Stop):
        color(cluster, reel, target, heard=stop)
    [store] = hidden_files(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in store.glob("0*.mkv")}
    assert kept and not list(store.glob(".*"))
    seen = []

    def look(done, total, preview=None):
        seen.append(all(path.stat().st_mtime_ns == time for path, time in kept.items()))

    colorize_long_film(reel, target, network, encode=FFV1, on_progress=look)
    assert seen[0]
    check_equal(target, one_piece)
    assert not hidden_files(tmp_path)


@pytest.mark.slow
def test_a_signal_cancels_the_tasks_and_leaves_segments(cluster, tmp_path, reel):
    code = "import sys; from colorizationnet.headless import cli"
    code += "\nfrom colorizationnet.headless.cluster.engine import Engine"
    code += "\nEngine.__init__.__kwdefaults__['least'] = 30\nsys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "colorize", reel, "-o", tmp_path / "out.mkv"]
    command += ["--format", "ffv1", "--ray", cluster.address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        while not list(tmp_path.glob(".colorizationnet-film-*/0*.mkv")):
            assert program.poll() is None, program.communicate()
            time.sleep(0.05)
        program.send_signal(signal.SIGTERM)
        _, said = program.communicate(timeout=60)
    assert program.returncode == 143 and said.splitlines()[-1] == "Stopped."
    assert "the same command goes on from them" in said
    [store] = hidden_files(tmp_path)
    assert list(store.glob("0*.mkv")) and not list(store.glob(".*"))


class Keyed(Painter):
    """Two shots, each with a coloured keyframe."""

    def film(self, job, overwrite):
        clip = probe(job.source.path)
        shots = ClipShots(128, 72, 60, (Shot(0, (10,)), Shot(30, (50,))))
        keyframes = list(torch.rand(2, 72, 128, 3, generator=torch.Generator().manual_seed(1)))
        film = (clip, range(90, 150), ColorOptions(), FilmOptions(), FFV1)
        return FilmRequest(*film, shots, keyframes, teaching=TeachOptions(steps=3))


@pytest.mark.slow
def test_a_shot_is_taught_once_and_shared(cluster, tmp_path, reel, network):
    painter = painter_of("--format", "ffv1")
    painter.__class__ = Keyed
    request = painter.film(Job(Source(reel, is_clip=True), tmp_path / "x.mkv"), False)
    outcome, report = color(cluster, reel, tmp_path / "out.mkv", painter=painter)
    assert outcome.error is None
    taught = [piece.name for piece in report.pieces if piece.kind == "teaching"]
    assert set(taught) == {"shot 0", "shot 1"}
    assert len(taught) == 2 or report.retries
    how = {
        "frames": request.frames,
        "shots": request.shots,
        "keyframes": request.keyframes,
        "teaching": request.teaching,
    }
    colorize_film(reel, tmp_path / "one.mkv", network, encode=FFV1, **how)
    assert luma_hashes(tmp_path / "out.mkv") == luma_hashes(tmp_path / "one.mkv")
    assert np.abs(chroma(tmp_path / "out.mkv") - chroma(tmp_path / "one.mkv")).mean() < 0.2


def test_a_source_that_changes_meanwhile_gives_no_film(cluster, tmp_path, reel):
    source = tmp_path / "film.mp4"
    shutil.copy(reel, source)
    outcome, _ = color(
        cluster, source, tmp_path / "out.mkv", heard=lambda *_: os.utime(source, ns=(1, 1))
    )
    assert isinstance(outcome.error, VideoError)
    assert str(outcome.error) == (
        f"{source} has changed since its colouring began; start again once it is whole."
    )
    assert not (tmp_path / "out.mkv").exists()


def test_a_film_that_turns_out_damaged_is_coloured_whole(cluster, tmp_path, network):
    """Each picture is a PNG; one, far behind what is looked at first, is torn."""
    source = tmp_path / "torn.mkv"
    make_clip(source, "-c:v", "png", "-pix_fmt", "gray", frames=200)
    data = source.read_bytes()
    headers = [found.start() for found in re.finditer(b"IHDR", data)]
    source.write_bytes(data[: headers[130]] + b"torn" + data[headers[130] + 4 :])
    outcome, report = color(cluster, source, tmp_path / "out.mkv")
    assert outcome.error is None and outcome.is_incomplete
    colorize_film(source, tmp_path / "one.mkv", network, encode=FFV1)
    assert luma_hashes(tmp_path / "out.mkv") == luma_hashes(tmp_path / "one.mkv")
    assert not hidden_files(tmp_path)


class OnFullDisk(Painter):
    def paint(self, job, overwrite, on_progress=None, into=None):
        raise OSError(errno.ENOSPC, "No space left on device", str(into))


def test_a_full_disk_of_a_node_is_told_with_its_name(cluster, album):
    painter = painter_of()
    painter.__class__ = OnFullDisk
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    job = Job(Source(album / "0.png"), Path("out.png"))
    with Engine(cluster.ray, painter) as engine:
        [(_, outcome)] = engine.color(iter([Begun(job, False)]))
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert isinstance(outcome.error, OSError) and outcome.error.errno == errno.ENOSPC
    assert re.fullmatch(r"out\.png on the node \S+", outcome.error.filename)
    assert not hidden_files(Path.cwd())


class OnBadDisk(Painter):
    """The first photo is damaged, and its result cannot be delivered."""

    def paint(self, job, overwrite, on_progress=None, into=None):
        if job.source.path.name == "0.png":
            self.damaged.append(job.source.path)
            self.incomplete.append(job.target)
            raise OSError(errno.EIO, "Input/output error", str(into))
        return "left"


def test_what_fails_leaves_nothing_on_the_next_of_its_bundle(cluster, album):
    painter = painter_of()
    painter.__class__ = OnBadDisk
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    jobs = [Job(Source(album / f"{number}.png"), Path(f"{number}.png")) for number in range(4)]
    with Engine(cluster.ray, painter) as engine:
        begun = [Begun(job, False) for job in jobs]
        outcomes = {one.job.target.name: outcome for one, outcome in engine.color(iter(begun), 99)}
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert outcomes.pop("0.png").error.errno == errno.EIO
    assert len(outcomes) == 3
    assert not any(found.is_damaged or found.is_incomplete for found in outcomes.values())


@pytest.fixture
def album(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("album/more").mkdir(parents=True)
    for number in range(5):
        Image.linear_gradient("L").rotate(30 * number).save(f"album/{number}.png")
    Image.linear_gradient("L").save("album/more/deep.tif")
    Path("album/broken.png").write_bytes(Path("album/0.png").read_bytes()[:60])
    return Path("album")


def check_same_pictures(folder, other):
    """Within a level: sums on another number of threads differ in the last bit."""
    for path in Path(folder).rglob("*-color.*"):
        with Image.open(path) as one, Image.open(Path(other, *path.parts[1:])) as two:
            difference = np.asarray(one).astype(int) - np.asarray(two).astype(int)
            assert np.abs(difference).max() <= 1 and one.info.keys() == two.info.keys()


def test_photos_are_done_as_by_one_machine(cluster, album, capsys, caplog):
    def run(output, *arguments):
        caplog.clear()
        code = cli.main(["colorize", str(album), "-o", output, "--no-metadata", *arguments])
        errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
        return code, capsys.readouterr().out.replace(output, "out").splitlines(), errors

    alone = run("alone")
    code, saved, errors = run("together", "--ray", cluster.address, "--ray-report", "report.json")
    assert (code, sorted(saved), errors) == (alone[0], sorted(alone[1]), alone[2])
    assert len(saved) == 6 and len(errors) == 1
    check_same_pictures("alone", "together")
    assert [p.name for name in ("together", "alone") for p in hidden_files(Path(name))] == [
        ".colorizationnet.jsonl"
    ] * 2
    assert '"kind": "photo"' in Path("report.json").read_text()
    code, saved, _ = run("together", "--ray", cluster.address)
    assert not saved and "6 already there" in caplog.text
    code, saved, errors = run("sent", "--ray", cluster.address, "--ray-send")
    assert (code, sorted(saved), errors) == (alone[0], sorted(alone[1]), alone[2])
    check_same_pictures("alone", "sent")


def test_two_drivers_do_not_do_one_film(cluster, tmp_path, reel, capsys):
    target = tmp_path / "out.mkv"
    with claimed(target):
        code = cli.main(["colorize", str(reel), "-o", str(target), "--ray", cluster.address])
    assert code == 1
    assert f"Another process is at work on {target}." in capsys.readouterr().err


def test_a_report_replaces_none_but_a_report(album, capsys):
    notes, report = Path("notes.json"), Path("report.json")
    notes.write_text('{"pieces": "of cake"}')
    command = ["colorize", "album/0.png", "--ray", "127.0.0.1:9", "--ray-report"]
    for name, words in [("notes.json", "is there already"), ("gone/r.json", "does not exist")]:
        assert cli.main([*command, name]) == 2
        assert words in capsys.readouterr().err
    assert notes.read_text() == '{"pieces": "of cake"}'
    Report().write(report)
    Report(notes={"second": 2.0}).write(report)
    assert "second" in report.read_text()
    for name in ("report.json", "new.json"):
        assert cli.main([*command, name]) == 2
        assert "no cluster answers there" in capsys.readouterr().err
    assert cli.main([*command, "notes.json", "--overwrite"]) == 2
    assert "no cluster answers there" in capsys.readouterr().err


def test_a_lost_report_hides_no_error(album, capsys, caplog, monkeypatch):
    @contextmanager
    def lost(address):
        Path("report.json").mkdir()
        raise RuntimeError("The cluster is lost.")
        yield

    monkeypatch.setattr("colorizationnet.headless.cluster.connected", lost, raising=False)
    command = ["colorize", "album/0.png", "--ray", "local", "--ray-report", "report.json"]
    assert cli.main(command) == 1
    assert capsys.readouterr().err.endswith("The cluster is lost.\n")
    assert caplog.messages == [
        "The report is lost: report.json is there already; choose another name."
    ]


HERE = (pack_version(), "2.4.1", versions(), 2**40)


def a_node(name="far", pack=HERE[0], torch=HERE[1], ffmpeg=HERE[2], free=HERE[3], **resources):
    return Node(
        name, name, resources.get("cpus", 4), resources.get("gpus", 0), pack, torch, ffmpeg, free
    )


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"pack": "0.0.9"}, "The node far has version 0.0.9 of the pack and this machine"),
        ({"pack": None}, "The node far does not have the pack"),
        ({"torch": None}, "The node far has no torch"),
        ({"ffmpeg": None}, "The node far has no ffmpeg"),
        ({"ffmpeg": "old"}, "The node far has another ffmpeg than this machine"),
    ],
)
def test_a_node_that_cannot_do_its_part_is_named(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_nodes([a_node("near"), a_node(**bad)], HERE[2], HERE[1])


def test_a_node_that_may_differ_is_told_of(caplog):
    check_nodes([a_node(torch="2.4.0+cu130")], HERE[2], HERE[1])
    assert not caplog.messages
    check_nodes([a_node(torch="2.5.0"), a_node("full", free=10**8)], HERE[2], HERE[1])
    assert "far has torch 2.5.0 and this machine 2.4.1" in caplog.messages[0]
    assert "full has only 100 MB of disk left" in caplog.messages[1]


def test_nodes_are_asked_before_work(cluster, monkeypatch, tmp_path, reel):
    monkeypatch.setattr(nodes_of, "pack_version", lambda: "9.9")
    with pytest.raises(ValueError, match=r"has version .* of the pack and this machine 9\.9; inst"):
        color(cluster, reel, tmp_path / "out.mkv")
    assert not list(tmp_path.iterdir())


def test_it_is_not_waited_for_nodes_that_are_gone():
    def node(alive, cpus):
        return {"Alive": alive, "Resources": {"CPU": cpus}}

    ray = SimpleNamespace(nodes=lambda: [node(False, 8.0), node(True, 1.0)])
    check_room(ray, 1)
    with pytest.raises(RuntimeError, match="No node of the cluster is left that has 2 CPUs; add"):
        check_room(ray, 2)


def test_tasks_ask_for_what_they_use(network):
    share = gpu_share(network, ColorOptions())
    assert 0.25 <= share <= 1
    slots = slots_of([a_node(cpus=8, gpus=1), a_node("near", cpus=5)], 0.25)
    assert (slots.cpus, slots.gpu_count, slots.count) == (2, 4, 2)
    slots = slots_of([a_node(cpus=1), a_node("near", cpus=2, gpus=2)], 1.0)
    assert (slots.cpus, slots.gpu_count, slots.count) == (1, 2, 1)


@pytest.mark.parametrize(
    ("count", "slots", "length"), [(400, 50, 125), (6000, 8, 250), (9**9, 2, 500)]
)
def test_a_film_is_cut_so_that_all_are_busy(count, slots, length):
    assert segment_length(count, slots) == length


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_what_is_no_cluster_is_not_waited_for(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = Thread(target=lambda: server.accept()[0].sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))
        answer.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert cli.main(["colorize", str(MEADOW), "-o", "x.mp4", "--ray", address]) == 2
        answer.join()
    assert "no cluster answers there (something else does)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nowhere", "is no address; name HOST:PORT"),
        ("ray://host:10001", "make this machine a node"),
        (f"127.0.0.1:{free_port()}", "no cluster answers there"),
        (__file__, "that is a file, no address"),
    ],
)
def test_a_bad_address_is_told(address, sentence, tmp_path, capsys):
    Image.linear_gradient("L").save(tmp_path / "a.png")
    assert cli.main(["colorize", str(tmp_path / "a.png"), "--ray", address]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert sentence in said and not (tmp_path / "a-color.png").exists()


def test_options_of_a_cluster_need_one(tmp_path, capsys):
    Image.linear_gradient("L").save(tmp_path / "a.png")
    assert cli.main(["colorize", str(tmp_path / "a.png"), "--ray-send"]) == 2
    assert "belong to --ray" in capsys.readouterr().err


def test_ray_is_imported_only_when_it_is_asked_for(tmp_path):
    Image.linear_gradient("L").save(tmp_path / "a.png")
    code = "import sys; sys.modules['ray'] = None\nfrom colorizationnet.headless import cli"
    code += f"\nassert cli.main(['colorize', {str(tmp_path / 'a.png')!r}]) == 0"
    code += (
        f"\nassert cli.main(['colorize', {str(tmp_path)!r}, '--overwrite', '--ray', 'local']) == 2"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--ray needs Ray, which is not installed here; install it (pip" in done.stderr
