"""The measured runs beside what the simulation makes of the same ones."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from .cluster import Cluster, Driver
from .measured import Measured
from .simulation import simulate


def compared(measured: Measured) -> Iterator[str]:
    """The runs, and what the simulation makes of them."""
    yield f"in one piece on one core: {measured.one_piece:.1f} s without the start"
    yield (
        f"{measured.segment_frames} frames a segment, {measured.overhead:.2f} s beside their share "
        f"of it; {measured.bytes_in / 1e6:.1f} MB read, {measured.bytes_out / 1e6:.1f} MB written"
    )
    driver = Driver(
        plan=(measured.plan or 0.0) / measured.film_hours,
        dispatch=measured.dispatch or 0.0,
        join_rate=measured.bytes_out / max(measured.join or 0.0, 1e-3),
    )
    archive = measured.archive(measured.film_hours, measured.film_hours)
    for run in measured.runs:
        cluster = Cluster(run["nodes"], start=run["start"])
        line = f"{run['nodes']} nodes: {run['seconds']:.1f} s"
        if "lost" in run:
            yield (
                f"{line}, one killed after {run['killed_at']:.1f} s: {run['lost']:.1f} s of work "
                f"lost, {run['begun_again']} tasks begun again, after {run['again_after']:.1f} s"
            )
            continue
        even = [1.0] * run["nodes"]
        simulated = statistics.median(
            simulate(cluster, driver, archive, seed, even).wall for seed in range(5)
        )
        if run.get("sent"):
            line += f", {run['sent'] / 1e6:.1f} MB sent through Ray"
        speedup = measured.one_piece / (run["seconds"] - run["start"])
        yield (
            f"{line}, {run['start']:.1f} s of them the start, {speedup:.2f} times as fast as one "
            f"piece without it; simulated {simulated:.1f} s"
        )
