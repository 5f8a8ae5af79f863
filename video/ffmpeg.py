"""One ffmpeg process: its arguments, its log, its end."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import imageio_ffmpeg

if sys.platform == "linux":
    import fcntl

# What the tests have run with. The parsers read text that ffmpeg is free to word anew.
TESTED_VERSIONS = ("9.0",)

# The containers and bare streams that are opened: each reads nothing but its own file. Playlists
# and scripts (HLS, DASH, IMF, concat, SDP, AviSynth), patterns of names (image2) and formats that
# look for files beside them (VobSub, MLV, SVG) are not among them. MOV's references to other files
# are off by ffmpeg's own default.
DEMUXERS = (
    *("mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "mxf", "asf", "flv"),
    *("live_flv", "kux", "ogg", "nut", "dv", "rm", "wtv", "gxf", "lxf", "nsv", "nuv", "pva", "pmp"),
    *("ivf", "obu", "av1", "h261", "h263", "h264", "hevc", "vvc", "m4v", "evc", "avs2", "avs3"),
    *("cavsvideo", "vc1", "vc1test", "dirac", "dnxhd", "mjpeg", "yuv4mpegpipe", "cine", "r3d"),
    *("swf", "flic", "roq", "smk", "bink", "ea", "film_cpk", "vmd", "apng", "gif", "webp_anim"),
    *("webp_pipe", "png_pipe", "jpeg_pipe", "tiff_pipe", "bmp_pipe", "dpx_pipe", "exr_pipe"),
)
UNLISTED = "it is a playlist, or in a format that is not opened here; convert it to MKV or MP4"

MAX_ERRORS = 100  # that are kept of one process
PIPE_BYTES = 1 << 20
if sys.platform == "win32":
    NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    NO_WINDOW = 0
_LOG_LINE = re.compile(r"^(?:\[[^\]]* @ [^\]]*\] )*\[(\w+)\] (.*)$")
_SVT_ERROR = re.compile(r"^Svt\[(error)\]: (.*)$")  # it prints past ffmpeg's log
# What ffmpeg says after the line that tells the cause.
_CONSEQUENCES = re.compile(
    r"^(Conversion failed|Error (opening|while|sending|submitting|muxing|initializing|decoding)"
    r"|Task finished|Terminating|Could not open encoder|Nothing was written|Failed to|\s)"
)


class VideoError(ValueError):
    """A clip that cannot be read or written; the message is one sentence for the user."""


def url(path: str | os.PathLike) -> str:
    """``path`` as ffmpeg takes it literally: no protocol, option or pattern hides in the name."""
    return f"file:{Path(path).absolute()}"


def input_file(
    path: str | os.PathLike, options: Sequence[str] = (), *, demuxer: str | None = None
) -> list[str]:
    """ffmpeg's arguments that open ``path`` with ``options``, and nothing that it may refer to.

    Every input file goes through here. The format is found among `DEMUXERS`, or is ``demuxer``.
    """
    return [
        *("-protocol_whitelist", "file,pipe"),
        *("-format_whitelist", demuxer or ",".join(DEMUXERS)),
        *(("-f", demuxer) if demuxer else ()),
        *options,
        *("-i", url(path)),
    ]


def input_pictures(options: Sequence[str] = ()) -> list[str]:
    """ffmpeg's arguments that open the pictures listed on its standard input, see `pictures`.

    The list is ours, and says for each picture which formats it may have; there is no other door
    for a script or for more than one file.
    """
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", "concat", "-f", "concat"),
        *("-safe", "0", *options, "-i", "pipe:0"),
    ]


def versions() -> str:
    """For a message about what ffmpeg said: the version that runs, and those that are tested."""
    return (
        f"this is ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}, "
        f"tested is {' and '.join(TESTED_VERSIONS)}"
    )


def _enlarge(pipe: io.FileIO | None) -> None:
    """Let ``pipe`` hold `PIPE_BYTES`, where the system can and the user has not many such."""
    if pipe and sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class FFmpeg:
    """A running ffmpeg with unbuffered pipes, whose log is read by a thread of its own.

    ``on_line`` receives each line of the log that is not an error, ``on_end`` is called after the
    last one; both run in that thread. As a context manager it leaves no process behind.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        stdin: bool = False,
        stdout: bool = False,
        log_level: str = "error",
        on_line: Callable[[str], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self.errors: list[str] = []  # what ffmpeg has logged as an error so far
        self._process = subprocess.Popen(
            [
                imageio_ffmpeg.get_ffmpeg_exe(),
                *("-hide_banner", "-nostats", "-loglevel", f"repeat+level+{log_level}"),
                *(() if stdin else ("-nostdin",)),
                *arguments,
            ],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            creationflags=NO_WINDOW,
        )
        # With ``bufsize`` 0 the pipes are raw files; those that were not asked for are None.
        self._stdin = cast(io.FileIO, self._process.stdin)
        self._stdout = cast(io.FileIO, self._process.stdout)
        self._stderr = cast(io.FileIO, self._process.stderr)
        for pipe in (self._stdin, self._stdout):
            _enlarge(pipe)
        self._log_reader = threading.Thread(target=self._read_log, daemon=True)
        self._log_reader.start()

    def _read_log(self) -> None:
        with open(self._stderr.fileno(), encoding="utf-8", errors="replace", closefd=False) as log:
            for line in log:
                line = line.rstrip()
                match = _LOG_LINE.match(line) or _SVT_ERROR.match(line)
                if match and match[1] in ("error", "fatal", "panic"):
                    if len(self.errors) < MAX_ERRORS:
                        unlisted = match[2].startswith("Format not on whitelist")
                        self.errors.append(UNLISTED if unlisted else match[2])
                elif self._on_line:
                    self._on_line(line)
        if self._on_end:
            self._on_end()

    def read_into(self, view: memoryview) -> int:
        """Fill ``view`` (bytes) from the standard output; less than its length only at the end."""
        filled = 0
        while filled < len(view):
            count = self._stdout.readinto(view[filled:])
            if not count:
                break
            filled += count
        return filled

    def read_all(self) -> bytes:
        return self._stdout.readall()

    def read_lines(self) -> Iterator[bytes]:
        return iter(io.BufferedReader(self._stdout))

    def write(self, data: memoryview | bytes) -> None:
        """Write all of ``data`` to the standard input; ``BrokenPipeError`` when ffmpeg is gone."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._stdin.write(view) :]
            except OSError as error:  # Windows says EINVAL
                raise BrokenPipeError(str(error)) from error

    def close_stdin(self) -> None:
        self._stdin.close()

    def wait(self, check: Callable[[], None] | None = None) -> int:
        """The exit code, once it has ended and its log is read; ``check`` is called meanwhile."""
        while check and self._process.poll() is None:
            check()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        code = self._process.wait()
        self._log_reader.join()
        return code

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def cause(self) -> str:
        """Why it failed, in ffmpeg's own words; call it after `wait`."""
        for known in ("No space left on device", "Permission denied", "File too large"):
            if any(known in line for line in self.errors):
                return known
        telling = [line for line in self.errors if not _CONSEQUENCES.match(line)]
        if telling or self.errors:
            return (telling or self.errors)[0].rstrip(".")
        code = self._process.returncode
        if code == -getattr(signal, "SIGXFSZ", 0) < 0:
            return "File too large"
        if code < 0:
            return f"ffmpeg was killed by {signal.Signals(-code).name}"
        return f"ffmpeg ended with code {code}"

    def __enter__(self) -> "FFmpeg":
        return self

    def __exit__(self, *_) -> None:
        self.kill()
        for pipe in (self._stdin, self._stdout, self._stderr):
            if pipe:
                pipe.close()
