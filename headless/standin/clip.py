"""The VIDEO of the embedded host: a file."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

from ...host.paths import whole


class VideoFromFile:
    """ComfyUI's class of this name, as far as our nodes and the core's Save Video go."""

    def __init__(self, file: str | os.PathLike):
        self._file = str(file)

    def get_stream_source(self) -> str:
        """The path of the file."""
        return self._file

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height in pixels. Raises ValueError when the file is not a video."""
        return self._properties()["source_size"]

    def get_codec(self) -> str:
        """ffmpeg's name of the video codec. Raises ValueError when the file is not a video."""
        return self._properties()["codec"]

    def _properties(self) -> dict:
        frames = imageio_ffmpeg.read_frames(self._file)
        try:
            return next(frames)
        except (OSError, IndexError) as error:
            raise ValueError(f"{self._file} is not a video that can be read.") from error
        finally:
            frames.close()

    def save_to(self, path: str | os.PathLike, metadata: dict[str, str] | None = None) -> None:
        """Copy the streams into a new file; nothing is encoded again.

        Raises ValueError when its container cannot hold them; no file is left then.
        """
        path = Path(path)
        with whole(path) as part, tempfile.TemporaryDirectory() as folder:
            tags = Path(folder, "tags")
            tags.write_text(_ffmetadata(metadata or {}), encoding="utf-8")
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
            command += ["-i", self._file, "-f", "ffmetadata", "-i", str(tags)]
            command += ["-map", "0:v:0", "-map", "0:a?", "-map", "0:s?", "-c", "copy"]
            # Ours first: a tag that is there already is not replaced.
            command += ["-map_metadata", "1", "-map_metadata", "0"]
            command += ["-movflags", "use_metadata_tags+faststart", str(part)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["ffmpeg failed"])[-1]
                raise ValueError(
                    f"{self._file} cannot be saved as {path.suffix}: {reason}; choose another "
                    "format."
                )


def _ffmetadata(tags: dict[str, str]) -> str:
    """The tags in ffmpeg's metadata file format."""
    escapes = str.maketrans({character: f"\\{character}" for character in "=;#\\\n"})
    lines = [f"{key.translate(escapes)}={value.translate(escapes)}" for key, value in tags.items()]
    return "\n".join([";FFMETADATA1", *lines, ""])
