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
from typing import Any
from unittest.mock import patch

import torch

from ..model.colorizationnet import predictor
from ..model.temporal import chroma_filter, stabilizer
from ..options import EncodeOptions
from ..pipeline import colorize_film, film, load_model
from ..video import FFmpeg

STAGES: list[tuple[str, Any, str]] = [
    ("read the pipe", FFmpeg, "read_into"),
    ("shrink the luma", film, "small_luma"),
    ("network", predictor.Predictor, "rgb"),
    ("clean in space", predictor, "clean"),
    ("steady", stabilizer.ChromaStabilizer, "push"),
    ("  motion", chroma_filter, "estimate_motion"),
    ("  cuts", stabilizer.ChromaStabilizer, "_shot_changes"),
    ("  fixed lag", stabilizer, "smooth"),
    ("chroma planes", film, "_full_size"),
    ("write the pipe", FFmpeg, "write"),
]


def report_stages(clip: Path, target: Path, format: str) -> dict[str, float]:
    """Print the table for ``clip``, and give it: CPU ms a frame by stage."""
    torch.set_num_threads(1)
    network, encode = load_model(), EncodeOptions(format, overwrite=True)
    colorize_film(clip, target, network, encode=encode, frames=range(8))
    spent = {label: 0.0 for label, _, _ in STAGES}
    with ExitStack() as stack:
        for label, owner, name in STAGES:
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
