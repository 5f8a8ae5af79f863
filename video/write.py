"""Frames into a clip."""

import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from .clip import Clip, matrix_for_size
from .decoder import SCALER
from .ffmpeg import FFmpeg, VideoError, url
from .formats import TEXT_SUBTITLES, Container, exact_rate, find_format, ratio
from .matroska import block_header, header
from .probe import probe
from .read import RGB
from .target import Target

log = logging.getLogger(__name__)

# For these counts ffmpeg's default layout is one that encoders refuse or reorder.
LAYOUTS = {3: "3.0", 4: "quad", 7: "6.1(back)"}


class Encoder:
    """An ffmpeg that takes raw pictures and writes ``target``, whole or not at all.

    It reads a Matroska stream that begins with ``head`` and `write` goes on with, as input 0;
    ``inputs`` are ffmpeg's arguments for what else is muxed, ``outputs`` its output options.
    Its pictures are shown ``delay`` seconds late. ``check`` is called while waiting; what it
    raises ends the encoding.
    """

    def __init__(
        self,
        target: Target,
        container: Container,
        head: bytes,
        inputs: list[str],
        outputs: list[str],
        metadata: Mapping[str, str] | None,
        check: Callable[[], None] | None = None,
        delay: Fraction = Fraction(0),
    ) -> None:
        self._target = target
        self._check = check
        self._folder = tempfile.TemporaryDirectory(prefix="colorizationnet-")
        offset = ("-itsoffset", f"{float(delay):.6f}")
        arguments = [*offset, "-f", "matroska", "-i", "pipe:0", *inputs]
        number = arguments.count("-i")
        if metadata:
            # Through a file: a workflow may be longer than a command line.
            path = Path(self._folder.name, "metadata")
            path.write_text(_ffmetadata(metadata), encoding="utf-8")
            arguments += ["-f", "ffmetadata", "-i", url(path)]
            outputs = [*outputs, "-map_metadata", str(number)]
        if container.muxer == "image2":
            target.part.mkdir()
            name = url(target.part).replace("%", "%%") + "/%06d.png"
        else:
            name = url(target.part)
        self._process = FFmpeg(
            [*arguments, *outputs, *container.options, "-f", container.muxer, "-y", name],
            stdin=True,
        )
        try:
            self.write(head)
        except BaseException:
            self.close()
            raise

    def write(self, data: memoryview | bytes) -> None:
        try:
            self._process.write(data)
        except BrokenPipeError:
            self._fail()

    def _fail(self) -> None:
        self._process.wait()
        raise VideoError(f"{self._target.path} could not be written: {self._process.cause()}.")

    def finish(self) -> None:
        """Wait for the end of the encoding and put the file in its place."""
        self._process.close_stdin()
        if self._process.wait(self._check) != 0:
            self._fail()
        self._target.commit()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Leave no process and no part behind."""
        self._process.__exit__()
        self._target.discard()
        self._folder.cleanup()


def _ffmetadata(metadata: Mapping[str, str]) -> str:
    def escape(text: str) -> str:
        for special in "\\=;#\n":
            text = text.replace(special, "\\" + special)
        return text

    lines = (f"{escape(key)}={escape(value)}\n" for key, value in metadata.items())
    return ";FFMETADATA1\n" + "".join(lines)


def stream_options(clip: Clip, container: Container, path: Path, number: int) -> list[str]:
    """Output options that carry sound, subtitles, chapters and metadata over from input ``number``.

    Packets are copied where the container takes them; what must be converted or left out is
    logged.
    """
    options: list[str] = ["-map_metadata", str(number), "-map_chapters", str(number)]
    for index, stream in enumerate(clip.audio if container.audio_fallback else ()):
        options += ["-map", f"{number}:a:{index}"]
        if container.audio is None or stream.codec in container.audio:
            options += [f"-c:a:{index}", "copy"]
        else:
            encoder, *settings = container.audio_fallback
            container.check_channels(path, stream.channels)
            log.warning(
                "%s cannot hold %s sound: stream %d is encoded as %s",
                path.suffix,
                stream.codec,
                index,
                encoder,
            )
            options += [f"-c:a:{index}", encoder]
            for option, value in zip(settings[::2], settings[1::2], strict=True):
                options += [f"{option}:{index}", value]
    kept = 0
    for index, stream in enumerate(clip.subtitles):
        if stream.codec in container.subtitles:
            codec = "copy"
        elif container.subtitle_fallback and stream.codec in TEXT_SUBTITLES:
            codec = container.subtitle_fallback
            log.info("%s subtitles are converted to %s for %s", stream.codec, codec, path.suffix)
        else:
            log.warning("%s cannot hold %s subtitles: they are left out", path.suffix, stream.codec)
            continue
        options += ["-map", f"{number}:s:{index}", f"-c:s:{kept}", codec]
        kept += 1
    if container.attachments:
        options += ["-map", f"{number}:t?", "-c:t", "copy"]
    return options


def color_tags(matrix: str, color_range: str, primaries: str | None, trc: str | None) -> str:
    """The filter that says which colour the pictures are in; tags left open follow the matrix."""
    default = matrix if matrix in ("bt709", "smpte170m") else "bt709"
    if matrix == "bt470bg":
        default = "bt470bg"
    return (
        f"setparams=range={color_range}:colorspace={matrix}"
        f":color_primaries={primaries or default}"
        f":color_trc={trc or ('smpte170m' if default == 'bt470bg' else default)}"
    )


def _from_rgb(matrix: str, bit_depth: int, alpha: bool) -> list[str]:
    """Filters from full-range RGB to YUV of ``matrix``; the way back of `read_frames`."""
    if bit_depth == 8:
        return [f"scale=in_range=pc:out_range=tv:out_color_matrix={matrix}:{SCALER}"]
    a = "a" if alpha else ""
    return [
        f"format=gbr{a}p16le",
        f"zscale=matrixin=gbr:matrix={matrix}:rangein=pc:range=tv",
        f"format=yuv{a}444p{bit_depth}le",
        f"scale={SCALER}",
    ]


class FrameWriter:
    """Writes full-range RGB frames to a clip at a constant rate.

    ``path`` appears under its name only when the clip is whole: the context manager renames a
    temporary file at its clean exit and removes it after an exception. ``fps`` is exact as a
    `Fraction`; a float means the rates of television (29.97 is 30000/1001). ``format`` is a key of
    `FORMATS`, ``quality`` the encoder's own number (None: the table's default). Sound is either
    ``audio``, ``(samples, rate)`` with float ``(channels, count)``, cut at the end of the last
    frame, or every stream of the file ``audio_from``, copied where the container allows.
    ``metadata`` goes into the container. ``check`` is called often, from the caller's thread; what
    it raises cancels the writing.

    Frames are uint8 for ``bit_depth`` 8 and uint16 (0 to 65535) for more, with three channels or,
    with ``alpha``, four. Raises ``FileExistsError`` when ``path`` exists and ``overwrite`` is off,
    and `VideoError` when the format cannot hold what is asked or writing fails.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        width: int,
        height: int,
        fps: Fraction | float,
        *,
        format: str = "h264",
        quality: float | None = None,
        bit_depth: int = 8,
        alpha: bool = False,
        audio: tuple[np.ndarray, int] | None = None,
        audio_from: str | os.PathLike | None = None,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
        check: Callable[[], None] | None = None,
    ) -> None:
        entry = find_format(format)
        path = Path(path)
        container = entry.container(path)
        pix_fmt = entry.pix_fmt(bit_depth, alpha, width, height)
        self.frame_count = 0
        self._frame_shape = (height, width, 4 if alpha else 3)
        self._dtype = np.dtype(np.uint8 if bit_depth == 8 else np.uint16)
        self._check = check
        self._fps = exact_rate(fps)
        self._target = Target(path, overwrite=overwrite)

        if (audio is not None or audio_from) and not entry.sound:
            log.warning("%s has no sound: %s is silent", entry.label, path)
            audio = audio_from = None
        inputs = []
        outputs = ["-map", "0:v", "-fps_mode", "passthrough"]
        outputs += ["-enc_time_base", ratio(1 / self._fps)]
        self._sound = None
        if audio is not None:
            self._sound = np.ascontiguousarray(audio[0].T, dtype="<f4")
            self._sound_rate = audio[1]
            container.check_channels(path, len(audio[0]))
            encoder, *settings = container.audio_fallback
            outputs += ["-map", "0:a", "-c:a", encoder, *settings]
            if layout := LAYOUTS.get(len(audio[0])):
                order = "|".join(map(str, range(len(audio[0]))))
                outputs += ["-af", f"channelmap={order}:{layout}"]
        elif audio_from:
            outputs += stream_options(probe(audio_from), container, path, 1)
            inputs += ["-protocol_whitelist", "file,pipe", "-i", url(audio_from)]

        if entry.rgb:
            filters = entry.filters or f"format={pix_fmt}"
        else:
            matrix = matrix_for_size(width, height)
            filters = ",".join(
                [
                    *_from_rgb(matrix, bit_depth, alpha),
                    f"format={pix_fmt}",
                    color_tags(matrix, "tv", None, None),
                ]
            )
        outputs += ["-vf", filters, *entry.encoder_options(quality, path.suffix.lower())]
        sound = None if self._sound is None else (self._sound.shape[1], self._sound_rate)
        head = header(RGB[bit_depth > 8, alpha], width, height, self._fps, sound)
        self._encoder = Encoder(self._target, container, head, inputs, outputs, metadata, check)

    def write(self, frames: np.ndarray) -> None:
        """Append ``frames``, ``(n, height, width, channels)``."""
        if frames.shape[1:] != self._frame_shape or frames.dtype != self._dtype:
            raise ValueError(
                f"Expected frames of {self._frame_shape} {self._dtype}, "
                f"got {frames.shape[1:]} {frames.dtype}."
            )
        for frame in np.ascontiguousarray(frames):
            if self._check:
                self._check()
            time = self.frame_count / self._fps
            self._encoder.write(block_header(time, 1 / self._fps, frame.nbytes))
            self._encoder.write(frame.data.cast("B"))
            if self._sound is not None:
                self._write_sound(time)
            self.frame_count += 1

    def _write_sound(self, time: Fraction) -> None:
        """The sound that belongs to the picture at ``time``."""
        begin, end = (round(t * self._sound_rate) for t in (time, time + 1 / self._fps))
        piece = self._sound[begin:end]
        if len(piece):
            seconds = Fraction(begin, self._sound_rate), Fraction(len(piece), self._sound_rate)
            self._encoder.write(block_header(*seconds, piece.nbytes, track=2))
            self._encoder.write(piece.data.cast("B"))

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(self, exception_type, *_) -> None:
        try:
            if exception_type is None:
                if not self.frame_count:
                    raise VideoError(f"{self._target.path}: there are no frames to write.")
                self._encoder.finish()
        finally:
            self._encoder.close()
