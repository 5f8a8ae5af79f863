"""What is written comes back: pictures, rate, sound, metadata, in every format of the table."""

from fractions import Fraction

import numpy as np
import pytest
from colorizationnet.options import FORMATS as OFFERED
from colorizationnet.options import EncodeOptions
from colorizationnet.video import FORMATS, FrameWriter, VideoError, probe, read_audio, read_frames
from PIL import Image
from video_clips import ffmpeg, make_clip


def picture(width, height, count, channels=3, deep=False):
    """Smooth moving colours, ``(count, height, width, channels)``."""
    k, y, x = np.meshgrid(
        np.arange(count) / count, np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij"
    )
    planes = [0.2 + 0.6 * x, 0.3 + 0.5 * y, 0.2 + 0.4 * k + 0.2 * x, 0.5 + 0.5 * x]
    full, dtype = (65535, np.uint16) if deep else (255, np.uint8)
    return np.round(np.stack(planes[:channels], axis=-1) * full).astype(dtype)


def write(path, frames, fps=25, *, alpha=False, audio=None, sample_aspect_ratio=1, **encode):
    options = {"alpha": alpha, "audio": audio, "sample_aspect_ratio": sample_aspect_ratio}
    size = frames.shape[2], frames.shape[1]
    with FrameWriter(path, *size, fps, EncodeOptions(**encode), **options) as writer:
        for start in range(0, len(frames), 4):
            writer.write(frames[start : start + 4])
    return path


CASES = [
    pytest.param(entry, suffix, depth, alpha, id=f"{entry.name}{suffix}-{depth}-{alpha}")
    for entry in FORMATS.values()
    for suffix in entry.containers
    for depth, alpha in entry.pix_fmts
    if entry.name not in ("gif", "png")
]


@pytest.mark.parametrize(("entry", "suffix", "depth", "alpha"), CASES)
def test_every_format_comes_back(tmp_path, entry, suffix, depth, alpha):
    frames = picture(64, 48, 7, 3 + alpha, depth > 8)
    path = write(
        tmp_path / f"clip{suffix}", frames, format=entry.name, bit_depth=depth, alpha=alpha
    )
    clip = probe(path)
    assert (clip.width, clip.height, clip.frame_count) == (64, 48, 7)
    assert clip.fps == 25
    if alpha:
        assert clip.has_alpha
    if not entry.rgb:
        assert (clip.color_matrix, clip.color_range) == ("smpte170m", "tv")
        assert clip.bit_depth >= depth
    back = np.concatenate(list(read_frames(clip, alpha=alpha)))
    error = back / np.iinfo(back.dtype).max - frames / np.iinfo(frames.dtype).max
    assert np.abs(error).mean() < 0.012
    assert np.abs(error.mean(axis=(0, 1, 2))).max() < 0.008


def test_gif(tmp_path):
    frames = picture(64, 48, 7)
    clip = probe(write(tmp_path / "clip.gif", frames, format="gif"))
    back = np.concatenate(list(read_frames(clip, alpha=False))).astype(int)
    assert back.shape == frames.shape
    assert np.abs(back - frames).mean() < 6
    clear = picture(64, 48, 7, 4)
    clear[..., 3] = np.where(np.arange(64) < 32, 0, 255)
    back = next(read_frames(write(tmp_path / "clear.gif", clear, format="gif", alpha=True)))
    assert (back[:, :, :32, 3] == 0).all() and (back[:, :, 32:, 3] == 255).all()


@pytest.mark.parametrize(("depth", "alpha"), FORMATS["png"].pix_fmts)
def test_png_sequence_loses_nothing(tmp_path, depth, alpha):
    frames = picture(33, 21, 5, 3 + alpha, depth > 8)
    folder = write(tmp_path / "frames", frames, format="png", bit_depth=depth, alpha=alpha)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{number:06}.png" for number in range(1, 6)]
    if depth == 8:
        back = [np.asarray(Image.open(folder / name)) for name in names]
        assert (np.stack(back) == frames).all()
    else:
        back = ffmpeg(
            "-i",
            folder / "%06d.png",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgba64le" if alpha else "rgb48le",
            "-",
        )
        assert (np.frombuffer(back, "<u2").reshape(frames.shape) == frames).all()
    with pytest.raises(FileExistsError):
        FrameWriter(folder, 33, 21, 25, EncodeOptions("png", overwrite=True))


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("size", [(1280, 64), (65, 49)])
def test_levels_stay_over_five_passes(tmp_path, depth, size):
    first = frames = picture(*size, 2, deep=depth > 8)
    for number in range(5):
        path = write(tmp_path / f"{number}.mkv", frames, format="ffv1", bit_depth=depth)
        frames = next(read_frames(path))
        assert frames.dtype == first.dtype
    shift = (frames.astype(float) - first).mean(axis=(0, 1, 2)) * 255 / np.iinfo(first.dtype).max
    assert np.abs(shift).max() < 0.1


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "25/2", "60"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rate_is_exact(tmp_path, rate, suffix):
    path = write(tmp_path / f"clip{suffix}", picture(16, 16, 31), Fraction(rate))
    assert (probe(path).fps, probe(path).times) == (Fraction(rate), None)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (29.97, "30000/1001"),
        (30000 / 1001, "30000/1001"),
        (23.976, "24000/1001"),
        (24.0, "24"),
        (23.98, "24000/1001"),
        (59.94, "60000/1001"),
        (12.5, "25/2"),
        (30, "30"),
        (0.5, "1/2"),
    ],
)
def test_rates_as_people_type_them(tmp_path, given, meant):
    path = write(tmp_path / "clip.mp4", picture(16, 16, 5), given)
    assert probe(path).fps == Fraction(meant)


@pytest.mark.parametrize(
    ("entry", "suffix"),
    [(entry, suffix) for entry in FORMATS.values() for suffix in entry.containers if entry.aspect],
)
def test_sample_aspect_ratio_comes_back(tmp_path, entry, suffix):
    aspect = Fraction(16, 15)  # of PAL
    depth = entry.depth_for(8)
    frames = picture(64, 48, 3, deep=depth > 8)
    options = {"format": entry.name, "bit_depth": depth, "sample_aspect_ratio": aspect}
    path = write(tmp_path / f"clip{suffix}", frames, **options)
    clip = probe(path / "000001.png" if path.is_dir() else path)
    assert (clip.width, clip.height) == (64, 48)
    assert clip.sample_aspect_ratio == pytest.approx(aspect, rel=1 / 64)  # GIF counts in 64ths
    if suffix in (".mp4", ".mov", ".mkv"):
        assert clip.sample_aspect_ratio == aspect


def test_sample_aspect_ratio_that_cannot_be_stored_is_said(tmp_path, caplog):
    write(tmp_path / "clip.webp", picture(16, 16, 2), format="webp", sample_aspect_ratio=2)
    assert "no sample aspect ratio" in caplog.text
    for aspect in (0, -1, Fraction(1, 65536), 65536):
        with pytest.raises(ValueError, match="from 1/65535 to 65535"):
            FrameWriter(tmp_path / "clip.mp4", 16, 16, 25, sample_aspect_ratio=aspect)
    assert not (tmp_path / "clip.mp4").exists()


def test_formats_are_those_of_the_options():
    assert tuple(FORMATS) == OFFERED
    assert all(name == entry.name for name, entry in FORMATS.items())


def test_bigger_pictures_are_tagged_as_hd(tmp_path):
    path = write(tmp_path / "clip.mp4", picture(1280, 16, 2))
    clip = probe(path)
    tags = (clip.color_matrix, clip.color_primaries, clip.color_trc, clip.color_range)
    assert tags == ("bt709", "bt709", "bt709", "tv")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(
    ("format", "suffix"), [("h264", ".mp4"), ("h264", ".mov"), ("ffv1", ".mkv"), ("vp9", ".webm")]
)
def test_sound_of_any_channel_count(tmp_path, channels, format, suffix):
    time = np.arange(48000) / 48000
    tones = 40 + 10 * np.arange(channels)  # low enough for the LFE
    samples = 0.3 * np.sin(2 * np.pi * tones[:, None] * time)
    path = write(
        tmp_path / f"clip{suffix}",
        picture(16, 16, 25),
        format=format,
        audio=(samples.astype(np.float32), 48000),
    )
    back, rate = read_audio(path)
    assert (rate, back.shape[0]) == (48000, channels)
    spectrum = np.abs(np.fft.rfft(back[:, 12000:36000]))  # 2 Hz a bin
    assert (spectrum.argmax(axis=1) * 2 == tones).all()


def test_too_many_channels_are_said(tmp_path):
    sound = np.zeros((12, 48000), np.float32), 48000
    for name, format in (("clip.mp4", "h264"), ("clip.webm", "vp9"), ("clip.mkv", "ffv1")):
        with pytest.raises(VideoError, match="12 channels and .* takes 8 at most; mix it down"):
            FrameWriter(tmp_path / name, 16, 16, 25, EncodeOptions(format), audio=sound)
    frames = picture(16, 16, 25, deep=True)
    path = write(tmp_path / "clip.mov", frames, format="prores", bit_depth=10, audio=sound)
    assert probe(path).audio[0].channels == 12


@pytest.mark.parametrize(("rate", "seconds"), [(22050, 0.3), (44100, 2.0), (48000, 5.0)])
def test_sound_is_shorter_or_as_long_as_the_picture(tmp_path, rate, seconds):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (2, int(rate * seconds)))
    path = write(
        tmp_path / "clip.mkv",
        picture(16, 16, 48),
        24,
        format="ffv1",
        audio=(samples.astype(np.float32), rate),
    )
    back, _ = read_audio(path)
    length = int(rate * min(seconds, 2))
    assert back.shape == (2, length)
    assert np.abs(back - samples[:, :length]).max() < 1e-4
    assert probe(path).frame_count == 48


def test_metadata_is_embedded(tmp_path):
    workflow = '{"1": "a = b; # c\\\\d", "2": "漢字"}' + " " * 200_000 + "end"
    for name, format in (("clip.mp4", "h264"), ("clip.mkv", "ffv1"), ("clip.webm", "vp9")):
        path = write(
            tmp_path / name,
            picture(16, 16, 2),
            format=format,
            metadata={"workflow": workflow, "prompt": "short"},
        )
        text = ffmpeg("-i", path, "-f", "ffmetadata", "-").decode()
        for special in "\\=;#\n":
            text = text.replace("\\" + special, special)
        assert workflow in text
        assert "prompt=short" in text.lower()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bit_depth": 12}, "8 or 10 bits"),
        ({"alpha": True}, "no alpha"),
        ({"format": "prores", "bit_depth": 10, "size": (33, 16)}, "even widths"),
        ({"format": "av1", "size": (8, 8)}, "16x16"),
        ({"quality": -1}, "0 to 51"),
    ],
)
def test_what_a_format_cannot_do_is_said(tmp_path, options, match):
    size, alpha = options.pop("size", (16, 16)), options.pop("alpha", False)
    name = {"prores": "clip.mov"}.get(options.get("format"), "clip.mp4")
    with pytest.raises(VideoError, match=match):
        FrameWriter(tmp_path / name, *size, 25, EncodeOptions(**options), alpha=alpha)
    assert list(tmp_path.iterdir()) == []


def test_odd_sizes_are_kept(tmp_path):
    for name, format, depth in (
        ("a.mp4", "h264", 8),
        ("b.webm", "vp9", 8),
        ("c.mp4", "av1", 10),
        ("d.mkv", "ffv1", 8),
        ("e.mp4", "hevc", 8),
    ):
        frames = picture(65, 49, 3, deep=depth > 8)
        path = write(tmp_path / name, frames, format=format, bit_depth=depth)
        back = next(read_frames(path))
        assert back.shape == frames.shape
        error = back / np.iinfo(back.dtype).max - frames / np.iinfo(frames.dtype).max
        assert np.abs(error).mean() < 0.012


def test_quality_is_the_encoders_own(tmp_path):
    frames = next(read_frames(make_clip(tmp_path / "in.mkv", "-c:v", "ffv1", size="128x96")))
    sizes = [write(tmp_path / f"{crf}.mp4", frames, quality=crf).stat().st_size for crf in (10, 40)]
    assert sizes[0] > 1.5 * sizes[1]


def test_strange_layout_of_memory_is_fine(tmp_path):
    frames = picture(48, 64, 4).swapaxes(1, 2)[:, ::-1]
    back = next(read_frames(write(tmp_path / "clip.mkv", frames, format="ffv1")))
    assert np.abs(back.astype(int) - frames).mean() < 2
