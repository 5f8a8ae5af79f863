"""Sound out of a clip."""

from __future__ import annotations

import os
import struct
from fractions import Fraction

import numpy as np

from .clip import Clip
from .ffmpeg import FFmpeg, VideoError, input_file
from .probe import as_clip
from .streams import RESTARTING


def read_audio(
    clip: Clip | str | os.PathLike,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, int] | None:
    """The first sound track from ``start`` seconds after the first frame on: ``(samples, rate)``.

    ``samples`` is float32 ``(channels, count)`` in [-1, 1]. A track that begins late or has gaps
    is filled with silence, so sample 0 belongs to ``start``. None when the clip has no sound.
    """
    clip = as_clip(clip)
    if not clip.audio:
        return None
    begin = float(clip.start) + start
    early = float(clip.seek_before(Fraction(begin)))
    filters = "aresample=async=1:first_pts=0"
    if early < begin:
        filters = f"atrim=start={begin - early:.6f},asetpts=PTS-{begin - early:.6f}/TB,{filters}"
    heard = clip.container.startswith(RESTARTING)
    with FFmpeg(
        [
            *input_file(clip.path, ("-ss", f"{early:.6f}") if early else ()),
            *("-map", "0:a:0"),
            *("-af", filters),
            *(("-t", f"{duration:.6f}") if duration is not None else ()),
            *("-c:a", "pcm_f32be", "-f", "au", "pipe:1"),
            *(("-map", "0", "-ignore_unknown", "-c", "copy", "-f", "null", "-") if heard else ()),
        ],
        stdout=True,
    ) as process:
        data = process.read_all()
        process.wait()
        cause = process.cause()
    # Sun's .au: the one container with a header of fixed fields and no length to come back for.
    if len(data) < 24:
        raise VideoError(f"{clip.path}: the sound could not be decoded ({cause}).")
    offset, _, _, rate, channels = struct.unpack_from(">5I", data, 4)
    samples = np.frombuffer(data, ">f4", offset=offset, count=(len(data) - offset) // 4)
    frames = samples[: len(samples) // channels * channels].reshape(-1, channels)
    return np.ascontiguousarray(frames.T, dtype=np.float32), rate
