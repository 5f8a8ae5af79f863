"""One ffmpeg process: its arguments, its log, its end."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg

PIPE_BYTES = 1 << 20
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


class FFmpeg:
    """A running ffmpeg with unbuffered pipes, whose log is read by a thread of its own.

    ``on_line`` receives each line of the log that is not an error, ``on_end`` is called behind the
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
        self._errors: list[str] = []
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
            pipesize=PIPE_BYTES,
            creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
        )
        self._log_reader = threading.Thread(target=self._read_log, daemon=True)
        self._log_reader.start()

    def _read_log(self) -> None:
        with open(
            self._process.stderr.fileno(), encoding="utf-8", errors="replace", closefd=False
        ) as log:
            for line in log:
                line = line.rstrip()
                match = _LOG_LINE.match(line) or _SVT_ERROR.match(line)
                if match and match[1] in ("error", "fatal", "panic"):
                    if len(self._errors) < 100:
                        self._errors.append(match[2])
                elif self._on_line:
                    self._on_line(line)
        if self._on_end:
            self._on_end()

    def read_into(self, view: memoryview) -> int:
        """Fill ``view`` (bytes) from the standard output; less than its length only at the end."""
        filled = 0
        while filled < len(view):
            count = self._process.stdout.readinto(view[filled:])
            if not count:
                break
            filled += count
        return filled

    def read_all(self) -> bytes:
        return self._process.stdout.readall()

    def read_lines(self) -> Iterator[bytes]:
        return iter(io.BufferedReader(self._process.stdout))

    def write(self, data: memoryview | bytes) -> None:
        """Write all of ``data`` to the standard input; ``BrokenPipeError`` when ffmpeg is gone."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._process.stdin.write(view) :]
            except OSError as error:  # Windows says EINVAL
                raise BrokenPipeError(str(error)) from error

    def close_stdin(self) -> None:
        self._process.stdin.close()

    def wait(self, check: Callable[[], None] | None = None) -> int:
        """The exit code, once it has ended and its log is read; ``check`` is called meanwhile."""
        while True:
            try:
                code = self._process.wait(0.05 if check else None)
                break
            except subprocess.TimeoutExpired:
                check()
        self._log_reader.join()
        return code

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    @property
    def errors(self) -> list[str]:
        """What ffmpeg has logged as an error so far."""
        return self._errors

    def cause(self) -> str:
        """Why it failed, in ffmpeg's own words; call it after `wait`."""
        for known in ("No space left on device", "Permission denied", "File too large"):
            if any(known in line for line in self._errors):
                return known
        telling = [line for line in self._errors if not _CONSEQUENCES.match(line)]
        if telling or self._errors:
            return (telling or self._errors)[0].rstrip(".")
        code = self._process.returncode
        if code < 0:
            return f"ffmpeg was killed by {signal.Signals(-code).name}"
        return f"ffmpeg ended with code {code}"

    def __enter__(self) -> "FFmpeg":
        return self

    def __exit__(self, *_) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
