"""A clip in other colours: luma, sound and times go through untouched, only chroma is made."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm
from pathlib import Path
from tempfile import TemporaryDirectory

from ..files import temp_prefix
from ..options import EncodeOptions
from .clip import Clip, checked_frames
from .decoder import SCALER, Decoder
from .encoder import PIPE, Encoder, color_tags, pixel_aspect
from .ffmpeg import VideoError
from .formats import Format, find_format, ratio
from .hardware import format_of, with_encoder
from .matroska import header
from .mp4_times import parse_time
from .planes import MATRICES, PlaneFormat
from .probe import as_clip
from .streams import carried_streams
from .transcode import ColourStream, Transcoder

log = logging.getLogger(__name__)

DEFAULT_ENCODE = EncodeOptions()
HDR_FORMAT = "hevc"  # few players show more than 8 bits of H.264
FINEST_TICK = 1_000_000  # a second; more than this an encoder or a container may not have


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

    The luma keeps its codes: range and matrix are the source's, and tagged, and so is the depth as
    far as the format has it, but that H.264 has 8 bits, which everything plays, unless
    ``encode.bit_depth`` says otherwise. HDR (PQ, HLG) keeps its tags and depth, as HEVC where
    H.264 is asked for without a depth. Alpha is kept where the format has it. Frame times are kept,
    variable rate included. Sound, subtitles, chapters, cover art, timecode, attachments, tags and
    dispositions are copied where the container takes them. ``frames`` of the clip are coloured, or
    all; what is copied is trimmed with them, to the frame.

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
    encode = check_recolor(clip, path, encode)
    frames = checked_frames(clip, frames)
    plane_format = plane_format_for(clip, path, encode)
    with_chroma = needs_chroma(clip, blend)
    with (
        TemporaryDirectory(prefix=temp_prefix()) as folder,
        _open_encoder(clip, frames, plane_format, path, encode, Path(folder), check) as encoder,
        open_decoder(clip, frames, plane_format, with_chroma=with_chroma) as decoder,
    ):
        transcoder = Transcoder(
            decoder, encoder, plane_format, batch_size, blend, with_chroma, check
        )
        count = transcoder.run(colour, len(frames), on_progress)
        decoder.report_damage(len(frames) - count)
        encoder.finish()
    return count


def check_recolor(clip: Clip, path: Path, encode: EncodeOptions) -> EncodeOptions:
    """The options with which ``clip`` is encoded into ``path``, and a warning of what is lost.

    Raises `VideoError` for what cannot be written.
    """
    asked, encode = encode, as_encoded(clip, encode)
    if encode.format != asked.format:
        log.warning("%s is HDR: it becomes HEVC, of which players show 10 bits", clip.path)
    entry = format_of(encode)
    entry.container(path)  # a wrong suffix is said first
    fields = _coded_fields(clip, entry)
    plane_format = plane_format_for(clip, path, encode)
    _log_caveats(clip, plane_format, path, fields)
    entry.encoder_options(encode.quality, path.suffix.lower(), fields)
    height, width = plane_format.luma_size
    return with_encoder(encode, plane_format.pix_fmt, width, height, interlaced=fields is not None)


def as_encoded(clip: Clip, encode: EncodeOptions) -> EncodeOptions:
    """The options with the format that ``clip`` really gets: HDR becomes HEVC where H.264 is asked
    for without a depth."""
    if encode.format == "h264" and encode.bit_depth is None and clip.is_hdr:
        return replace(encode, format=HDR_FORMAT)
    return encode


def _coded_fields(clip: Clip, entry: Format) -> str | None:
    """The field order with which the pictures are coded; None: as whole frames."""
    # x264 codes fields in pairs of macroblock rows that halve evenly only so.
    fields = clip.field_order if clip.height % 4 == 0 else None
    return fields if fields in entry.fields else None


def plane_format_for(clip: Clip, path: Path, encode: EncodeOptions) -> PlaneFormat:
    """How the pictures of ``clip`` are coded for ``path``; `VideoError` where they cannot be."""
    entry, bit_depth = find_format(encode.format), encode.bit_depth
    if entry.rgb:
        raise VideoError(f"{path}: {entry.label} holds no luma and chroma; choose a film format.")
    if clip.color_matrix not in MATRICES:
        raise VideoError(
            f"{clip.path}: its colour matrix {clip.color_matrix} has no plain luma; "
            f"convert the clip to BT.709 first."
        )
    depth = bit_depth or entry.default_depth(clip.bit_depth, clip.is_hdr)
    alpha = clip.has_alpha and (depth, True) in entry.pix_fmts
    return PlaneFormat(
        pix_fmt=entry.pix_fmt(depth, alpha, clip.width, clip.height),
        luma_size=(clip.height, clip.width),
        full_range=clip.has_luma and clip.color_range == "pc" and entry.full_range,
        matrix=clip.color_matrix,
    )


def _log_caveats(clip: Clip, plane_format: PlaneFormat, path: Path, fields: str | None) -> None:
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
            "%s has %d bits a sample, %s gets %d; a bit depth of 10 keeps more",
            clip.path,
            clip.bit_depth,
            path,
            plane_format.depth,
        )
    # Nearly every GIF could have transparency, hardly one has.
    if clip.has_alpha and not plane_format.alpha and clip.codec != "gif":
        log.warning("%s: its transparency is left out; prores4444, ffv1 and vp9 keep it", clip.path)
    if "444" in plane_format.pix_fmt and (clip.width % 2 or clip.height % 2):
        log.warning(
            "%s is %dx%d: the odd size is kept with 4:4:4 chroma, which not every player "
            "shows; AV1, VP9 and FFV1 keep it in 4:2:0",
            path,
            clip.width,
            clip.height,
        )


def needs_chroma(clip: Clip, blend: float) -> bool:
    """Whether a ``blend`` of the new chroma leaves something to see of the clip's own."""
    return blend < 1 and not clip.pix_fmt.startswith("gray")


def open_decoder(
    clip: Clip, frames: range, plane_format: PlaneFormat, *, with_chroma: bool
) -> Decoder:
    """A decoder of Y planes, with chroma or alpha of all, that leaves the luma alone."""
    all_planes = with_chroma or plane_format.alpha
    deep = "" if plane_format.depth == 8 else f"{plane_format.depth}le"
    wanted_range = "pc" if plane_format.full_range else "tv"
    filters: list[str] = []
    is_same_depth = clip.bit_depth == plane_format.depth
    if not (clip.has_luma and is_same_depth and clip.color_range == wanted_range):
        matrix = plane_format.matrix
        filters = [
            f"scale=in_range={clip.color_range}:out_range={wanted_range}"
            f":in_color_matrix={matrix}:out_color_matrix={matrix}:{SCALER}",
            f"format={plane_format.pix_fmt if all_planes else f'yuv420p{deep}'}",
        ]
    if all_planes:
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
        plane_format.pix_fmt if all_planes else f"gray{deep}",
        start_frame=frames.start,
        frame_count=len(frames) if frames.stop < clip.frame_count else None,
        timed=True,
    )


def _open_encoder(
    clip: Clip,
    frames: range,
    plane_format: PlaneFormat,
    path: Path,
    encode: EncodeOptions,
    folder: Path,
    check: Callable[[], None] | None,
) -> Encoder:
    delay = delay_of(clip, frames)
    height, width = plane_format.luma_size
    return open_muxer(
        clip,
        frames,
        path,
        encode,
        folder,
        head=header(plane_format.pix_fmt, width, height, clip.fps),
        outputs=picture_options(clip, frames, plane_format, path, encode, tick_of(clip, delay)),
        delay=delay,
        check=check,
    )


def open_muxer(
    clip: Clip,
    frames: range,
    path: Path,
    encode: EncodeOptions,
    folder: Path,
    *,
    head: bytes = b"",
    pictures: Sequence[str] = PIPE,
    outputs: Sequence[str],
    delay: Fraction,
    check: Callable[[], None] | None,
) -> Encoder:
    """An `Encoder` of pictures by the options ``outputs``, beside all that ``clip`` has else."""
    container = find_format(encode.format).container(path)
    carried = carried_streams(clip, frames, container, path, folder)
    if carried.plain_tags and any(encode.metadata.values()):
        log.info("%s has cover art, and so no tags with its settings: MP4 holds one of them", path)
        encode = replace(encode, metadata={})
    return Encoder(
        path,
        encode,
        head,
        pictures=pictures,
        inputs=carried.inputs,
        outputs=[*outputs, *carried.outputs],
        heard=carried.heard,
        plain_tags=carried.plain_tags,
        delay=delay,
        created=parse_time(clip.tags.get("creation_time", "")),
        check=check,
    )


def delay_of(clip: Clip, frames: range) -> Fraction:
    """When the first of ``frames`` is shown: at once in a trimmed clip, else as it was."""
    return Fraction(0) if frames.start else clip.time_of(0)


def picture_options(
    clip: Clip,
    frames: range,
    plane_format: PlaneFormat,
    path: Path,
    encode: EncodeOptions,
    tick: Fraction,
) -> list[str]:
    """Output options that encode the raw pictures of input 0, with times in units of ``tick``."""
    entry, suffix = format_of(encode), path.suffix.lower()
    fields = _coded_fields(clip, entry)
    tags = _tagging_filters(clip, plane_format, fields)
    return [
        *("-map", "0:v", "-fps_mode:v:0", "passthrough", "-enc_time_base:v:0", ratio(tick)),
        *("-filter:v:0", ",".join([*entry.repacking(plane_format.pix_fmt), tags])),
        # FFV1 looks only here for the range.
        *("-color_range:v:0", "pc" if plane_format.full_range else "tv"),
        *entry.encoder_options(encode.quality, suffix, fields, plane_format.pix_fmt),
        *(() if entry.durations else _last_duration(clip, frames, tick)),
    ]


def tick_of(clip: Clip, delay: Fraction) -> Fraction:
    """The encoder's time base, which tells the times of frames and their ``delay`` exactly."""
    if clip.times is not None:
        return clip.time_base
    # On a grid of the frames alone a late picture would be moved by up to half a frame.
    ticks = lcm(clip.fps.numerator, delay.denominator) if delay % (1 / clip.fps) else 0
    return Fraction(1, ticks) if 0 < ticks <= FINEST_TICK else 1 / clip.fps


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
    return ["-bsf:v:0", f"setts=duration=if(eq(N\\,{len(frames) - 1})\\,{ticks}\\,DURATION)"]
