"""Two commits on one machine, in turn: ``python -m colorizationnet.benchmarks.compare BEFORE``.

Each case is a whole process, once by the code of each commit, then by the other's again, for
``--rounds`` rounds after one that does not count. Printed are the medians of wall and CPU seconds
(ffmpegs included), the median of the rounds' ratios, AFTER to BEFORE, and their smallest and
largest; where the spread covers 1, no difference is shown. ``--json`` keeps every run. With
``--limit`` the exit code is 1 where a median ratio of wall time is larger: a guard against slower
code. ``ffmpeg alone`` is the same for both, and shows how quiet the machine is.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from .peak import Peak
from .video import SIZES, make_source, pure

ROOT = Path(__file__).parents[1]
PICTURE = """
import torch
from colorizationnet.pipeline import colorize_images, load_model
images, network = torch.rand(1, 1080, 1920, 3), load_model()
for _ in range(100):
    colorize_images(network, images)
"""
FRAMES = """
import sys
from colorizationnet.options import EncodeOptions
from colorizationnet.pipeline import load_frames, save_frames
loaded = load_frames(sys.argv[1])
save_frames(loaded.batches, sys.argv[2], loaded.fps, EncodeOptions(quality=18))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m colorizationnet.benchmarks.compare")
    parser.add_argument("before", help="a commit, or a folder with a checkout")
    parser.add_argument("after", nargs="?", default=str(ROOT), help="default: the code as it is")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8, help="length of the films")
    parser.add_argument("--clip", type=Path, help="a film to scale (default: mandelbrot)")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the cases' names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run here")
    parser.add_argument("--limit", type=float, help="largest ratio of wall time that is no failure")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        _checkout(options.before) as before,
        _checkout(options.after) as after,
    ):
        runs = _take_turns(_cases(Path(folder), options), [before, after], options.rounds)
    if options.json:
        options.json.write_text(json.dumps(runs, indent=2))
    print(f"{'':18}{'wall s':>16}{'CPU s':>16}{'wall ratio':>24}{'CPU ratio':>24}")
    print(f"{'':18}{2 * '  before   after'}{2 * '  median (least to most)'}")
    ratios = [_report(case, *sides) for case, sides in runs.items()]
    if options.limit and max(ratios) > options.limit:
        sys.exit(1)


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """A folder whose ``colorizationnet`` is the pack at a commit, or in a folder as it is."""
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder, "colorizationnet")
        if Path(commit).is_dir():
            pack.symlink_to(Path(commit).resolve())
            yield Path(folder)
            return
        git = ["git", "-C", str(ROOT), "worktree"]
        added = subprocess.run([*git, "add", "--quiet", "--detach", str(pack), commit])
        if added.returncode:
            sys.exit(f"{commit} is neither a folder nor a commit of {ROOT}.")
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", str(pack)], check=True)


def _cases(folder: Path, options: argparse.Namespace) -> dict[str, list[str]]:
    """The command of each case; what it writes is ``folder``'s file ``out`` with some suffix."""
    films = {name: folder / f"{name}.mp4" for name in ("720p", "1080p")}
    for name, film in films.items():
        make_source(film, SIZES[name], options.seconds, options.clip)
    photo = folder / "photo.png"
    grey = np.random.default_rng(0).integers(0, 256, (90, 160), np.uint8)
    Image.fromarray(grey).resize((1920, 1080)).save(photo)

    def colorize(source: Path, *more: str) -> list[str]:
        command = [sys.executable, "-m", "colorizationnet", "colorize", str(source)]
        return [*command, "-o", str(folder / f"out{source.suffix}"), *more]

    film, out = films["720p"], folder / "out.mp4"
    cases = {
        "ffmpeg alone 720p": pure(film, out, "h264"),
        "start": colorize(film, "--duration", "0.01"),
        "film 720p": colorize(film),
        "film 1080p": colorize(films["1080p"]),
        "photo 1080p": colorize(photo),
        "100 pictures 1080p": [sys.executable, "-c", PICTURE],
        "frames 720p": [sys.executable, "-c", FRAMES, str(film), str(out)],
    }
    return {
        name: command
        for name, command in cases.items()
        if any(part in name for part in options.only)
    }


def _take_turns(
    cases: dict[str, list[str]], sides: list[Path], rounds: int
) -> dict[str, tuple[list[dict], list[dict]]]:
    runs: dict[str, tuple[list[dict], list[dict]]] = {name: ([], []) for name in cases}
    for number in range(rounds + 1):
        for name, command in cases.items():
            # Who comes first changes from round to round.
            for index in (0, 1) if number % 2 else (1, 0):
                run = _measure(command, sides[index])
                if number:
                    runs[name][index].append(run)
        print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return runs


def _measure(command: list[str], side: Path) -> dict:
    """Wall and CPU seconds and peak MB of a command by the pack in ``side``."""
    for name in command:
        if Path(name).stem == "out":
            Path(name).unlink(missing_ok=True)
    environment = os.environ | {"PYTHONPATH": str(side)}
    begin = os.times()
    process = subprocess.Popen(
        command, env=environment, cwd=side, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    with Peak(process.pid) as peak:
        _, errors = process.communicate()
    end = os.times()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {errors.decode()}")
    cpu = end.children_user - begin.children_user + end.children_system - begin.children_system
    return {"wall": end.elapsed - begin.elapsed, "cpu": cpu, "peak_mb": peak.bytes / 1e6}


def _report(case: str, before: list[dict], after: list[dict]) -> float:
    """Print a line; gives the median ratio of wall time."""
    line, medians = f"{case:18}", []
    for what in ("wall", "cpu"):
        one, other = (statistics.median(run[what] for run in side) for side in (before, after))
        line += f"{one:8.2f}{other:8.2f}"
    for what in ("wall", "cpu"):
        ratios = [b[what] / a[what] for a, b in zip(before, after, strict=True)]
        medians.append(statistics.median(ratios))
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        line += f"{medians[-1]:8.2f} {spread:>15}"
    print(line, flush=True)
    return medians[0]


if __name__ == "__main__":
    main()
