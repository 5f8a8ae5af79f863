"""A clip in other colours: luma, sound and times go through untouched, only chroma is made."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from ..options import EncodeOptions
from .clip import Clip, checked_frames
from .decoder import SCALER, Decoder
from .encoder import Encoder, color_tags, pixel_aspect
from .ffmpeg import VideoError, input_file
from .formats import Format, find_format, ratio
from .matroska import header
from .planes import MATRICES, PlaneFormat
from .probe import as_clip
from .streams import copied_streams
from .transcode import ColourStream, Transcoder

log = logging.getLogger(__name__)

DEFAULT_ENCODE = EncodeOptions()


def recolor(
    source: Clip | str | os.PathLike,
    target: str | os.PathLike,
    colour: ColourStream,
    *,
    frames: range | None = None,
    encode: EncodeOptions = DEFAULT_ENCODE,
    blend: float = 1.0,
    batch_size: int = 4,
    on_progress: Callable[[int, int], None] | None = None,
    check: Callable[[], None] | None = None,
) -> int:
    """Copy ``source`` to ``target`` with the chroma that ``colour`` gives; returns the frame count.

    ``colour(luma_batches, plane_format)`` is a generator function. It takes an iterator of Y
    planes as they are coded, read-only batches ``(n, height, width)`` of ``plane_format.dtype``
    with up to ``batch_size`` frames, and yields for each batch, in order, its coded U and V planes
    ``(n, *plane_format.chroma_size)``. It may read as far ahead as it likes before it yields: a
    batch stays valid until its chroma has been yielded. It runs in the caller's thread and is
    closed at the end, however that comes.

    The luma keeps its codes: depth (8 or 10 bits; ``encode.bit_depth`` None: the source's, as far
    as the format has it), range and matrix are the source's, and tagged. HDR (PQ, HLG) keeps its
    tags. Frame times are kept, variable rate included. Sound, subtitles, chapters and metadata are
    copied where the container takes them. ``frames`` of the clip are coloured, or all; what is
    copied is trimmed with them, to the frame.

    ``blend``: how much of the new chroma is used, 0 (the clip keeps its own) to 1 (all of it).

    Decoding, ``colour`` and encoding overlap, in memory for the batches that ``colour`` holds and
    one on either side. ``on_progress(done, total)`` is called after each batch, ``check()``
    several times a second while this waits; what they or ``colour`` raise ends the work.
    ``target`` appears under its name only when it is whole.

    Raises `VideoError`; ``FileExistsError`` when ``target`` exists and is not to be overwritten;
    ``ValueError`` when ``colour`` yields planes of another shape or type, too few or too many.
    """
    clip = as_clip(source)
    path = Path(target)
    entry = find_format(encode.format)
    entry.container(path)  # a wrong suffix is said first
    frames = checked_frames(clip, frames)
    plane_format = plane_format_for(clip, path, entry, encode.bit_depth)
    fields = coded_fields(clip, entry)
    log_caveats(clip, plane_format, path, fields)
    with_chroma = blend < 1 and not clip.pix_fmt.startswith("gray")
    with (
        _open_encoder(clip, frames, plane_format, path, encode, fields, check) as encoder,
        open_decoder(clip, frames, plane_format, with_chroma=with_chroma) as decoder,
    ):
        transcoder = Transcoder(
            decoder, encoder, plane_format, batch_size, blend, with_chroma, check
        )
        count = transcoder.run(colour, len(frames), on_progress)
        decoder.report_damage(len(frames) - count)
        encoder.finish()
    return count


def plane_format_for(clip: Clip, path: Path, entry: Format, bit_depth: int | None) -> PlaneFormat:
    if entry.rgb:
        raise VideoError(f"{path}: {entry.label} holds no luma and chroma; choose a film format.")
    if clip.color_matrix not in MATRICES:
        raise VideoError(
            f"{clip.path}: its colour matrix {clip.color_matrix} has no plain luma; "
            f"convert the clip to BT.709 first."
        )
    depth = bit_depth or entry.depth_for(clip.bit_depth)
    return PlaneFormat(
        pix_fmt=entry.pix_fmt(depth, False, clip.width, clip.height),
        luma_size=(clip.height, clip.width),
        full_range=clip.has_luma and clip.color_range == "pc" and entry.full_range,
        matrix=clip.color_matrix,
    )


def coded_fields(clip: Clip, entry: Format) -> str | None:
    """The field order with which the pictures are coded; None: as whole frames."""
    # x264 codes fields in pairs of macroblock rows that halve evenly only so.
    return clip.field_order if entry.fields and clip.height % 4 == 0 else None


def log_caveats(clip: Clip, plane_format: PlaneFormat, path: Path, fields: str | None) -> None:
    """Warn of what a viewer of the result may stumble over."""
    if clip.interlaced:
        log.warning(
            "%s is interlaced: it is coloured as whole frames, and %s %s as interlaced; "
            "deinterlace it first for clean edges",
            clip.path,
            path,
            "is marked" if fields else "is not marked",
        )
    if clip.is_hdr:
        log.warning(
            "%s is HDR (%s): its tags are kept, its colours are guessed as if it were SDR",
            clip.path,
            clip.color_trc,
        )
    if clip.bit_depth > plane_format.depth:
        log.warning(
            "%s has %d bits a sample, %s gets %d",
            clip.path,
            clip.bit_depth,
            path,
            plane_format.depth,
        )
    if "444" in plane_format.pix_fmt and (clip.width % 2 or clip.height % 2):
        log.warning(
            "%s is %dx%d: the odd size is kept with 4:4:4 chroma, which not every player "
            "shows; AV1, VP9 and FFV1 keep it in 4:2:0",
            path,
            clip.width,
            clip.height,
        )


def open_decoder(
    clip: Clip, frames: range, plane_format: PlaneFormat, *, with_chroma: bool
) -> Decoder:
    """A decoder of Y planes, or of all three, that leaves the luma alone."""
    deep = "" if plane_format.depth == 8 else f"{plane_format.depth}le"
    wanted_range = "pc" if plane_format.full_range else "tv"
    filters: list[str] = []
    is_same_depth = clip.bit_depth == plane_format.depth
    if not (clip.has_luma and is_same_depth and clip.color_range == wanted_range):
        matrix = plane_format.matrix
        filters = [
            f"scale=in_range={clip.color_range}:out_range={wanted_range}"
            f":in_color_matrix={matrix}:out_color_matrix={matrix}:{SCALER}",
            f"format={plane_format.pix_fmt if with_chroma else f'yuv420p{deep}'}",
        ]
    if with_chroma:
        # Only the chroma is resampled, where that is coded otherwise.
        filters += [
            f"scale=in_range={wanted_range}:out_range={wanted_range}:{SCALER}",
            f"format={plane_format.pix_fmt}",
        ]
    else:
        filters.append("extractplanes=y")
    return Decoder(
        clip,
        filters,
        plane_format.pix_fmt if with_chroma else f"gray{deep}",
        start_frame=frames.start,
        frame_count=len(frames) if frames.stop < clip.frame_count else None,
    )


def _open_encoder(
    clip: Clip,
    frames: range,
    plane_format: PlaneFormat,
    path: Path,
    encode: EncodeOptions,
    fields: str | None,
    check: Callable[[], None] | None,
) -> Encoder:
    container = find_format(encode.format).container(path)
    height, width = plane_format.luma_size
    return Encoder(
        path,
        encode,
        header(plane_format.pix_fmt, width, height, clip.fps),
        inputs=copied_input(clip, frames),
        outputs=[
            *before_first(frames),
            *picture_options(clip, frames, plane_format, path, encode, fields),
            *copied_streams(clip, container, path, 1),
        ],
        delay=delay_of(clip, frames),
        check=check,
    )


def delay_of(clip: Clip, frames: range) -> Fraction:
    """When the first of ``frames`` is shown: at once in a trimmed clip, else as it was."""
    return Fraction(0) if frames.start else clip.time_of(0)


def copied_input(clip: Clip, frames: range) -> list[str]:
    """Input arguments for what is copied beside the picture, trimmed as the ``frames`` are."""
    origin = clip.time_of(frames.start) if frames.start else Fraction(0)
    trim = ["-ss", f"{float(origin):.6f}"] if frames.start else []
    if frames.stop < clip.frame_count:
        trim += ["-t", f"{float(clip.time_of(frames.stop) - origin):.6f}"]
    return input_file(clip.path, trim)


def before_first(frames: range) -> list[str]:
    """Output options that leave out copied sound from before the first frame."""
    return ["-ss", "0"] if frames.start else []


def tick_of(clip: Clip) -> Fraction:
    """The unit of the encoder's times, in seconds."""
    return clip.time_base if clip.times is not None else 1 / clip.fps


def picture_options(
    clip: Clip,
    frames: range,
    plane_format: PlaneFormat,
    path: Path,
    encode: EncodeOptions,
    fields: str | None,
) -> list[str]:
    """Output options that encode the raw pictures of input 0."""
    entry = find_format(encode.format)
    tick = tick_of(clip)
    return [
        *("-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base:v", ratio(tick)),
        *("-vf", _tagging_filters(clip, plane_format, fields)),
        *("-color_range", "pc" if plane_format.full_range else "tv"),  # FFV1 looks only here
        *entry.encoder_options(encode.quality, path.suffix.lower(), interlaced=bool(fields)),
        *(() if entry.durations else _last_duration(clip, frames, tick)),
    ]


def _tagging_filters(clip: Clip, plane_format: PlaneFormat, fields: str | None) -> str:
    color_range = "pc" if plane_format.full_range else "tv"
    filters = [
        color_tags(plane_format.matrix, color_range, clip.color_primaries, clip.color_trc),
        pixel_aspect(clip.sample_aspect_ratio),
    ]
    if fields:
        filters.append(f"setfield={fields}")
    return ",".join(filters)


def _last_duration(clip: Clip, frames: range, tick: Fraction) -> list[str]:
    """Sets, after the encoder, how long the last frame is shown; each other lasts to the next."""
    end = clip.start + Fraction(clip.duration)
    if frames.stop < clip.frame_count:
        end = clip.time_of(frames.stop)
    ticks = round((end - clip.time_of(frames.stop - 1)) / tick)
    return ["-bsf:v", f"setts=duration=if(eq(N\\,{len(frames) - 1})\\,{ticks}\\,DURATION)"]
