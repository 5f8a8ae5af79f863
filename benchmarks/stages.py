"""Where a film's time goes: CPU milliseconds a frame of each stage of ``colorize_film``.

Each stage's function is wrapped by a clock of its thread's CPU time, in one run with one torch
thread, after a run that does not count. Stages that are part of another are indented. ``python``
is what the process spends beside the stages; ffmpeg's own are the CPU seconds of its processes.
"""

import os
import resource
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import torch

from ..options import EncodeOptions
from ..pipeline import colorize_film, load_model

# Label, who has the function, its name.
STAGES = [
    ("read the pipe", "video.ffmpeg:FFmpeg", "read_into"),
    ("shrink the luma", "pipeline.film", "small_luma"),
    ("network", "model.colorizationnet.predictor:Predictor", "rgb"),
    ("clean in space", "model.colorizationnet.predictor", "clean"),
    ("steady", "model.temporal.stabilizer:ChromaStabilizer", "push"),
    ("  motion", "model.temporal.chroma_filter", "estimate_motion"),
    ("  cuts", "model.temporal.stabilizer:ChromaStabilizer", "_shot_changes"),
    ("  fixed lag", "model.temporal.stabilizer", "smooth"),
    ("chroma planes", "pipeline.film", "_full_size"),
    ("write the pipe", "video.ffmpeg:FFmpeg", "write"),
]


def report_stages(clip: Path, target: Path, format: str) -> dict[str, float]:
    """Print the table for ``clip``, and give it: CPU ms a frame by stage."""
    torch.set_num_threads(1)
    network, encode = load_model(), EncodeOptions(format, overwrite=True)
    colorize_film(clip, target, network, encode=encode, frames=range(8))
    spent = {label: 0.0 for label, _, _ in STAGES}
    with ExitStack() as stack:
        pack = __name__.rpartition(".benchmarks.")[0]
        for label, place, name in STAGES:
            owner = resolve_name(f"{pack}.{place}")
            stack.enter_context(
                patch.object(owner, name, _timed(getattr(owner, name), label, spent))
            )
        before, own = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
        count = colorize_film(clip, target, network, encode=encode)
        own = time.process_time() - own
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ffmpegs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    spent["python"] = own - sum(value for label, value in spent.items() if label[0] != " ")
    spent["all of the process"], spent["ffmpegs"] = own, ffmpegs
    found = {label: 1e3 * value / count for label, value in spent.items()}
    print(f"\nCPU ms a frame, {count} frames, load {os.getloadavg()[0]:.1f}")
    for label, value in found.items():
        print(f"  {label:20}{value:7.2f}")
    return found


def _timed(function: Callable, label: str, spent: dict[str, float]) -> Callable:
    @wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        begin = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[label] += time.thread_time() - begin

    return timed
