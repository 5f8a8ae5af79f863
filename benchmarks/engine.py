"""How fast the network and the whole way of a frame are, beside the seed's loop and DDColor.

All cases take turns in one process; figures are medians. FLOP are those of the plain network, so
that a way which needs fewer shows more of them in a second than the machine's matrix peak.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..model import ColorizationNet, load_model, rgb_to_luma
from ..model.colorizationnet import Engine, choose_dtype
from ..options import ColorOptions
from ..pipeline import colorize_images

FLOP = 2 * sum(weight.numel() for weight in ColorizationNet().parameters() if weight.ndim == 4)
PEAK_SIDE = 2048
SQUARES = (224, 512)
FRAMES = {"1080p": (1080, 1920), "4K": (2160, 3840), "16K": (8640, 15360)}
RENDER_SIZE = 224


@dataclass
class Result:
    case: str
    subject: str
    ms: float
    best_ms: float
    per_second: float
    gflop_per_second: float | None
    times_seed: float | None
    peak_memory_mb: float | None = None


Run = Callable[[], object]


class Cases:
    """What takes turns: name and subject -> (call, FLOP of the plain network or None)."""

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device, self.precision = device, precision
        self.network = load_model().to(device)

    def groups(self) -> list[Callable[[], dict[tuple[str, str], tuple[Run, float | None]]]]:
        """Each gives cases that share their pictures."""
        return [
            self.product,
            *(partial(self.squares, side) for side in SQUARES),
            *(partial(self.frames, name, *size) for name, size in FRAMES.items()),
            self.ddcolor,
        ]

    def product(self) -> dict:
        dtype = choose_dtype(self.precision, self.device)
        a, b = torch.rand(2, PEAK_SIDE, PEAK_SIDE, device=self.device).to(dtype)
        return {("matrix product", f"{PEAK_SIDE}x{PEAK_SIDE}"): (lambda: a @ b, 2 * PEAK_SIDE**3)}

    def squares(self, side: int) -> dict:
        """The network alone, on one square of luma."""
        engine = Engine(self.network.layers, self.device, choose_dtype(self.precision, self.device))
        luma = torch.rand(1, 1, side, side, device=self.device)
        half = torch.rand(1, 1, side // 2, side // 2, device=self.device)
        subject = f"network {side}x{side}"
        return {
            ("seed", subject): (lambda: self.network(luma), FLOP * side**2),
            ("full", subject): (lambda: engine.full(luma), FLOP * side**2),
            ("fast", subject): (lambda: engine.parity(half), FLOP * side**2 / 4),
        }

    def frames(self, name: str, height: int, width: int) -> dict:
        """An RGB frame in, an RGB frame out.

        ``full`` and ``fast`` look at the whole aspect at 224 lines, ``default`` and ``default,
        film`` as the shipped weights are used for pictures and for film.
        """
        images = torch.rand(1, height, width, 3)
        subject = f"{name} frame"
        cases = {}
        settings = {"default": ColorOptions(precision=self.precision)}
        if name != "16K":  # the others take minutes there
            cases["seed", subject] = lambda: self.seed_script(images), None
            settings["default, film"] = ColorOptions(precision=self.precision, quality="fast")
            for quality in ("full", "fast"):
                settings[quality] = ColorOptions(
                    RENDER_SIZE, quality=quality, precision=self.precision
                )
        for label, options in settings.items():
            cases[label, subject] = (
                lambda options=options: colorize_images(
                    self.network, images, options, device=self.device
                ),
                None,
            )
        if name == "1080p":
            for quality in ("full", "fast"):
                model = self.network.chroma_model(settings[quality], self.device)
                size = model.input_size(height, width)
                luma = torch.rand(1, 1, *size, device=self.device)
                cases[f"{quality}, its network only", subject] = (
                    lambda model=model, luma=luma: model.chroma(luma),
                    FLOP * size[0] * size[1],
                )
        return cases

    def seed_script(self, images: Tensor) -> Tensor:
        """What one would write: the frame to 224x224, the network, its RGB back to full size."""
        rgb = images.to(self.device).permute(0, 3, 1, 2)
        small = interpolate(rgb_to_luma(rgb), (224, 224), mode="bilinear", antialias=True)
        large = interpolate(self.network(small), rgb.shape[2:], mode="bilinear")
        return large.clamp(0, 1).permute(0, 2, 3, 1).contiguous().cpu()

    def ddcolor(self) -> dict:
        try:
            from spandrel_extra_arches.architectures.DDColor import DDColor
        except ImportError:
            return {}
        # The hyper-parameters of the published "tiny" weights; the weights here are random.
        network = DDColor(
            encoder_name="convnext-t",
            decoder_name="MultiScaleColorDecoder",
            input_size=(512, 512),
            num_output_channels=2,
            last_norm="Spectral",
            num_queries=100,
            num_scales=3,
            dec_layers=9,
        )
        network = network.eval().to(self.device)
        cases = {}
        for side in (256, 512):
            rgb = torch.rand(1, 3, side, side, device=self.device)
            cases["DDColor-tiny", f"network {side}x{side}"] = (lambda rgb=rgb: network(rgb), None)
        return cases


def measure(cases: dict, rounds: int, device: torch.device) -> list[Result]:
    """Every case once a round, after one round that does not count."""
    times = {key: [] for key in cases}
    for number in range(rounds + 1):
        for key, (run, _) in cases.items():
            start = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                times[key].append(time.perf_counter() - start)
        print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    medians = {key: statistics.median(values) for key, values in times.items()}
    results = []
    for (case, subject), seconds in medians.items():
        flop, seed = cases[case, subject][1], medians.get(("seed", subject))
        results.append(
            Result(
                case,
                subject,
                seconds * 1e3,
                min(times[case, subject]) * 1e3,
                1 / seconds,
                flop and flop / seconds / 1e9,
                seed and seed / seconds,
            )
        )
    return results


def peak_memory(group: int, key: tuple[str, str], device: str, precision: str) -> float:
    """What one call adds to the highest memory of the process, or of the device, in MB."""
    place = torch.device(device)
    run, _ = Cases(place, precision).groups()[group]()[key]
    with torch.inference_mode():
        before = _highest_memory(place)
        run()
        return (_highest_memory(place) - before) / 1e6


def _highest_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # getrusage would tell of the parent, whose peak a new process inherits.
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmHWM"].split()[0]) * 1024


def table(results: list[Result]) -> str:
    lines = [
        f"{'':28}{'':20}{'ms':>9}{'best':>9}{'frames/s':>10}{'GFLOP/s':>9}{'x seed':>8}{'MB':>7}"
    ]
    for r in results:
        lines.append(
            f"{r.case:28}{r.subject:20}{r.ms:9.1f}{r.best_ms:9.1f}{r.per_second:10.2f}"
            f"{_number(r.gflop_per_second, '.0f'):>9}{_number(r.times_seed, '.1f'):>8}"
            f"{_number(r.peak_memory_mb, '.0f'):>7}"
        )
    return "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def ratios(results: list[Result]) -> list[str]:
    ms = {(r.case, r.subject): r.ms for r in results}
    pairs = [
        (("full", "1080p frame"), ("full, its network only", "1080p frame")),
        (("fast", "1080p frame"), ("fast, its network only", "1080p frame")),
        (("seed", "1080p frame"), ("default", "1080p frame")),
        (("DDColor-tiny", "network 512x512"), ("full", "network 224x224")),
        (("DDColor-tiny", "network 512x512"), ("fast", "network 224x224")),
    ]
    return [
        f"{', '.join(one)} / {', '.join(other)}: {ms[one] / ms[other]:.2f}"
        for one, other in pairs
        if one in ms and other in ms
    ]


def plot(results: list[Result], path: Path, title: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [r for r in results if "matrix" not in r.case and "only" not in r.case]
    colors = {
        "seed": "#8a8a8a",
        "full": "#c8553d",
        "fast": "#e9a03b",
        "default": "#7a9e4b",
        "default, film": "#a9c47f",
        "DDColor-tiny": "#4a6fa5",
    }
    figure, axes = pyplot.subplots(figsize=(8, 0.34 * len(shown) + 1.2), layout="constrained")
    bars = axes.barh(
        [f"{r.subject}   {r.case}" for r in shown],
        [r.per_second for r in shown],
        color=[colors[r.case] for r in shown],
    )
    axes.bar_label(bars, [f"{r.per_second:.3g}" for r in shown], padding=3)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("frames a second (logarithmic)")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m colorizationnet.benchmarks.engine")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", help="ours; the seed's loop is float32")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the subjects' names")
    parser.add_argument(
        "--memory",
        action="store_true",
        help="measure memory, in new processes (on the CPU: Linux only)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the table (matplotlib)")
    options = parser.parse_args()
    device = torch.device(options.device)
    groups = [group() for group in Cases(device, options.precision).groups()]
    cases = {
        key: case
        for group in groups
        for key, case in group.items()
        if any(part in key[1] for part in options.only)
    }
    with torch.inference_mode():
        results = measure(cases, options.rounds, device)
    if options.memory:
        context = multiprocessing.get_context("spawn")
        for result in results:
            with ProcessPoolExecutor(1, context) as pool:
                key = result.case, result.subject
                group = next(index for index, found in enumerate(groups) if key in found)
                result.peak_memory_mb = pool.submit(
                    peak_memory, group, key, options.device, options.precision
                ).result()
    where = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.get_num_threads()} CPU threads, {torch.backends.cpu.get_cpu_capability()}"
    )
    dtype = str(choose_dtype(options.precision, device)).removeprefix("torch.")
    title = f"{where}, {dtype}, torch {torch.__version__}"
    if options.json:
        print(json.dumps({"machine": title, "results": [asdict(r) for r in results]}, indent=2))
    else:
        print(title, table(results), *ratios(results), sep="\n")
    if options.plot:
        plot(results, options.plot, title)


if __name__ == "__main__":
    main()
