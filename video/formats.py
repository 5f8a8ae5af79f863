"""The table of output formats: what each container and encoder can take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from .ffmpeg import VideoError

_MP4_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
_MOV_AUDIO = frozenset(
    {
        "aac",
        "mp3",
        "ac3",
        "eac3",
        "alac",
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_s32be",
        "pcm_f32le",
        "pcm_f32be",
    }
)
TEXT_SUBTITLES = frozenset({"subrip", "ass", "ssa", "webvtt", "mov_text", "text"})


@dataclass(frozen=True)
class Container:
    """A muxer, and which streams it copies. ``None`` for a codec set: any."""

    muxer: str
    audio: frozenset[str] | None
    audio_fallback: tuple[str, ...]
    subtitles: frozenset[str]
    subtitle_fallback: str
    options: tuple[str, ...] = ()
    attachments: bool = False
    covers: bool = False  # whether it has a place for cover art
    data: frozenset[str] = frozenset()  # four-character codes of data tracks that it takes
    channels: int = 8  # that ``audio_fallback`` takes at most

    @property
    def is_mp4(self) -> bool:
        return self.muxer in ("mp4", "mov")

    def check_channels(self, path: Path, count: int) -> None:
        """Raise `VideoError` when sound of ``count`` channels cannot be encoded for ``path``."""
        if count > self.channels:
            raise VideoError(
                f"{path}: the sound has {count} channels and {self.audio_fallback[0]} "
                f"takes {self.channels} at most; mix it down, or choose ProRes (.mov)"
            )


_MP4 = Container(
    "mp4",
    _MP4_AUDIO,
    ("aac", "-b:a", "256k"),
    frozenset({"mov_text"}),
    "mov_text",
    ("-movflags", "+faststart", "-write_tmcd", "on"),
    covers=True,
    data=frozenset({"gpmd"}),
)
_MOV = Container(
    "mov",
    _MOV_AUDIO,
    ("pcm_s24le",),
    frozenset({"mov_text"}),
    "mov_text",
    ("-movflags", "+faststart"),
    data=frozenset({"gpmd"}),
    channels=64,
)
_MKV = Container(
    "matroska",
    None,
    ("flac",),
    TEXT_SUBTITLES - {"mov_text"} | {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "subrip",
    attachments=True,
    covers=True,
)
_WEBM = Container(
    "webm",
    frozenset({"opus", "vorbis"}),
    ("libvorbis", "-q:a", "6"),
    frozenset({"webvtt"}),
    "webvtt",
)
_SILENT: frozenset[str] = frozenset()


def _silent(muxer: str, *options: str) -> Container:
    return Container(muxer, _SILENT, (), _SILENT, "", options)


@dataclass(frozen=True)
class Quality:
    """The encoder's own number: its option, its range and its default."""

    option: str
    low: int
    high: int
    default: int


@dataclass(frozen=True)
class Format:
    """An output format: a row of `FORMATS`, whose names are also listed in ``options.FORMATS``.

    ``containers`` maps a file's suffix to its container, the usual one first. ``pix_fmts`` maps
    (bit depth, alpha) to the encoder's pixel format.
    """

    name: str
    label: str
    containers: Mapping[str, Container]
    encoder: str
    pix_fmts: Mapping[tuple[int, bool], str]
    options: tuple[str, ...] = ()
    quality: Quality | None = None
    even_size: bool = False
    full_range: bool = True
    browser_playable: bool = False  # whether common browsers show it
    least_size: int = 1
    # Whether frames may be marked as interlaced: the encoder's options, by their field order.
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    usual_depth: int | None = None  # that every player shows, None for any
    durations: bool = True  # whether the encoder passes on how long frames last
    aspect: bool = True  # whether files say how wide a pixel is
    filters: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    # What the encoder takes instead of each pixel format, with the same samples in another order.
    repacked: Mapping[str, str] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """The usual suffix of a file in this format; "" is a folder."""
        return next(iter(self.containers))

    @property
    def bit_depths(self) -> tuple[int, ...]:
        return tuple(sorted({depth for depth, _ in self.pix_fmts}))

    @property
    def alpha(self) -> bool:
        return any(alpha for _, alpha in self.pix_fmts)

    @property
    def rgb(self) -> bool:
        """Whether the format stores RGB and no YUV."""
        return not any(name.startswith("yuv") for name in self.pix_fmts.values())

    @property
    def sound(self) -> bool:
        return any(container.audio_fallback for container in self.containers.values())

    def container(self, path: Path) -> Container:
        container = self.containers.get(path.suffix.lower())
        if container is None:
            names = " or ".join(suffix or "no suffix (a folder)" for suffix in self.containers)
            raise VideoError(
                f"{path}: {self.label} is stored with {names}; "
                f"name the output so or choose another format."
            )
        return container

    def depth_for(self, depth: int) -> int:
        """The least depth of this format that holds ``depth`` bits, or its greatest."""
        return next((d for d in self.bit_depths if d >= depth), self.bit_depths[-1])

    def default_depth(self, depth: int, is_hdr: bool = False) -> int:
        """Bits a sample for a clip of ``depth``, where nobody has chosen."""
        if self.usual_depth and not is_hdr:
            return self.usual_depth
        return self.depth_for(depth)

    def pix_fmt(self, bit_depth: int, alpha: bool, width: int, height: int) -> str:
        """The encoder's pixel format for such pictures.

        Raises `VideoError` when the format has no such depth, alpha or size.
        """
        if (bit_depth, alpha) not in self.pix_fmts:
            depths = " or ".join(map(str, self.bit_depths))
            raise VideoError(
                f"{self.label} has {depths} bits a sample"
                + (" and no alpha." if alpha and not self.alpha else ".")
            )
        if min(width, height) < self.least_size:
            raise VideoError(
                f"{self.label} takes pictures from {self.least_size}x"
                f"{self.least_size}, not {width}x{height}; choose another format."
            )
        name = self.pix_fmts[bit_depth, alpha]
        if "422" in name and width % 2:  # ffmpeg's ProRes encoder shifts the chroma of these
            raise VideoError(f"{self.label} takes even widths, not {width}; choose ProRes 4444.")
        if self.even_size and (width % 2 or height % 2):
            return name.replace("420", "444")
        return name

    def repacking(self, pix_fmt: str) -> list[str]:
        """Filters that bring pictures of ``pix_fmt`` to what the encoder takes."""
        return ["scale", f"format={self.repacked[pix_fmt]}"] if pix_fmt in self.repacked else []

    def encoder_options(
        self,
        quality: float | None,
        suffix: str,
        field_order: str | None = None,
        pix_fmt: str = "",
    ) -> list[str]:
        """ffmpeg's output options for the encoder, of pictures of ``pix_fmt``."""
        options = ["-c:v:0", self.encoder, *self.options]
        if field_order:
            options += self.fields[field_order]
        if self.quality:
            value = self.quality.default if quality is None else quality
            if not self.quality.low <= value <= self.quality.high:
                raise VideoError(
                    f"{self.label} takes a quality from {self.quality.low} to "
                    f"{self.quality.high}, not {value}."
                )
            options += [self.quality.option, f"{value:g}"]
        if pix_fmt in self.repacked:
            # Without the plus ffmpeg would choose another where the encoder does not have it.
            options += ["-pix_fmt:v:0", f"+{self.repacked[pix_fmt]}"]
        if suffix in self.tags:
            options += ["-tag:v:0", self.tags[suffix]]
        return options


# x264 keeps every frame that it looks ahead to. Half of its 40 at this preset, which is what x265
# has, saves 60 MB at 720p and costs nothing that can be measured at one file size.
LOOKAHEAD = ("-rc-lookahead", "20")

_INTERLACED = ("-flags", "+ildct+ilme")
_FIELDS = {"tff": _INTERLACED, "bff": _INTERLACED}

_YUV420 = {(8, False): "yuv420p", (10, False): "yuv420p10le"}

FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "h264",
            "H.264",
            {".mp4": _MP4, ".mov": _MOV, ".mkv": _MKV},
            "libx264",
            _YUV420,
            ("-preset", "medium", *LOOKAHEAD),
            Quality("-crf", 0, 51, 18),
            browser_playable=True,
            even_size=True,
            # By the frames' flags alone x264 tells the first ones only.
            fields=_FIELDS | {"bff": (*_INTERLACED, "-x264-params", "bff=1")},
            usual_depth=8,
        ),
        Format(
            "hevc",
            "HEVC",
            {".mp4": _MP4, ".mov": _MOV, ".mkv": _MKV},
            "libx265",
            _YUV420,
            ("-preset", "medium", "-x265-params", "log-level=error"),
            Quality("-crf", 0, 51, 20),
            even_size=True,
            least_size=16,
            tags={".mp4": "hvc1", ".mov": "hvc1"},
        ),
        Format(
            "av1",
            "AV1",
            {".mp4": _MP4, ".mkv": _MKV, ".webm": _WEBM},
            "libsvtav1",
            _YUV420,
            ("-preset", "8"),
            Quality("-crf", 0, 63, 26),
            browser_playable=True,
            least_size=16,
            durations=False,
        ),
        Format(
            "vp9",
            "VP9",
            {".webm": _WEBM, ".mkv": _MKV},
            "libvpx-vp9",
            _YUV420 | {(8, True): "yuva420p"},
            ("-b:v:0", "0", "-deadline", "good", "-cpu-used", "3", "-row-mt", "1"),
            Quality("-crf", 0, 63, 24),
            browser_playable=True,
        ),
        Format(
            "prores",
            "ProRes",
            {".mov": _MOV, ".mkv": _MKV},
            "prores_ks",
            {(10, False): "yuv422p10le"},
            ("-vendor", "apl0"),
            Quality("-profile:v", 0, 3, 3),
            full_range=False,
            fields=_FIELDS,
        ),
        Format(
            "prores4444",
            "ProRes 4444",
            {".mov": _MOV, ".mkv": _MKV},
            "prores_ks",
            {(10, False): "yuv444p10le", (10, True): "yuva444p10le"},
            ("-vendor", "apl0"),
            Quality("-profile:v", 4, 5, 4),
            full_range=False,
            fields=_FIELDS,
        ),
        Format(
            "ffv1",
            "FFV1",
            {".mkv": _MKV},
            "ffv1",
            _YUV420 | {(8, True): "yuva420p", (10, True): "yuva420p10le"},
            ("-level", "3", "-g", "1", "-slicecrc", "1"),
            fields=_FIELDS,
        ),
        Format(
            "gif",
            "GIF",
            {".gif": _silent("gif", "-loop", "0")},
            "gif",
            {(8, False): "pal8", (8, True): "pal8"},
            browser_playable=True,
            filters="split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1",
        ),
        Format(
            "webp",
            "Animated WebP",
            {".webp": _silent("webp", "-loop", "0")},
            "libwebp_anim",
            {(8, False): "bgra", (8, True): "bgra"},
            quality=Quality("-quality", 0, 100, 90),
            browser_playable=True,
            aspect=False,
        ),
        Format(
            "png",
            "PNG sequence",
            {"": _silent("image2")},
            "png",
            {
                (8, False): "rgb24",
                (8, True): "rgba",
                (16, False): "rgb48be",
                (16, True): "rgba64be",
            },
            ("-pred", "mixed"),
            browser_playable=True,
        ),
    )
}


def find_format(name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        raise VideoError(
            f"There is no video format {name!r}; choose one of {', '.join(FORMATS)}."
        ) from None


def exact_rate(fps: Fraction | float) -> Fraction:
    """``fps`` as the fraction that is meant: 29.97 is 30000/1001."""
    if isinstance(fps, float):
        for nominal in (24, 30, 48, 60, 120):
            if abs(fps - nominal / 1.001) < 0.005:
                return Fraction(nominal * 1000, 1001)
    return Fraction(fps).limit_denominator(100_000)


def ratio(value: Fraction) -> str:
    """``value`` as ffmpeg's options take it, such as 30000/1001."""
    return f"{value.numerator}/{value.denominator}"
