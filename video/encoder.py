"""An ffmpeg that writes a clip."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..files import AtomicOutput, temp_prefix
from ..options import EncodeOptions
from .ffmpeg import FFmpeg, VideoError, input_file, url
from .formats import find_format
from .matroska import block_header
from .mp4_times import set_creation_time
from .tags import tag_pictures

log = logging.getLogger(__name__)

MAX_ASPECT_TERM = 65535  # H.264, H.265 and MOV have 16 bits for each
PIPE = ("-f", "matroska", "-i", "pipe:0")
COUNT = ("-progress", "pipe:1", "-stats_period", "86400")  # one report, at the end


class Encoder:
    """An ffmpeg that takes raw pictures and writes ``path``, whole or not at all.

    Input 0 is ``pictures``: a Matroska stream that begins with ``head`` and `write` goes on with,
    or what else ffmpeg's arguments name, without a ``head``. ``inputs`` are its
    arguments for what else is muxed, ``outputs`` its output options. Of
    ``encode`` it applies the format's container, the metadata and ``overwrite``; the encoder's
    own options are among ``outputs``. Of the inputs ``heard`` all streams are read. An MP4 has tags
    of any name unless ``plain_tags`` says that it has the usual ones and cover art. The pictures
    are shown ``delay`` seconds late. ``created`` is when an MP4 or MOV says that it was made.
    ``check`` is called while waiting; what it raises ends the encoding. As a context manager it
    leaves no process and no part.

    Raises `VideoError` when ``path`` has a suffix that the format does not take or its folder is
    missing, and ``FileExistsError`` when it exists and is not to be overwritten.
    """

    def __init__(
        self,
        path: Path,
        encode: EncodeOptions,
        head: bytes = b"",
        *,
        pictures: Sequence[str] = PIPE,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        heard: Sequence[int] = (),
        plain_tags: bool = False,
        delay: Fraction = Fraction(0),
        created: datetime | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        container = find_format(encode.format).container(path)
        try:
            self._output = AtomicOutput(path, overwrite=encode.overwrite)
        except FileNotFoundError as error:
            raise VideoError(str(error)) from None
        self._check = check
        self._created = created if container.is_mp4 else None
        arguments = ["-itsoffset", f"{float(delay):.6f}", *pictures, *inputs]
        outputs = list(outputs)
        part = url(self._output.part)
        if container.muxer == "image2":
            part = part.replace("%", "%%") + "/%06d.png"
        with ExitStack() as opened:
            opened.callback(self._output.discard)
            if container.muxer == "image2":
                self._output.part.mkdir()
            self._tags = {key: value for key, value in encode.metadata.items() if value}
            for key in encode.metadata.keys() - self._tags.keys():
                outputs += ["-metadata", f"{key}="]
            if self._tags:
                # Through a file: a workflow may be longer than a command line.
                folder = opened.enter_context(TemporaryDirectory(prefix=temp_prefix()))
                listing = Path(folder, "metadata")
                listing.write_text(ffmetadata(self._tags), encoding="utf-8")
                # Ahead of the source's: a tag that is there already is not replaced.
                outputs = ["-map_metadata", str(arguments.count("-i")), *outputs]
                arguments += input_file(listing, demuxer="ffmetadata")
            if container.is_mp4 and not plain_tags:
                outputs += ["-movflags", "+use_metadata_tags"]
            outputs += [*container.options, "-f", container.muxer, "-y", part]
            for number in heard:
                outputs += ["-map", str(number), "-ignore_unknown", "-c", "copy", "-f", "null", "-"]
            command = [*COUNT, *arguments, *outputs]
            self._process = opened.enter_context(FFmpeg(command, stdin=True, stdout=True))
            if head:
                self.write(head)
            self._opened = opened.pop_all()

    def write(self, data: memoryview | bytes) -> None:
        try:
            self._process.write(data)
        except BrokenPipeError:
            self._fail()

    def write_picture(self, time: Fraction, duration: Fraction, samples: np.ndarray) -> None:
        """Append a raw picture that is shown at ``time`` for ``duration`` seconds."""
        self.write(block_header(time, duration, samples.nbytes))
        self.write(samples.data.cast("B"))

    def _fail(self) -> None:
        self._process.wait()
        raise VideoError(f"{self._output.path} could not be written: {self._process.cause()}.")

    def finish(self, count: int | None = None) -> None:
        """Wait for the end of the encoding and put the file in its place.

        Raises `VideoError` when it has not ``count`` pictures.
        """
        self._process.close_stdin()
        if self._process.wait(self._check) != 0:
            self._fail()
        if count is not None:
            found = re.findall(rb"^frame=\s*(\d+)", self._process.read_all(), re.M)
            written = int(found[-1]) if found else 0
            if written != count:
                raise VideoError(
                    f"{self._output.path}: of {count} pictures {written} were written "
                    f"({self._process.cause()})."
                )
        tag_pictures(self._output.part, self._tags)
        # Times that stand still for a packet are no damage; MPEG's program streams have them.
        if errors := [line for line in self._process.errors if "non monotonically" not in line]:
            log.warning(
                "%s: ffmpeg met %d errors in what is copied, it may be damaged (%s)",
                self._output.path,
                len(errors),
                errors[0],
            )
        if self._created:
            set_creation_time(self._output.part, self._created)
        self._output.commit()

    def kill(self) -> None:
        """End the process; a `write` in another thread ends as well."""
        self._process.kill()

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def ffmetadata(metadata: Mapping[str, str]) -> str:
    """``metadata`` in ffmpeg's own file format."""

    def escape(text: str) -> str:
        for special in "\\=;#\n":
            text = text.replace(special, "\\" + special)
        return text

    lines = (f"{escape(key)}={escape(value)}\n" for key, value in metadata.items())
    return ";FFMETADATA1\n" + "".join(lines)


def color_tags(
    matrix: str, color_range: str, primaries: str | None = None, trc: str | None = None
) -> str:
    """The filter that says which colour the pictures are in; tags left open follow the matrix."""
    default = matrix if matrix in ("bt709", "smpte170m") else "bt709"
    if matrix == "bt470bg":
        default = "bt470bg"
    return (
        f"setparams=range={color_range}:colorspace={matrix}"
        f":color_primaries={primaries or default}"
        f":color_trc={trc or ('smpte170m' if default == 'bt470bg' else default)}"
    )


def pixel_aspect(ratio: Fraction) -> str:
    """The filter that says the sample aspect ratio of the pictures, in terms of 16 bits."""
    return f"setsar={ratio.numerator}/{ratio.denominator}:max={MAX_ASPECT_TERM}"
