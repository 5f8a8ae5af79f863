"""The encoders of graphics cards: whether one works is known only by trial."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ..options import HARDWARE, SOFTWARE, EncodeOptions
from .ffmpeg import FFmpeg, VideoError
from .formats import Format, Quality, find_format

log = logging.getLogger(__name__)

PIX_FMTS = {"yuv420p": "nv12", "yuv420p10le": "p010le"}
CODECS = ("h264", "hevc", "av1")


@dataclass(frozen=True)
class Maker:
    """What the encoders of a maker of graphics cards have in common.

    ``quality`` is the option of constant quality, by numbers as those of x264's crf.
    """

    name: str
    suffix: str  # of ffmpeg's names of them
    options: tuple[str, ...]
    quality: str


# In the order in which they are tried.
MAKERS = (
    Maker(
        "NVIDIA", "nvenc", ("-preset", "p5", "-tune", "hq", "-rc", "vbr", "-b:v:0", "0"), "-cq:v:0"
    ),
    Maker("Intel", "qsv", ("-preset", "medium"), "-global_quality:v:0"),
    Maker("AMD", "amf", ("-quality", "quality", "-rc", "qvbr"), "-qvbr_quality_level"),
)


def format_of(encode: EncodeOptions) -> Format:
    """The format, with the encoder that ``encode`` names.

    ``"hardware"`` is none yet: `with_encoder` chooses it. Raises `VideoError` for an encoder that
    is not one of the format's.
    """
    entry = find_format(encode.format)
    if encode.encoder in (SOFTWARE, HARDWARE):
        return entry
    for maker in MAKERS:
        if encode.encoder == f"{entry.name}_{maker.suffix}":
            return _by(maker, entry)
    raise VideoError(
        f"{encode.encoder!r} is no encoder of {entry.label}; choose {SOFTWARE} or {HARDWARE}."
    )


def with_encoder(
    encode: EncodeOptions, pix_fmt: str, width: int, height: int, *, interlaced: bool = False
) -> EncodeOptions:
    """``encode`` with an encoder that does such pictures on this machine.

    For ``"hardware"`` that is the first of a graphics card that has done a few frames of that size
    with the very options, or ``"software"`` where none does; the log says so. Raises `VideoError`
    when ``encode`` names an encoder that does not.
    """
    if encode.encoder == SOFTWARE:
        return encode
    label = find_format(encode.format).label
    if encode.encoder != HARDWARE:
        if cause := _trial(format_of(encode), encode, pix_fmt, width, height):
            raise VideoError(f"{encode.encoder} does not work here ({cause}); choose {SOFTWARE}.")
        return encode
    if encode.format not in CODECS or interlaced or pix_fmt not in PIX_FMTS:
        log.warning("No graphics card encodes such %s: it is encoded in software", label)
        return replace(encode, encoder=SOFTWARE)
    causes = []
    for maker in MAKERS:
        entry = _by(maker, find_format(encode.format))
        cause = _trial(entry, encode, pix_fmt, width, height)
        if not cause:
            log.info("%s is encoded by %s's graphics card (%s)", label, maker.name, entry.encoder)
            return replace(encode, encoder=entry.encoder)
        causes.append(f"{maker.name}: {cause}")
    log.warning(
        "No graphics card here encodes %s, it is encoded in software (%s)", label, "; ".join(causes)
    )
    return replace(encode, encoder=SOFTWARE)


def _by(maker: Maker, entry: Format) -> Format:
    quality = entry.quality
    assert quality is not None  # of all that have such encoders
    return replace(
        entry,
        encoder=f"{entry.name}_{maker.suffix}",
        options=maker.options,
        quality=Quality(maker.quality, 1, 51, quality.default),
        fields={},
        durations=False,
        repacked=PIX_FMTS,
    )


def _trial(entry: Format, encode: EncodeOptions, pix_fmt: str, width: int, height: int) -> str:
    """Why the encoder cannot encode such pictures; empty if it can."""
    if pix_fmt not in PIX_FMTS:
        return f"it takes no {pix_fmt}"
    filters = ",".join(entry.repacking(pix_fmt))
    options = ["-vf", filters, *entry.encoder_options(encode.quality, "", pix_fmt=pix_fmt)]
    source = f"color=gray:size={width}x{height}:rate=25,format={pix_fmt}"
    with FFmpeg(
        ["-f", "lavfi", "-i", source, "-frames:v", "3", *options, "-f", "null", "-"]
    ) as process:
        return process.cause() if process.wait() else ""
