"""What a recoloured film costs: ``python -m colorizationnet.benchmarks.video [CLIP]``.

Wall and CPU time of `video.recolor`, with a constant chroma and with the shipped network, against
ffmpeg alone (decode, encode with the same settings, one process) on the same clip at 720p and
1080p; then the peak memory of this process and its ffmpegs for clips of 1 and 10 minutes. Each
case runs in a process of its own, the cases of one size one after the other, ``--repeat`` times;
the figures are medians. Without CLIP the picture is made by ffmpeg (mandelbrot).
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from ..video import FORMATS, probe, recolor
from ..video.ffmpeg import FFmpeg, url

SIZES = {"180p": (320, 180), "720p": (1280, 720), "1080p": (1920, 1080)}
SOUND = "sine=f=440:r=48000"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m colorizationnet.benchmarks.video")
    parser.add_argument("clip", nargs="?", type=Path, help="a film to scale (default: mandelbrot)")
    parser.add_argument("--seconds", type=float, default=8, help="length of the timed clips")
    parser.add_argument("--sizes", nargs="*", default=["720p", "1080p"], choices=SIZES)
    parser.add_argument("--chroma", nargs="*", default=list(CHROMA), choices=CHROMA)
    parser.add_argument("--format", default="h264", choices=["h264", "hevc", "av1", "vp9", "ffv1"])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10],
                        help="lengths of the clips for the memory (none: leave it out)")
    parser.add_argument("--memory-size", default="720p", choices=SIZES)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            source = Path(folder, f"{size}.mp4")
            make_source(source, SIZES[size], arguments.seconds, arguments.clip)
            report_speed(source, arguments)
        if arguments.minutes:
            report_memory(Path(folder), arguments)


def make_source(path: Path, size: tuple[int, int], seconds: float, clip: Path | None) -> None:
    width, height = size
    picture = (
        ["-stream_loop", "-1", "-i", url(clip)]
        if clip
        else ["-f", "lavfi", "-i", f"mandelbrot=s={width}x{height}:r=25"]
    )
    run(
        *picture, "-f", "lavfi", "-i", SOUND, "-t", str(seconds), "-map", "0:v", "-map", "1:a",
        "-vf", f"scale={width}:{height}", "-r", "25", "-pix_fmt", "yuv420p", "-c:v", "libx264",
        "-preset", "veryfast", "-crf", "18", "-c:a", "aac", "-y", str(path),
    )


def run(*arguments: str) -> None:
    with FFmpeg(arguments) as process:
        if process.wait():
            raise SystemExit(process.cause())


def report_speed(source: Path, arguments: argparse.Namespace) -> None:
    clip = probe(source)
    name = arguments.format
    print(f"\n{clip.width}x{clip.height}, {clip.frame_count} frames, {name}")
    print(f"{'':24}{'wall s':>9}{'CPU s':>9}{'wall':>8}{'CPU':>7}{'fps':>9}{'peak MB':>9}")
    cases = {"ffmpeg alone": pure}
    cases |= {f"recolor, {chroma}": CHROMA[chroma] for chroma in arguments.chroma}
    base = None
    for label, case in cases.items():
        runs = [measure(case, source, name) for _ in range(arguments.repeat)]
        wall, cpu, peak = (statistics.median(values) for values in zip(*runs, strict=True))
        base = base or (wall, cpu)
        print(f"{label:24}{wall:9.2f}{cpu:9.2f}{wall / base[0]:7.2f}x{cpu / base[1]:6.2f}x"
              f"{clip.frame_count / wall:9.1f}{peak / 1e6:9.0f}", flush=True)


def report_memory(folder: Path, arguments: argparse.Namespace) -> None:
    print(f"\npeak memory, {arguments.memory_size}, {arguments.format}, ffmpegs included")
    size = SIZES[arguments.memory_size]
    peaks = []
    for minutes in arguments.minutes:
        # The picture of a few seconds again and again: only the length differs.
        piece, source = folder / "piece.mp4", folder / f"{minutes}.mp4"
        make_source(piece, size, 10, arguments.clip)
        run("-stream_loop", "-1", "-i", url(piece), "-t", f"{minutes * 60}", "-c", "copy", "-y",
            str(source))
        for chroma in arguments.chroma:
            wall, _, peak = measure(CHROMA[chroma], source, arguments.format)
            peaks.append((chroma, peak))
            print(f"{chroma:12}{minutes:6g} min{peak / 1e6:9.0f} MB{wall:9.1f} s", flush=True)
    for chroma in arguments.chroma:
        first, *_, last = [peak for name, peak in peaks if name == chroma]
        print(f"{chroma:12}last / first {last / first:.3f}")


def measure(case, source: Path, name: str) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak bytes of ``case`` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(case, source, name, sender))
    process.start()
    peak = _Peak(process.pid)
    result = receiver.recv()
    process.join()
    return result["wall"], result["cpu"], peak.stop()


def _measured(case, source: Path, name: str, sender) -> None:
    target = source.with_name(f"out{FORMATS[name].suffix}")
    prepared = case(source, target, name)
    before = _cpu()
    begin = time.perf_counter()
    prepared()
    sender.send({"wall": time.perf_counter() - begin, "cpu": _cpu() - before})
    target.unlink()


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class _Peak(threading.Thread):
    """The peak memory of a process and its children (Linux), in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self._peak = 0
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self._peak = max(self._peak, _resident(_tree(self._pid)))

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return self._peak


def _tree(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, task.read_text().split())
        except OSError:
            continue
    return [pid, *(below for child in children for below in _tree(child))]


def _resident(pids: list[int]) -> int:
    """Bytes in memory; pages of files, such as ffmpeg's own code, once for each program."""
    own, files = 0, {}
    for pid in pids:
        try:
            program = os.readlink(f"/proc/{pid}/exe")
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if "kB" in line}
        own += kilobytes.get("RssAnon", 0) + kilobytes.get("RssShmem", 0)
        files[program] = max(files.get(program, 0), kilobytes.get("RssFile", 0))
    return (own + sum(files.values())) * 1024


def pure(source: Path, target: Path, name: str):
    """ffmpeg's own way from ``source`` to ``target``, sound copied."""
    entry = FORMATS[name]
    return lambda: run(
        "-i", url(source), "-map", "0:v", "-map", "0:a", "-c:a", "copy",
        *entry.encoder_options(None, target.suffix), *entry.container(target).options,
        "-f", entry.container(target).muxer, "-y", str(target),
    )


def constant(source: Path, target: Path, name: str):
    def sepia(luma, planes):
        shape = (len(luma), *planes.chroma_size)
        return np.full(shape, 108, planes.dtype), np.full(shape, 143, planes.dtype)

    return lambda: recolor(source, target, sepia, format=name)


def network(source: Path, target: Path, name: str):
    import torch

    from ..model import Colorizer, load_model
    from ..model.planes import Coding, chroma_planes, see_planes

    colorizer = Colorizer(load_model())

    def see(luma, planes):
        coding = Coding(planes.bit_depth, planes.full_range, planes.matrix)
        with torch.inference_mode():
            chroma, _ = see_planes(colorizer, luma, coding)
            return chroma_planes(chroma, luma, planes.chroma_size, coding)

    return lambda: recolor(source, target, see, format=name)


CHROMA = {"constant": constant, "network": network}

if __name__ == "__main__":
    main()
