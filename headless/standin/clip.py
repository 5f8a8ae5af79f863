"""The VIDEO of the stand-in: a file, and what ComfyUI's Save Video makes of one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...callbacks import OnProgress
from ...files import AtomicOutput
from ...options import EncodeOptions
from ...pipeline import save_frames
from ...video import (
    SCALER,
    Clip,
    FFmpeg,
    copied_streams,
    ffmetadata,
    find_format,
    input_file,
    probe,
    ratio,
    read_audio,
    url,
)

MUXERS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}
ENCODERS = {"h264": "libx264", "av1": "libsvtav1"}  # at their own presets, as in ComfyUI
DEFAULT_CRF = {"h264": 23.0, "av1": 30.0}
WEBM_CODECS = {"av1", "vp8", "vp9", "opus", "vorbis", "webvtt"}

# ComfyUI's names: the transfer curves that it knows them by, and the tags that it writes.
COLOR_SPACES = {
    "bt709": "sRGB",
    "iec61966-2-1": "sRGB",
    "arib-std-b67": "HDR",
    "smpte2084": "HDR PQ",
}
COLOR_TAGS = {
    "sRGB": "colorspace=bt709:color_primaries=bt709:color_trc=iec61966-2-1",
    "HDR": "colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67",
    "HDR PQ": "colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084",
}


class Components(NamedTuple):
    """A clip in memory: IMAGE ``(n, H, W, 3)``, AUDIO or None, frames a second."""

    images: Tensor
    audio: dict[str, Any] | None
    frame_rate: Fraction | float


class VideoFromFile:
    """ComfyUI's class of this name, as far as our nodes and the core's go.

    ``start_time`` and ``duration`` are the part that counts, in seconds: a negative start counts
    from the end, a duration of 0 is the rest.
    """

    def __init__(
        self, file: str | os.PathLike, *, start_time: float = 0.0, duration: float = 0.0
    ) -> None:
        self._file = str(file)
        self._start, self._duration = start_time, duration

    def get_stream_source(self) -> str:
        """The path of the file."""
        return self._file

    def get_active_trim_window(self) -> tuple[float, float]:
        """The start and the duration of the part that counts, in seconds."""
        start = self._start
        if start < 0:
            start = max(float(self.clip.duration) + start, 0.0)
        return start, self._duration

    def get_duration(self) -> float:
        """How long the part that counts is, in seconds."""
        start, duration = self.get_active_trim_window()
        rest = float(self.clip.duration) - start
        return min(duration, rest) if duration else rest

    def as_trimmed(self, start_time: float, duration: float) -> VideoFromFile:
        """A part of this part."""
        start = self._start + start_time
        return VideoFromFile(self.get_stream_source(), start_time=start, duration=duration)

    def get_bit_depth(self) -> int:
        """Of a colour sample."""
        return self.clip.bit_depth

    def get_color_space(self) -> str:
        """ComfyUI's name of it."""
        return COLOR_SPACES.get(self.clip.color_trc or "", "sRGB")

    def get_components(self, free_memory: int | None = None) -> Components:
        """Every frame of the part that counts. Raises ``ValueError`` when memory is too small."""
        clip = self.clip
        start, duration = self.get_active_trim_window()
        frames = clip.frames(start, duration or None)
        need = 4 * 3 * len(frames) * clip.width * clip.height
        if free_memory is not None and need > free_memory:
            raise ValueError(
                f"{self._file}: {len(frames)} frames need {need / 1e9:.1f} GB of memory and "
                f"{free_memory / 1e9:.1f} GB are free; use Colorize Video, which streams, or Trim "
                "Video."
            )
        images = self._floats(frames)
        sound = read_audio(
            clip, max(0.0, start - float(clip.start)) if start else 0.0, duration or None
        )
        audio = None
        if sound:
            samples, rate = sound
            audio = {"waveform": torch.from_numpy(samples)[None], "sample_rate": rate}
        return Components(images, audio, clip.fps)

    @cached_property
    def clip(self) -> Clip:
        """What the file is. Raises ``ValueError`` when it is no video."""
        return probe(self._file)

    def _floats(self, frames: range) -> Tensor:
        """``frames`` as ComfyUI decodes them: in float by swscale's own ways, not through bytes."""
        clip = self.clip
        part = f"trim=start_frame={frames.start}:end_frame={frames.stop}"
        planes = np.empty((3, clip.height, clip.width), np.float32)
        images = torch.empty(len(frames), clip.height, clip.width, 3)
        with FFmpeg(
            [
                *(*input_file(self._file), "-map", f"0:{clip.picture}"),
                *("-vf", f"{part},scale=flags=bilinear,format=gbrpf32le"),
                *("-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"),
            ],
            stdout=True,
        ) as process:
            for index in range(len(frames)):
                if process.read_into(memoryview(planes).cast("B")) < planes.nbytes:
                    process.wait()
                    raise ValueError(
                        f"{self._file}: only {index} of {len(frames)} frames can be decoded "
                        f"({process.cause()}); Load Video Frames takes what there is."
                    )
                green, blue, red = torch.from_numpy(planes)
                torch.stack((red, green, blue), dim=-1, out=images[index])
        return images

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height in pixels. Raises ``ValueError`` when the file is no video."""
        return self.clip.width, self.clip.height

    def save_to(
        self,
        path: str | os.PathLike,
        *,
        format: str = "auto",
        codec: str = "auto",
        crf: float | None = None,
        color_space: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Write the clip into a new file, `.mp4`, `.mkv` or `.webm`, by ComfyUI's own rules.

        Its streams are copied as they are where the container is ``format`` ("auto" or a suffix
        without its dot) and the video is in ``codec`` ("auto", "h264" or "av1") already. Else, and
        for a ``crf`` or a ``color_space`` ("sRGB", "HDR" or "HDR PQ", which tags the pixels and
        does not convert them), the video is encoded again, at 4:2:0 in the depth that it has.
        ``on_progress`` counts frames.

        Raises ``ValueError`` when the file cannot hold what is asked for; no file is left then.
        """
        path = Path(path)
        if codec == "h264" and path.suffix == ".webm":
            raise ValueError("WebM holds no H.264; set codec to auto or av1, or format to mp4.")
        known = COLOR_SPACES.get(self.clip.color_trc or "")
        if known and color_space and known != color_space:
            raise ValueError(
                f"{self._file} is {known}, and its colours are not converted to {color_space}; set "
                f"color_space to auto or {known}."
            )
        is_whole = self.get_active_trim_window() == (0.0, 0.0)
        if is_whole and crf is None and color_space is None and self._is(format, codec):
            streams = ["-map", "0:v", "-map", "0:a?", "-map", "0:s?", "-c", "copy"]
        else:
            streams = self._encoded(path, codec, crf, color_space)
        self._write(path, streams, metadata or {}, on_progress)

    def _is(self, format: str, codec: str) -> bool:
        """Whether the file is in that container and codec already."""
        clip = self.clip
        if codec not in ("auto", clip.codec):
            return False
        if format == "auto":
            return True
        with open(self._file, "rb") as file:
            head = file.read(8)
        if format == "mp4":
            return head[4:] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")  # QuickTime's too
        codecs = {clip.codec, *(stream.codec for stream in clip.audio + clip.subtitles)}
        is_matroska = head[:4] == b"\x1a\x45\xdf\xa3"
        return is_matroska and (format == "mkv" or codecs <= WEBM_CODECS)

    def _encoded(
        self, path: Path, codec: str, crf: float | None, color_space: str | None
    ) -> list[str]:
        """ffmpeg's output options for the clip encoded again, with all else that goes into it."""
        clip = self.clip
        if codec == "auto":
            codec = "av1" if path.suffix == ".webm" else "h264"
        entry = find_format(codec)
        if clip.width % 2 or clip.height % 2:
            raise ValueError(
                f"{self._file} is {clip.width}x{clip.height}, and Save Video encodes even sizes "
                "only; set format and codec to auto, or use Save Video Frames."
            )
        deep = clip.bit_depth > 8 or clip.is_hdr or color_space in ("HDR", "HDR PQ")
        matrix = clip.color_matrix
        tags = COLOR_TAGS[color_space] if color_space else f"colorspace={matrix}"
        filters = [
            f"scale=in_range={clip.color_range}:out_range=tv"
            f":in_color_matrix={matrix}:out_color_matrix={matrix}:{SCALER}",
            "format=yuv420p10le" if deep else "format=yuv420p",
            f"setparams=range=tv:{tags}",
        ]
        quality = [] if crf is None else ["-crf", f"{crf:g}"]
        if codec == "av1" and crf == 0:
            quality = ["-svtav1-params", "lossless=1"]
        tick = 1 / clip.fps if clip.times is None else clip.time_base
        return [
            *(
                "-map",
                f"0:{clip.picture}",
                "-fps_mode",
                "passthrough",
                "-enc_time_base",
                ratio(tick),
            ),
            *("-vf", ",".join(filters), "-c:v", ENCODERS[codec], *quality),
            *copied_streams(clip, entry.container(path), path, 0),
        ]

    def _write(
        self,
        path: Path,
        streams: list[str],
        metadata: Mapping[str, str],
        on_progress: OnProgress | None,
    ) -> None:
        start, duration = self.get_active_trim_window()
        part_of = ("-ss", f"{start:.6f}") if start else ()
        part_of += ("-t", f"{duration:.6f}") if duration else ()
        movflags = ("-movflags", "use_metadata_tags+faststart") if path.suffix == ".mp4" else ()
        arguments = [
            *input_file(self._file, part_of),
            *("-f", "ffmetadata", "-i", "pipe:0"),
            # Ours first: a tag that is there already is not replaced.
            *("-map_metadata", "1", "-map_metadata", "0"),
            *streams,
            *("-progress", "pipe:1", *movflags, "-f", MUXERS[path.suffix]),
        ]
        with (
            AtomicOutput(path) as part,
            FFmpeg([*arguments, url(part)], stdin=True, stdout=True) as process,
        ):
            with suppress(BrokenPipeError):  # then ffmpeg says why it is gone
                process.write(ffmetadata(metadata).encode())
            process.close_stdin()
            for line in process.read_lines():
                key, _, value = line.strip().partition(b"=")
                if on_progress and key == b"frame" and value.isdigit():
                    on_progress(int(value), self.clip.frame_count)
            if process.wait() != 0:
                raise ValueError(
                    f"{self._file} cannot be saved as {path.suffix}: {process.cause()}; choose "
                    "another format."
                )


class VideoFromComponents(VideoFromFile):
    """ComfyUI's class of this name: frames and sound, put into ``file`` when one is asked for."""

    def __init__(self, components: Components, file: Path, bit_depth: int = 8) -> None:
        super().__init__(file)
        self._components = components
        self._bit_depth = bit_depth

    def get_stream_source(self) -> str:
        """The path of the frames in H.264 that keeps their luma whole."""
        if not os.path.exists(self._file):
            images, audio, fps = self._components
            sound = audio and (audio["waveform"][0].cpu().numpy(), int(audio["sample_rate"]))
            encode = EncodeOptions("h264", quality=0, bit_depth=self._bit_depth)
            save_frames([images], self._file, fps, encode, sound=sound)
        return self._file

    @cached_property
    def clip(self) -> Clip:
        """What the file is."""
        return probe(self.get_stream_source())

    def get_bit_depth(self) -> int:
        """As it was asked for."""
        return self._bit_depth

    def get_color_space(self) -> str:
        """ComfyUI takes all pictures for it."""
        return "sRGB"

    def get_components(self, free_memory: int | None = None) -> Components:
        """As they came in."""
        return self._components

    def save_to(
        self,
        path: str | os.PathLike,
        *,
        format: str = "auto",
        codec: str = "auto",
        crf: float | None = None,
        **options: Any,
    ) -> None:
        """As of a file, but always encoded, at the encoder's own quality where none is given."""
        if codec == "auto":
            codec = "av1" if Path(path).suffix == ".webm" else "h264"
        quality = DEFAULT_CRF[codec] if crf is None else crf
        super().save_to(path, format=format, codec=codec, crf=quality, **options)
