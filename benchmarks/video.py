"""What a recoloured film costs: ``python -m colorizationnet.benchmarks.video [CLIP]``.

Wall time, CPU time and peak memory of ``colorizationnet colorize``, and of `video.recolor` with a
constant chroma, against ffmpeg alone (decode, encode with the same settings, one process) on the
same clip at 720p and 1080p; then the peak memory for clips of 1 and 10 minutes. Every figure is of
whole processes with their ffmpegs; "start" is a film of one frame. Where ``COMFYUI_DIR`` names a
ComfyUI (``COMFYUI_PYTHON`` its Python), its own nodes, and VideoHelperSuite's where it is installed
or ``--vhs`` names it, bring the same clip through it beside ours. Without CLIP the picture is made
by ffmpeg (mandelbrot); the figures are medians of ``--repeat`` runs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

from ..video import FORMATS, FFmpeg, probe, url
from .comfyui import report_host
from .peak import Peak
from .stages import report_stages

SIZES = {"180p": (320, 180), "720p": (1280, 720), "1080p": (1920, 1080)}
SOUND = "sine=f=440:r=48000"
CONSTANT = """
import sys
import numpy as np
from colorizationnet.options import EncodeOptions
from colorizationnet.video import recolor

def sepia(batches, planes):
    for luma in batches:
        shape = len(luma), *planes.chroma_size
        yield np.full(shape, 108, planes.dtype), np.full(shape, 143, planes.dtype)

recolor(sys.argv[1], sys.argv[2], sepia, encode=EncodeOptions(sys.argv[3]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m colorizationnet.benchmarks.video")
    parser.add_argument("clip", nargs="?", type=Path, help="a film to scale (default: mandelbrot)")
    parser.add_argument("--seconds", type=float, default=8, help="length of the timed clips")
    parser.add_argument("--sizes", nargs="*", default=["720p", "1080p"], choices=SIZES)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--format", default="h264", choices=["h264", "hevc", "av1", "vp9", "ffv1"])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--stages", action="store_true", help="CPU time of each stage, no more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="*",
        default=[1, 10],
        help="lengths of the clips for the memory (none: leave it out)",
    )
    parser.add_argument("--memory-size", default="720p", choices=SIZES)
    parser.add_argument("--vhs", type=Path, help="a checkout of VideoHelperSuite")
    arguments = parser.parse_args()

    figures: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            source = Path(folder, f"{size}.mp4")
            make_source(source, SIZES[size], arguments.seconds, arguments.clip)
            if arguments.stages:
                target = source.with_name(f"out{FORMATS[arguments.format].suffix}")
                figures[size] = report_stages(source, target, arguments.format)
            else:
                figures[size] = report_speed(source, arguments)
        if arguments.stages:
            arguments.minutes = []
        elif "COMFYUI_DIR" in os.environ and arguments.sizes:
            report_host(Path(folder, f"{arguments.sizes[0]}.mp4"), arguments.vhs)
        if arguments.minutes:
            figures["memory"] = report_memory(Path(folder), arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def make_source(path: Path, size: tuple[int, int], seconds: float, clip: Path | None) -> None:
    width, height = size
    picture = (
        ["-stream_loop", "-1", "-i", url(clip)]
        if clip
        else ["-f", "lavfi", "-i", f"mandelbrot=s={width}x{height}:r=25"]
    )
    run(
        *picture,
        "-f",
        "lavfi",
        "-i",
        SOUND,
        "-t",
        str(seconds),
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-vf",
        f"scale={width}:{height}",
        "-r",
        "25",
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "18",
        "-c:a",
        "aac",
        "-y",
        str(path),
    )


def run(*arguments: str) -> None:
    with FFmpeg(arguments) as process:
        if process.wait():
            raise SystemExit(process.cause())


def report_speed(source: Path, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Print the table of ``source``, and give it: wall and CPU seconds and peak bytes by case."""
    clip = probe(source)
    name = arguments.format
    target = source.with_name(f"out{FORMATS[name].suffix}")
    print(f"\n{clip.width}x{clip.height}, {clip.frame_count} frames, {name}")
    print(f"{'':24}{'wall s':>9}{'CPU s':>9}{'wall':>8}{'CPU':>7}{'fps':>9}{'peak MB':>9}")

    def report(label: str, command: list[str]) -> tuple[float, float]:
        runs = [measure(command, target) for _ in range(arguments.repeat)]
        wall, cpu, peak = (statistics.median(values) for values in zip(*runs, strict=True))
        base = alone or (wall, cpu)
        figures[label] = {"wall": wall, "cpu": cpu, "peak": peak}
        print(
            f"{label:24}{wall:9.2f}{cpu:9.2f}{wall / base[0]:7.2f}x{cpu / base[1]:6.2f}x"
            f"{clip.frame_count / wall:9.1f}{peak / 1e6:9.0f}",
            flush=True,
        )
        return wall, cpu

    figures: dict[str, dict[str, float]] = {}
    alone = None
    alone = report("ffmpeg alone", pure(source, target, name))
    for case in arguments.cases:
        found = report(case, CASES[case](source, target, name))
    if "colorize" in arguments.cases:
        command = colorize(source, target, name)
        start = report("colorize, start", [*command, "--duration", "0.01"])
        print(
            f"colorize without its start: {(found[0] - start[0]) / alone[0]:.2f}x wall, "
            f"{(found[1] - start[1]) / alone[1]:.2f}x CPU",
            flush=True,
        )
    return figures


def report_memory(folder: Path, arguments: argparse.Namespace) -> dict[str, int]:
    """Print, and give, the peak bytes of clips of each length by case."""
    print(f"\npeak memory, {arguments.memory_size}, {arguments.format}, ffmpegs included")
    size = SIZES[arguments.memory_size]
    peaks, found = [], {}
    for minutes in arguments.minutes:
        # The picture of a few seconds again and again: only the length differs.
        piece, source = folder / "piece.mp4", folder / f"{minutes}.mp4"
        make_source(piece, size, 10, arguments.clip)
        run(
            "-stream_loop",
            "-1",
            "-i",
            url(piece),
            "-t",
            f"{minutes * 60}",
            "-c",
            "copy",
            "-y",
            str(source),
        )
        for case in arguments.cases:
            target = source.with_name(f"out{FORMATS[arguments.format].suffix}")
            wall, _, peak = measure(CASES[case](source, target, arguments.format), target)
            peaks.append((case, peak))
            found[f"{case}, {minutes:g} min"] = peak
            print(f"{case:12}{minutes:6g} min{peak / 1e6:9.0f} MB{wall:9.1f} s", flush=True)
    for case in arguments.cases:
        first, *_, last = [peak for name, peak in peaks if name == case]
        print(f"{case:12}last / first {last / first:.3f}")
    return found


def measure(command: list[str], target: Path) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak bytes of ``command``, which writes ``target``."""
    target.unlink(missing_ok=True)
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with Peak(process.pid) as peak:
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    if status:
        raise SystemExit(errors.decode())
    return wall, usage.ru_utime + usage.ru_stime, peak.bytes


def pure(source: Path, target: Path, name: str) -> list[str]:
    """ffmpeg's own way from ``source`` to ``target``, sound copied."""
    entry = FORMATS[name]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", url(source),
        "-map", "0:v", "-map", "0:a", "-c:a", "copy",
        *entry.encoder_options(None, target.suffix), *entry.container(target).options,
        "-f", entry.container(target).muxer, "-y", str(target),
    ]  # fmt: skip


def constant(source: Path, target: Path, name: str) -> list[str]:
    return [sys.executable, "-c", CONSTANT, str(source), str(target), name]


def colorize(source: Path, target: Path, name: str) -> list[str]:
    command = [sys.executable, "-m", "colorizationnet", "colorize", str(source)]
    return [*command, "-o", str(target), "--format", name]


CASES = {"constant": constant, "colorize": colorize}

if __name__ == "__main__":
    main()
