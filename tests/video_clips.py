"""Clips made by ffmpeg, and what ffmpeg itself says of a clip, for all tests."""

import subprocess
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
from colorizationnet.pipeline import probe

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments, stdin=b"") -> bytes:
    """Run ffmpeg, whose input ``-`` is ``stdin``; its standard output."""
    command = [FFMPEG, "-nostdin", "-hide_banner", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, input=stdin).stdout


def raw_pictures(path, pix_fmt="yuv420p", dtype=np.uint8):
    """All samples of a file as ffmpeg itself decodes it."""
    return np.frombuffer(ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", pix_fmt, "-"), dtype)


def chroma(path):
    """The U and V planes of a 4:2:0 clip, a row a frame."""
    clip = probe(path)
    frames = raw_pictures(path).reshape(clip.frame_count, -1)
    return frames[:, clip.width * clip.height :].astype(int)


def each(make):
    """A colour stream that makes the chroma of every batch by itself, ``make(luma, planes)``."""

    def colour(batches, planes):
        for luma in batches:
            yield make(luma, planes)

    return colour


def make_clip(path, *options, size="64x48", rate="25", frames=10, source="testsrc2", sound=""):
    """Write a clip with ``frames`` pictures and, for ``sound``, an ``aevalsrc`` expression."""
    inputs = ["-f", "lavfi", "-i", f"{source}=s={size}:r={rate}"]
    if sound:
        length = float(frames / Fraction(rate))
        inputs += ["-f", "lavfi", "-i", f"aevalsrc='{sound}':s=48000:d={length:.6f}"]
    ffmpeg(*inputs, "-frames:v", frames, *options, path)
    return path


def make_variable(path, *options, size="64x48", gaps=(1, 1, 3, 2, 5, 1, 1, 4)):
    """A clip whose frame i is shown for ``gaps[i]`` units of 1/30 s."""
    starts = [sum(gaps[:i]) for i in range(len(gaps))]
    chosen = "+".join(f"eq(n,{start})" for start in starts)
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=s={size}:r=30",
        "-vf",
        f"select='{chosen}'",
        "-frames:v",
        len(gaps),
        "-fps_mode",
        "passthrough",
        *options,
        path,
    )
    return [Fraction(start, 30) for start in starts]


def frame_hashes(path, *, filters="null", stream="0:V:0"):
    """``(times in seconds, MD5s)`` of a stream's frames after ``filters``."""
    text = ffmpeg(
        "-i",
        path,
        "-map",
        stream,
        "-vf",
        filters,
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/90000",
        "-f",
        "framemd5",
        "-",
    ).decode()
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [Fraction(int(row[2]), 90000) for row in rows], [row[5].strip() for row in rows]


def luma_hashes(path):
    return frame_hashes(path, filters="extractplanes=y")


def packets(path, stream):
    """``(times in seconds, MD5s)`` of a stream's packets as they lie in the file."""
    text = ffmpeg("-i", path, "-map", stream, "-c", "copy", "-f", "framemd5", "-").decode()
    base = next(line for line in text.splitlines() if line.startswith("#tb"))
    tick = Fraction(base.split(": ")[1])
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [int(row[2]) * tick for row in rows], [row[5].strip() for row in rows]


def facts(path) -> str:
    """What ``ffmpeg -i`` prints."""
    command = [FFMPEG, "-nostdin", "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True).stderr.decode()


def hidden_files(folder):
    """What a folder holds beside what its user sees."""
    return sorted(path for path in folder.iterdir() if path.name.startswith("."))
