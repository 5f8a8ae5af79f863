"""Raw pictures of a clip, one after the other, each with its time."""

from __future__ import annotations

import logging
import os
import queue
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction

from .clip import Clip
from .ffmpeg import MAX_ERRORS, FFmpeg, VideoError, input_file, input_pictures, versions
from .ffmpeg_log import ShownFrame, parse_frame
from .pictures import picture_script

log = logging.getLogger(__name__)

# What keeps the levels: with swscale's defaults RGB comes out up to a level darker.
SCALER = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


SHOW = "showinfo=checksum=0"
# How far before a frame is sought, in seconds: a container may count its index by decoding time,
# and MPEG-TS begins to read amid a group of pictures. Then all is decoded from the beginning.
SEEK_MARGINS = (Fraction(0), Fraction(3), Fraction(15))


class Decoder:
    """Raw pictures of a clip, one after the other, each with its time.

    ``filters`` make what ``pix_fmt`` promises. Reading raises `VideoError` when the clip's size
    changes or decoding breaks off. Frames before ``start_frame`` are passed over by a
    seek; that it has landed on a key frame before it is checked by the clip's times, and where the
    container seeks badly all is decoded from the beginning.
    """

    def __init__(
        self,
        clip: Clip,
        filters: Sequence[str],
        pix_fmt: str,
        *,
        start_frame: int = 0,
        frame_count: int | None = None,
    ) -> None:
        self.clip = clip
        self._filters = filters
        self._output = [
            *("-fps_mode", "passthrough"),
            *(("-frames:v", str(frame_count)) if frame_count is not None else ()),
            *("-f", "rawvideo", "-pix_fmt", pix_fmt),
            *("-thread_queue_size", "1", "pipe:1"),  # raw pictures are large, the pipe holds some
        ]
        self.start_frame = start_frame
        self._to_end = frame_count is None
        self._stamp = self._stamp_of_file()
        # On the file's own clock, in the stream's time base.
        self._origin = round(clip.origin / clip.time_base)
        if clip.pictures:
            self._open_pictures()
        elif not (start_frame and clip.timed and not clip.jumps and self._seek()):
            self._open()

    def _seek(self) -> bool:
        """Open the clip at the frame before which nothing is wanted; False where that fails."""
        for margin in SEEK_MARGINS:
            seconds = self._seek_time() - margin
            if seconds <= self.clip.start:
                return False
            self._open(seconds)
            if self._has_arrived():
                return True
            self.close()
        return False

    def _open(self, seek: Fraction | None = None) -> None:
        first_pts = None
        filters = [SHOW, *self._filters]
        if seek is not None:
            # ffmpeg's own cut counts from another zero in MPEG-TS.
            first_pts = self._origin + int(self._seek_time() / self.clip.time_base)
            filters.insert(1, f"select='gte(pts,{first_pts})'")
        elif self.start_frame:
            filters.insert(0, f"select='gte(n,{self.start_frame})'")
        # ffmpeg's own VP8 and VP9 decoders drop the alpha plane.
        vpx = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(self.clip.codec)
        options = [
            *(("-noaccurate_seek", "-ss", f"{float(seek):.6f}") if seek is not None else ()),
            *(("-c:v", vpx) if vpx and self.clip.has_alpha else ()),
        ]
        clock = [] if self.clip.jumps else ["-copyts"]
        self._start([*clock, *input_file(self.clip.path, options)], filters, first_pts)

    def _open_pictures(self) -> None:
        self._origin = -self.start_frame
        self._start(["-copyts", *input_pictures()], [SHOW, *self._filters], stdin=True)
        with suppress(BrokenPipeError):  # it then says why
            self.process.write(picture_script(self.clip.pictures[self.start_frame :]))
        self.process.close_stdin()

    def _start(
        self,
        source: Sequence[str],
        filters: Sequence[str],
        first_pts: int | None = None,
        *,
        stdin: bool = False,
    ) -> None:
        """Start the process; frames before ``first_pts`` (of the file's clock) are not told of."""
        self._times: queue.SimpleQueue[tuple[int | None, int] | None] = queue.SimpleQueue()
        self._pending: tuple[int | None, int] | None = None
        self._size = self.clip.width, self.clip.height
        self._landed: ShownFrame | None = None
        self._first_pts = first_pts
        self.process = FFmpeg(
            [
                *source,
                *("-map", f"0:{self.clip.picture}", "-vf", ",".join(filters)),
                *self._output,
            ],
            stdin=stdin,
            stdout=True,
            log_level="info",
            on_line=self._on_line,
            on_end=lambda: self._times.put(None),
        )

    def _seek_time(self) -> Fraction:
        """Between the first frame and the one before it, as far from both as can be."""
        return (self.clip.time_of(self.start_frame - 1) + self.clip.time_of(self.start_frame)) / 2

    def _has_arrived(self) -> bool:
        """Whether the first frame is the wanted one, decoded from a key frame at or before it."""
        self._pending = self._next_time()
        landed = self._landed
        if self._pending is None or self._pending[0] is None or landed is None:
            return False
        if not landed.is_key or landed.pts is None:
            return False
        off = self._pending[0] * self.clip.time_base - self.clip.time_of(self.start_frame)
        return abs(off) < self.clip.time_of(self.start_frame) - self._seek_time()

    def _on_line(self, line: str) -> None:
        if frame := parse_frame(line):
            self._size = frame.width, frame.height
            self._landed = self._landed or frame
            pts = frame.pts
            if self._first_pts is not None and (pts is None or pts < self._first_pts):
                return
            if pts is not None and not self.clip.jumps:
                pts -= self._origin
            self._times.put((pts, frame.duration))

    def _next_time(self) -> tuple[int | None, int] | None:
        pending, self._pending = self._pending, None
        return pending or self._times.get()

    def read_into(self, view: memoryview) -> bool:
        """Fill ``view`` with the next picture; False at the end of the clip."""
        filled = self.process.read_into(view)
        if filled < len(view) and (self.process.wait() < 0 or filled):
            raise VideoError(f"{self.clip.path}: decoding broke off ({self.process.cause()}).")
        self._check_size()
        return filled > 0

    def read_time(self) -> tuple[int | None, int]:
        """The time (None: unknown) and duration of the picture read last, in ``time_base``.

        Only where ``filters`` keep the number of pictures.
        """
        time = self._next_time()
        self._check_size()
        if time is None:
            raise VideoError(
                f"{self.clip.path}: ffmpeg's log does not list every frame ({versions()})."
            )
        return time

    def _check_size(self) -> None:
        width, height = self._size
        if self._size != (self.clip.width, self.clip.height):
            raise VideoError(
                f"{self.clip.path}: the picture changes its size from {self.clip.width}x"
                f"{self.clip.height} to {width}x{height} in the middle of the clip; split it "
                f"there, or bring it to one size."
            )

    def report_damage(self, undecoded: int) -> None:
        """At the end: log what is damaged, ``undecoded`` frames among it.

        Raises `VideoError` when the file has been written to meanwhile and frames are missing.
        """
        self.process.wait()
        path, errors = self.clip.path, self.process.errors
        undecoded = max(0, undecoded)
        changed = self._stamp_of_file() != self._stamp
        if undecoded and changed:
            raise VideoError(
                f"{path} changed while it was read: {undecoded} frames could not be read; "
                "start again once it is whole."
            )
        missing = undecoded + (self.clip.missing_frames if self._to_end else 0)
        if changed:
            log.warning("%s changed while it was read: the result may be damaged", path)
        if missing:
            log.warning("%s is damaged or cut off: %d frames are missing", path, missing)
        elif errors and not self.start_frame:  # a seek may land amid what cannot be decoded
            count = f"{len(errors)} errors" if len(errors) < MAX_ERRORS else "many errors"
            log.warning(
                "%s is damaged: ffmpeg met %s, pictures may be wrong (%s)", path, count, errors[0]
            )
        elif self.clip.corrupt_packets:
            log.warning(
                "%s is damaged: parts of packets are lost (%d), pictures or sound may be wrong",
                path,
                self.clip.corrupt_packets,
            )

    def _stamp_of_file(self) -> list[tuple[int, int]] | None:
        try:
            facts = [os.stat(path) for path in self.clip.pictures or (self.clip.path,)]
        except OSError:
            return None
        return [(fact.st_size, fact.st_mtime_ns) for fact in facts]

    def kill(self) -> None:
        """End the process; a `read_into` in another thread ends as well."""
        self.process.kill()

    def close(self) -> None:
        self.process.__exit__()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_) -> None:
        self.close()
