"""What a cluster costs, measured: Ray nodes of this machine, each on a core of its own.

    python -m colorizationnet.benchmarks.scale.measure MEASURED.json [CLIP] --seconds 600

It colours a film in one piece on one core, then on one and on several nodes by ``--ray``, and kills
a node in the middle (SIGKILL). What it finds goes to the file, from which the simulation reads, and
is printed beside what the simulation says of the same runs. Needs the extra ``[cluster]``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...pipeline import probe
from ..segments import COMMAND, SAMPLE, make_film
from .measured import Measured
from .validation import compared

KILL_AT = 0.5  # of the segments, and as much of the next one
POLL = 0.05  # seconds
NOTHINGS = 200  # tasks that do nothing, by which handing out is timed
STORE = 200 * 2**20  # bytes of each node's object store


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path, metavar="MEASURED.json")
    parser.add_argument("clip", nargs="?", type=Path, default=SAMPLE, help="played over and over")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--machine", default=machine(), help="what the machine is called")
    parser.add_argument(
        "--preliminary", action="store_true", help="other work runs beside it; say so"
    )
    args = parser.parse_args(argv)
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = make_film(folder / "film.mp4", args)
        found = measure(film, folder, cores, args)
    found.write(args.target)
    for line in compared(found):
        print(line)


def machine() -> str:
    return f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}"


def measure(film: Path, folder: Path, cores: list[int], args: argparse.Namespace) -> Measured:
    began = time.monotonic()
    clip = probe(film)
    plan = time.monotonic() - began
    whole, first = folder / "whole.mp4", folder / "first.mp4"
    seconds = _run(film, whole, cores[:1], "--whole")
    start = _run(film, first, cores[:1], "--whole", "--duration", "0.5")
    runs: list[dict[str, Any]] = []
    for count in range(1, len(cores) + 1):
        with local_nodes(cores[:count]) as (address, kill):
            dispatch = _dispatch(address)
            runs.append(_on_cluster(film, folder, address, count))
            runs[-1]["dispatch"] = dispatch
    with local_nodes(cores) as (address, kill):
        runs.append(_on_cluster(film, folder, address, len(cores), None, "--ray-send"))
    with local_nodes(cores) as (address, kill):
        runs.append(_on_cluster(film, folder, address, len(cores), (kill, runs[len(cores) - 1])))
    quiet = runs[len(cores) - 1]
    mean = statistics.mean(piece["frames"] for piece in quiet["pieces"])
    segments: dict[str, list[float]] = {}
    for piece in quiet["pieces"]:
        each = piece["seconds"] * mean / piece["frames"]
        segments.setdefault(piece["node"], []).append(round(each, 3))
    return Measured(
        machine=args.machine,
        date=datetime.date.today().isoformat(),
        width=clip.width,
        height=clip.height,
        fps=float(clip.fps),
        frames=clip.frame_count,
        segment_frames=round(mean),
        one_piece=seconds - start,
        segments=segments,
        bytes_in=film.stat().st_size,
        bytes_out=whole.stat().st_size,
        start=quiet["start"],
        plan=plan,
        dispatch=min(run["dispatch"] for run in runs if "dispatch" in run),
        join=quiet["join"],
        runs=[{key: run[key] for key in run if key != "pieces"} for run in runs],
        preliminary=args.preliminary,
    )


def _run(film: Path, target: Path, cores: list[int], *options: str) -> float:
    began = time.monotonic()
    command = [*map(str, COMMAND), str(film), "-o", str(target), "--overwrite", *options]
    with _on(cores):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


@contextmanager
def _on(cores: list[int]) -> Iterator[None]:
    """What is started inside runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def local_nodes(cores: list[int]) -> Iterator[tuple[str, Any]]:
    """A Ray cluster with a node on each of the ``cores``, beside a head that works on nothing.

    Its address, and what kills its last node.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as RayCluster

    small = {"object_store_memory": STORE, "include_dashboard": False}
    cluster = RayCluster(initialize_head=True, head_node_args={**small, "num_cpus": 0})
    try:
        for number, core in enumerate(cores):
            with _on([core]):
                node = cluster.add_node(num_cpus=1, node_name=f"node {number + 1}", **small)
        cluster.wait_for_nodes()
        yield cluster.address, lambda: cluster.remove_node(node, allow_graceful=False)
    finally:
        cluster.shutdown()


def _dispatch(address: str) -> float:
    """Seconds of a task that does nothing, handed out and taken back among many."""
    import ray

    ray.init(address=address, log_to_driver=False, configure_logging=False)
    try:
        nothing = ray.remote(num_cpus=1)(lambda: None)
        ray.get(nothing.remote())  # a worker has started
        began = time.monotonic()
        ray.get([nothing.remote() for _ in range(NOTHINGS)])
        return (time.monotonic() - began) / NOTHINGS
    finally:
        ray.shutdown()


def _on_cluster(
    film: Path,
    folder: Path,
    address: str,
    nodes: int,
    killing: tuple[Any, dict[str, Any]] | None = None,
    *options: str,
) -> dict[str, Any]:
    """One run by ``--ray``; ``killing`` a node in the middle, by a run without.

    ``options`` are the command's.
    """
    target, report = folder / "cluster.mp4", folder / "report.json"
    killed: list[float] = []

    ended = threading.Event()

    def kill() -> None:
        assert killing is not None
        node, run = killing
        name = f".colorizationnet-film-*/[0-9]*-*{target.suffix}"
        while len(list(folder.glob(name))) < KILL_AT * run["segments"]:
            if ended.wait(POLL):
                return
        each = statistics.mean(piece["seconds"] for piece in run["pieces"])
        if not ended.wait(KILL_AT * each):
            killed.append(time.time())
            node()

    killer = threading.Thread(target=kill) if killing else None
    began, clock = time.time(), time.monotonic()
    command = [*map(str, COMMAND), str(film), "-o", str(target), "--overwrite"]
    command += ["--ray", address, "--ray-report", str(report), *options]
    if killer:
        killer.start()
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        ended.set()
        if killer:
            killer.join()
    seconds = time.monotonic() - clock
    facts = json.loads(report.read_text())
    pieces = [piece for piece in facts["pieces"] if piece["kind"] == "segment"]
    run = {
        "nodes": nodes,
        "seconds": round(seconds, 2),
        "start": round(min(time for *_, time in facts["attempts"]) - began, 2),
        "segments": len(pieces),
        "join": round(target.stat().st_mtime - max(piece["time"] for piece in pieces), 2),
        "sent": facts["bytes_moved"],
        "pieces": pieces,
    }
    if killed:
        run |= loss(facts, killed[0]) | {"killed_at": round(killed[0] - began, 2)}
    return run


def loss(report: dict[str, Any], killed: float) -> dict[str, Any]:
    """What a kill cost: work begun again, and how soon, by the report of the run.

    ``lost`` are seconds of work, since the last segment that its task had finished.
    """
    begun: dict[int, list[float]] = {}
    for task, _, _, at in report["attempts"]:
        begun.setdefault(task, []).append(at)
    lost, waited = 0.0, []
    for task, times in begun.items():
        before = [at for at in times if at < killed]
        again = [at for at in times if at >= killed]
        if not (before and again):
            continue
        done = [piece["time"] for piece in report["pieces"] if piece["task"] == task]
        kept = [at for at in done if at < killed]
        lost += killed - max([before[-1], *kept])
        waited.append(min(again) - killed)
    return {
        "lost": round(lost, 2),
        "begun_again": len(waited),
        "again_after": round(max(waited, default=0.0), 2),
    }


if __name__ == "__main__":
    main()
