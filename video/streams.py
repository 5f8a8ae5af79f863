"""What a recoloured clip takes over from its source beside the picture."""

import logging
from pathlib import Path

from .clip import Clip
from .formats import TEXT_SUBTITLES, Container

log = logging.getLogger(__name__)


def copied_streams(clip: Clip, container: Container, path: Path, number: int) -> list[str]:
    """Output options that carry sound, subtitles, chapters and metadata over from input ``number``.

    Packets are copied where the container takes them; what must be converted or left out is
    logged.
    """
    options = ["-map_metadata", str(number), "-map_chapters", str(number)]
    options += _sound(clip, container, path, number)
    options += _subtitles(clip, container, path, number)
    if container.attachments:
        options += ["-map", f"{number}:t?", "-c:t", "copy"]
    return options


def _sound(clip: Clip, container: Container, path: Path, number: int) -> list[str]:
    options = []
    for index, stream in enumerate(clip.audio if container.audio_fallback else ()):
        options += ["-map", f"{number}:a:{index}"]
        if container.audio is None or stream.codec in container.audio:
            options += [f"-c:a:{index}", "copy"]
            continue
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
    return options


def _subtitles(clip: Clip, container: Container, path: Path, number: int) -> list[str]:
    options = []
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
    return options
