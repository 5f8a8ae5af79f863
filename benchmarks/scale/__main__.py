"""What hours of film cost on many machines: a simulation from what was measured on one.

    python -m colorizationnet.benchmarks.scale MEASURED.json [--price 0.10]

Prints what was measured, the assumptions and a table, or writes them into a page.
`benchmarks.scale.measure` makes the file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .cluster import Archive, Cluster, Driver
from .measured import Measured
from .simulation import HOUR, Outcome, simulate
from .validation import compared

NODES, HOURS = (10, 100, 1000), (100, 1000, 10_000, 100_000)
MARKS = "figures", "end of figures"
HEAD = (
    *("film", "nodes", "takes", "film an hour", "efficiency", "lost", "failures", "longest phase"),
    "node-hours",
)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    measured = Measured.read(args.measured)
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    say(f"Measured ({args.measured.name}):\n")
    for line in compared(measured):
        say(f"- {line}")
    say("\nSimulated; every figure below is by these assumptions:\n")
    for line in assumptions(measured, args):
        say(f"- {line}")
    head = [*HEAD, *(["cost"] if args.price is not None else [])]
    say(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for hours in args.hours:
        for nodes in args.nodes:
            todo = (
                cluster(measured, args, nodes),
                driver(measured, args),
                archive(measured, args, hours),
            )
            outcomes = [simulate(*todo, seed) for seed in range(args.repeat)]
            outcome = sorted(outcomes, key=lambda outcome: outcome.wall)[len(outcomes) // 2]
            say(f"| {' | '.join(row(hours, nodes, outcome, args.price))} |")
    if args.into:
        put(args.into, "\n".join(lines))


def put(page: Path, text: str) -> None:
    """Write the text between the marks of a page."""
    begin, end = (f"<!-- {mark} -->" for mark in MARKS)
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{page} has no {begin} and {end} to write between.")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measured", type=Path)
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES)
    parser.add_argument("--hours", type=float, nargs="+", default=HOURS, help="of film")
    parser.add_argument("--film-hours", type=float, default=1.5, help="of one film")
    parser.add_argument("--segment-frames", type=int, help="(default: as measured)")
    parser.add_argument("--shots", type=float, default=0, help="taught in an hour of film")
    parser.add_argument("--workers", type=int, default=1, help="segments at once on a node")
    parser.add_argument("--speed", type=float, default=1.0, help="of a node, to that measured")
    parser.add_argument("--spread", type=float, default=0.1, help="of nodes' speed, ln")
    parser.add_argument("--slow-share", type=float, default=0.02, help="of nodes")
    parser.add_argument("--slow-factor", type=float, default=2.0)
    parser.add_argument("--failures", type=float, default=0.001, help="a node and hour")
    parser.add_argument("--notice", type=float, default=30.0, help="s until a failure is noticed")
    parser.add_argument("--repair", type=float, default=600.0, help="s until a node is back")
    parser.add_argument("--bandwidth", type=float, default=1.25e9, help="of the storage, B/s")
    parser.add_argument("--link", type=float, default=1.25e8, help="of a worker, B/s")
    parser.add_argument("--joiners", type=int, default=2, help="films joined at once, as by --ray")
    parser.add_argument("--start", type=float, help="s until a node works")
    parser.add_argument("--plan", type=float, help="s an hour of film")
    parser.add_argument("--dispatch", type=float, help="s a segment")
    parser.add_argument("--join-rate", type=float, help="B/s")
    parser.add_argument("--price", type=float, help="of a node and hour, in your currency")
    parser.add_argument("--repeat", type=int, default=3, help="runs of a row; the median is given")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="put it between the page's marks")
    return parser.parse_args(argv)


# What takes the place of what was not measured.
ASSUMED = {"start": 30.0, "plan": 10.0, "dispatch": 0.01, "join_rate": 1e8}


def _value(name: str, args: argparse.Namespace, measured: Measured) -> tuple[float, str]:
    """A quantity of the driver or of starting, and where it is from."""
    given = getattr(args, name)
    if given is not None:
        return given, "given"
    found = {
        "start": measured.start,
        "plan": None if measured.plan is None else measured.plan / measured.film_hours,
        "dispatch": measured.dispatch,
        "join_rate": measured.bytes_out / measured.join if measured.join else None,
    }[name]
    return (ASSUMED[name], "assumed") if found is None else (found, "measured")


def cluster(measured: Measured, args: argparse.Namespace, nodes: int) -> Cluster:
    return Cluster(
        nodes=nodes,
        workers=args.workers,
        start=_value("start", args, measured)[0],
        spread=args.spread,
        slow_share=args.slow_share,
        slow_factor=args.slow_factor,
        failures=args.failures,
        notice=args.notice,
        repair=args.repair,
        bandwidth=args.bandwidth,
        link=args.link,
    )


def driver(measured: Measured, args: argparse.Namespace) -> Driver:
    plan, dispatch, rate = (
        _value(name, args, measured)[0] for name in ("plan", "dispatch", "join_rate")
    )
    return Driver(plan, dispatch, rate, args.joiners)


def archive(measured: Measured, args: argparse.Namespace, hours: float) -> Archive:
    found = measured.archive(hours, args.film_hours, args.segment_frames, args.shots)
    slower = 1 / args.speed
    return replace(
        found,
        work=found.work.scaled(slower),
        overhead=found.overhead.scaled(slower),
        teach=found.teach.scaled(slower),
    )


def assumptions(measured: Measured, args: argparse.Namespace) -> Iterator[str]:
    one = archive(measured, args, 1)
    frames = args.segment_frames or measured.segment_frames
    count = sum(map(len, measured.segments.values()))
    quiet = "; other work ran beside it: preliminary" if measured.preliminary else ""
    yield f"measured on {measured.machine}, {measured.date}{quiet}"
    yield (
        f"a segment is {frames} frames and takes {one.work.mean:.2f} s of work, by its share "
        f"of a film in one piece, and {one.overhead.mean:.2f} s beside it; spread as the "
        f"{count} segments that were measured" + ("" if args.segment_frames is None else ", scaled")
    )
    yield (
        f"it reads {one.bytes_in / 1e6:.2f} MB and writes {one.bytes_out / 1e6:.2f} MB "
        "(measured) while it is coloured"
    )
    if args.shots and measured.teach:
        yield (
            f"{args.shots:g} shots an hour (assumed) are taught first, "
            f"{one.teach.mean:.1f} s each (measured), by one worker each"
        )
    yield f"a film is {args.film_hours:g} h (assumed)"
    wording = {
        "start": "a node works after {:.1f} s",
        "plan": "the driver plans an hour of film in {:.2f} s",
        "dispatch": "it hands a segment out and takes it back in {:.5f} s, as a task without work",
        "join_rate": "it joins films at {:.3g} bytes a second",
    }
    for name, words in wording.items():
        value, source = _value(name, args, measured)
        yield f"{words.format(value)} ({source})"
    yield (
        f"films joined at once: {args.joiners}; it reads and writes them, and takes no worker's "
        "time (assumed)"
    )
    yield (
        f"workers of a node: {args.workers}, at {args.speed:g} times the measured speed; ln(speed) "
        f"of nodes spreads by {args.spread:g}, {args.slow_share:.0%} of them are slower by "
        f"{args.slow_factor:g} (assumed); nothing is done twice to overtake them"
    )
    yield (
        f"a node fails {args.failures:g} times an hour, whenever; that is noticed after "
        f"{args.notice:g} s, and it is back after {args.repair:g} s (assumed)"
    )
    yield (
        f"all share a storage of {args.bandwidth / 1e6:.0f} MB/s evenly, each worker moves at most "
        f"{args.link / 1e6:.0f} MB/s (assumed)"
    )
    yield "nodes are paid for from begin to end, whether they work or not"
    yield f"the median of so many runs: {args.repeat}"


def row(hours: float, nodes: int, outcome: Outcome, price: float | None) -> list[str]:
    wall = outcome.wall
    node_hours = nodes * wall / HOUR
    share = outcome.phases[outcome.bottleneck] / wall
    cells = [
        f"{hours:,g} h",
        f"{nodes:,}",
        duration(wall),
        f"{hours / (wall / HOUR):,.0f} h",
        f"{outcome.efficiency:.0%}",
        duration(outcome.lost),
        f"{outcome.failures:,}",
        f"{outcome.bottleneck}, {share:.0%}",
        f"{node_hours:,.1f}",
    ]
    return cells if price is None else [*cells, f"{price * node_hours:,.2f}"]


def duration(seconds: float) -> str:
    for unit, size in (("d", 24 * HOUR), ("h", HOUR), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":
    main()
