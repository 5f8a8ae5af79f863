"""What it costs to colour a film in segments, and what a kill does: on one machine, no cluster.

    python -m colorizationnet.benchmarks.segments [CLIP] --seconds 600

It colours a film of that length in one piece and in segments, kills the command at 95 % (SIGKILL)
and lets it go on.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

SAMPLE = Path(__file__).parents[1] / "workflows/samples/colorizationnet_meadow.mp4"
COMMAND = [sys.executable, "-m", "colorizationnet", "colorize"]
KILL_AT = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", nargs="?", type=Path, default=SAMPLE, help="played over and over")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = make_film(folder / "film.mp4", arguments)
        whole, parts = [], []
        for _ in range(arguments.repeat):  # in turns, so that other work meets both
            whole.append(timed(film, folder / "whole.mp4", "--whole"))
            parts.append(timed(film, folder / "parts.mp4"))
        one, several = statistics.median(whole), statistics.median(parts)
        print(f"in one piece {one:.1f} s, in segments {several:.1f} s: {several / one - 1:+.1%}")
        again, kept = killed_and_resumed(film, folder / "killed.mp4", KILL_AT * several)
        print(
            f"killed after {KILL_AT:.0%}, {kept} segments were kept; "
            f"the second run took {again:.1f} s: {again / several:.1%} of the whole"
        )


def make_film(path: Path, arguments: argparse.Namespace) -> Path:
    width, height = arguments.size.split("x")
    fill = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1"),
            *("-i", arguments.clip, "-t", str(arguments.seconds)),
            *("-vf", f"{fill},hue=s=0,noise=alls=6:allf=t", "-pix_fmt", "yuv420p"),
            *("-preset", "veryfast", "-crf", "18", "-c:a", "aac", path),
        ],
        check=True,
    )
    return path


def timed(film: Path, target: Path, *options: str) -> float:
    begun = time.perf_counter()
    subprocess.run([*COMMAND, film, "-o", target, "--overwrite", *options], check=True)
    return time.perf_counter() - begun


def killed_and_resumed(film: Path, target: Path, seconds: float) -> tuple[float, int]:
    """How long the second run takes, in seconds, and how many segments it finds."""
    command = [*COMMAND, film, "-o", target]
    with subprocess.Popen(command) as program:
        time.sleep(seconds)
        program.kill()
    kept = len(list(target.parent.glob(".colorizationnet-film-*/[0-9]*-*")))
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun, kept


if __name__ == "__main__":
    main()
