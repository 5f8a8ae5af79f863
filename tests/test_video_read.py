"""Frames and sound come out of clips as they are in them."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from colorizationnet.video import (
    VideoError,
    count_frames,
    probe,
    read_audio,
    read_frames,
    read_luma,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate
from video_clips import ffmpeg, frame_hashes, make_clip, make_variable

# ITU-T H.273 table 4: (Kr, Kb).
WEIGHTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}


def to_rgb(y, u, v, matrix, color_range, depth=8):
    """RGB in [0, 1] of coded samples, by the definition (ITU-T H.273, 8.3) in float64."""
    scale = 1 << (depth - 8)
    if color_range == "pc":
        luma, cb, cr = (
            y / (256 * scale - 1),
            *((c - 128 * scale) / (256 * scale - 1) for c in (u, v)),
        )
    else:
        luma, cb, cr = (y / scale - 16) / 219, (u / scale - 128) / 224, (v / scale - 128) / 224
    kr, kb = WEIGHTS[matrix]
    red = luma + 2 * (1 - kr) * cr
    blue = luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip([red, green, blue], 0, 1)


def flat_clip(path, colour, size, tags, pix_fmt="yuv420p"):
    """A clip of one colour, given by its codes."""
    y, u, v = colour
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        f"nullsrc=s={size}:r=25,format={pix_fmt},geq=lum={y}:cb={u}:cr={v}{tags}",
        "-frames:v",
        "2",
        "-c:v",
        "ffv1",
        path,
    )
    return path


@pytest.mark.parametrize("colour", [(60, 90, 200), (235, 120, 1)])
@pytest.mark.parametrize(
    ("size", "tags", "matrix"),
    [
        ("64x48", "", "smpte170m"),
        ("1280x64", "", "bt709"),
        ("64x720", "", "bt709"),
        ("64x48", "bt709", "bt709"),
        ("1280x64", "smpte170m", "smpte170m"),
        ("64x48", "bt2020nc", "bt2020nc"),
    ],
)
@pytest.mark.parametrize("color_range", ["tv", "pc"])
def test_colours_follow_the_matrix(tmp_path, colour, size, tags, matrix, color_range):
    setting = f",setparams=range={color_range}" + (f":colorspace={tags}" if tags else "")
    options = ("-color_range", color_range)
    y, u, v = colour
    path = tmp_path / "clip.mkv"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        f"nullsrc=s={size}:r=25,format=yuv420p,geq=lum={y}:cb={u}:cr={v}{setting}",
        "-frames:v",
        "2",
        "-c:v",
        "ffv1",
        *options,
        path,
    )
    frames = next(read_frames(path))
    expected = to_rgb(*colour, matrix, color_range) * 255
    assert frames.shape == (2, *map(int, reversed(size.split("x"))), 3)
    assert np.abs(frames - expected).max() <= 1


def test_ten_bits_are_kept(tmp_path):
    path = flat_clip(
        tmp_path / "c.mkv", (400, 500, 530), "64x48", ",setparams=range=tv", "yuv420p10le"
    )
    frames = next(read_frames(path))
    assert frames.dtype == np.uint16
    expected = to_rgb(400, 500, 530, "smpte170m", "tv", 10) * 65535
    assert np.abs(frames - expected).max() <= 1


class Clips(dict):
    def __repr__(self):
        return "clips"  # hypothesis prints its examples


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Clips in containers that seek differently well, and all frames of each."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [
        make_clip(folder / f"clip{suffix}", "-pix_fmt", "yuv420p", "-g", "12", *options, frames=60)
        for suffix, options in (
            (".mp4", ()),
            (".mkv", ("-x264-params", "open-gop=1")),
            (".ts", ()),
            (".avi", ("-c:v", "mpeg4", "-bf", "2")),
            (".h264", ()),
            (".gif", ()),
        )
    ]
    make_variable(folder / "variable.mp4", "-pix_fmt", "yuv420p", gaps=(1, 4, 2, 1, 1, 3) * 8)
    paths.append(folder / "variable.mp4")
    return Clips({path: (probe(path), np.concatenate(list(read_frames(path)))) for path in paths})


def test_every_frame_comes_once(clips):
    for path, (clip, frames) in clips.items():
        assert clip.frame_count == len(frames)
        rgb = "rgba" if clip.has_alpha else "rgb24"
        flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
        _, sums = frame_hashes(path, filters=f"scale={flags},format={rgb}")
        assert len(sums) == len(frames)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    which=st.integers(0, 6),
    start=st.integers(0, 47),
    count=st.none() | st.integers(1, 60),
    step=st.integers(1, 9),
    batch=st.integers(1, 20),
)
def test_start_count_and_step_are_exact(clips, which, start, count, step, batch):
    clip, whole = list(clips.values())[which]
    options = {"start_frame": start, "frame_count": count, "frame_step": step}
    batches = list(read_frames(clip, batch_size=batch, **options))
    expected = whole[start::step][:count]
    assert count_frames(clip, **options) == len(expected)
    assert (np.concatenate(batches) == expected).all()
    assert [len(b) for b in batches[:-1]] == [batch] * (len(batches) - 1)


def test_start_beyond_the_end(clips):
    for clip, _ in (list(clips.values())[0], list(clips.values())[-1]):  # the last varies its rate
        for start in (clip.frame_count, -1):
            for rate in (None, 30):
                with pytest.raises(VideoError, match=f"{clip.frame_count} frames"):
                    next(read_frames(clip, start_frame=start, rate=rate))
                with pytest.raises(VideoError, match=f"{clip.frame_count} frames"):
                    count_frames(clip, start_frame=start, rate=rate)


def test_batches_are_the_callers_own(clips):
    clip = next(iter(clips))
    first, second = list(read_frames(clip, frame_count=8, batch_size=4))
    kept = second.copy()
    first[:] = 0
    assert (second == kept).all()
    assert first.flags.writeable and first.flags.c_contiguous


def test_variable_rate_resampled_by_time(clips):
    path, (clip, whole) = list(clips.items())[-1]
    frames = np.concatenate(list(read_frames(path, rate=30)))
    assert len(frames) == pytest.approx(clip.duration * 30, abs=1)
    for index in range(0, 95):
        shown = clip.frame_at(index / 30 + 0.001) - 1
        assert (frames[index] == whole[shown]).all()


@pytest.mark.parametrize("read", [read_frames, read_luma])
def test_memory_does_not_grow_with_the_length(tmp_path, read):
    options = ("-c:v", "rawvideo", "-pix_fmt", "gray")
    clip = probe(make_clip(tmp_path / "long.nut", *options, size="16x16", frames=4000))
    held = []
    tracemalloc.start()
    try:
        for _ in read(clip, batch_size=100):
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[-1] - held[4] < 100_000


def test_size(clips):
    frames = next(read_frames(next(iter(clips)), size=(31, 17)))
    assert frames.shape[1:] == (17, 31, 3)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p")),
        (".webm", ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0")),
        (".mkv", ("-c:v", "ffv1", "-pix_fmt", "yuva420p")),
        (".mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")),
        (".mov", ("-c:v", "png", "-pix_fmt", "rgba")),
    ],
)
def test_alpha_is_read(tmp_path, suffix, options):
    path = make_clip(
        tmp_path / f"clip{suffix}",
        "-vf",
        "format=yuva444p,geq=lum=lum(X\\,Y):cb=128:cr=128:a=64",
        *options,
        frames=3,
    )
    clip = probe(path)
    assert clip.has_alpha
    frames = next(read_frames(clip))
    full = 255 if frames.dtype == np.uint8 else 65535
    assert frames.shape[3] == 4
    assert np.abs(frames[..., 3] / full - 64 / 255).max() < 0.01
    assert next(read_frames(clip, alpha=False)).shape[3] == 3


@pytest.mark.parametrize("trc", ["smpte2084", "arib-std-b67"])
def test_hdr_is_rgb_only_on_request(tmp_path, trc):
    tags = f",setparams=range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc={trc}"
    path = flat_clip(tmp_path / "c.mkv", (400, 500, 530), "64x48", tags, "yuv420p10le")
    with pytest.raises(VideoError, match="c.mkv: the clip is HDR"):
        next(read_frames(path))
    frames = next(read_frames(path, allow_hdr=True))
    expected = to_rgb(400, 500, 530, "bt2020nc", "tv", 10) * 65535
    assert np.abs(frames - expected).max() <= 1


def test_a_check_before_each_frame_ends_the_reading(clips):
    clip, whole = next(iter(clips.values()))
    checks = []

    def check():
        checks.append(len(checks))
        if len(checks) > 7:
            raise KeyboardInterrupt

    batches = read_frames(clip, batch_size=4, check=check)
    assert (next(batches) == whole[:4]).all() and len(checks) == 4
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert len(checks) == 8


LUMA_CASES = [
    ("yuv420p", "tv"),
    ("yuv420p", "pc"),
    ("yuv422p10le", "tv"),
    ("yuv444p10le", "pc"),
    ("gray", "pc"),
    ("nv12", "tv"),
    ("nv21", "pc"),
]


@pytest.mark.parametrize(("pix_fmt", "color_range"), LUMA_CASES)
def test_luma_is_the_y_plane_in_full_range(tmp_path, pix_fmt, color_range):
    path = tmp_path / "c.mkv"
    setting = ("-vf", f"setparams=range={color_range}", "-color_range", color_range)
    codec = "rawvideo" if "nv" in pix_fmt else "ffv1"
    make_clip(path, *setting, "-c:v", codec, "-pix_fmt", pix_fmt, size="66x50")
    assert (probe(path).pix_fmt, probe(path).color_range) == (pix_fmt, color_range)
    raw = ffmpeg("-i", path, "-vf", "extractplanes=y", "-f", "rawvideo", "-")
    deep = "10" in pix_fmt
    codes = np.frombuffer(raw, "<u2" if deep else np.uint8).reshape(10, 50, 66)
    levels = {
        (8, "tv"): (16, 235),
        (8, "pc"): (0, 255),
        (10, "tv"): (64, 940),
        (10, "pc"): (0, 1023),
    }
    black, white = levels[10 if deep else 8, color_range]
    expected = ((codes.astype(float) - black) / (white - black) * 255).clip(0, 255)
    found = np.concatenate(list(read_luma(path, batch_size=4)))
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= (1 if "nv" in pix_fmt else 0.5)
    small = np.concatenate(list(read_luma(path, size=(11, 10))))
    golden = torch.from_numpy(expected)[:, None]
    golden = interpolate(golden, (10, 11), mode="bicubic", antialias=True)[:, 0].numpy()
    assert small.shape == golden.shape
    assert np.abs(small - golden).mean() < 1.5  # another kind of bicubic


def test_luma_of_rgb_follows_the_matrix(tmp_path):
    path = tmp_path / "c.mkv"
    source = "color=0x3C82D2:s=64x48:r=25,format=bgr0"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "2", "-c:v", "ffv1", path)
    expected = 0.299 * 0x3C + 0.587 * 0x82 + 0.114 * 0xD2
    assert np.abs(next(read_luma(path)) - expected).max() <= 1


def test_luma_of_hdr_needs_no_wish(tmp_path):
    tags = ",setparams=range=tv:colorspace=bt2020nc:color_trc=smpte2084"
    path = flat_clip(tmp_path / "c.mkv", (502, 500, 530), "64x48", tags, "yuv420p10le")
    assert probe(path).is_hdr
    assert (next(read_luma(path)) == round((502 - 64) * 255 / 876)).all()


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(which=st.integers(0, 6), start=st.integers(0, 47), count=st.integers(1, 48))
def test_luma_of_a_range_is_exact(clips, which, start, count):
    clip, _ = list(clips.values())[which]
    whole = np.concatenate(list(read_luma(clip)))
    frames = range(start, min(start + count, clip.frame_count))
    part = np.concatenate(list(read_luma(clip, frames=frames, batch_size=7)))
    assert (part == whole[frames.start : frames.stop]).all()


def test_luma_of_frames_that_are_not_there(clips):
    clip = next(iter(clips.values()))[0]
    for frames in (range(60, 61), range(0), range(-1, 3)):
        with pytest.raises(VideoError, match="60 frames"):
            next(read_luma(clip, frames=frames))


@pytest.mark.parametrize("read", [read_frames, read_luma])
def test_cancel_is_heard_at_every_frame(clips, read):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read(next(iter(clips)), batch_size=20, check=check))
    assert len(calls) == 5


def test_rotated_frames_stand_upright(tmp_path):
    flat = make_clip(tmp_path / "flat.mp4", "-pix_fmt", "yuv420p")
    ffmpeg("-display_rotation", "90", "-i", flat, "-c", "copy", tmp_path / "turned.mp4")
    upright, turned = (next(read_frames(path)) for path in (flat, tmp_path / "turned.mp4"))
    assert turned.shape == (10, 64, 48, 3)
    expected = np.rot90(upright, axes=(1, 2)).astype(int)
    assert np.abs(turned - expected).mean() < 3  # chroma is turned before it is interpolated


def test_sound_is_the_samples(tmp_path):
    path = make_clip(
        tmp_path / "c.mkv",
        "-c:a",
        "pcm_f32le",
        frames=25,
        sound="sin(2*PI*440*t)|0.5*cos(2*PI*50*t)",
    )
    samples, rate = read_audio(path)
    time = np.arange(48000) / 48000
    assert (rate, samples.shape, samples.dtype) == (48000, (2, 48000), np.float32)
    voices = [np.sin(2 * np.pi * 440 * time), 0.5 * np.cos(2 * np.pi * 50 * time)]
    assert np.allclose(samples, voices, atol=1e-5)
    part, _ = read_audio(path, 0.25, 0.5)
    assert (part == samples[:, 12000:36000]).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 12])
def test_sound_of_any_channel_count(tmp_path, channels):
    voices = [f"{(i + 1) / 20}" for i in range(channels)]
    path = make_clip(tmp_path / "c.mkv", "-c:a", "pcm_f32le", sound="|".join(voices))
    samples, _ = read_audio(path)
    assert np.allclose(samples.mean(axis=1), [float(voice) for voice in voices], atol=1e-6)


def test_late_sound_is_filled_with_silence(tmp_path):
    path = tmp_path / "clip.mkv"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:d=2",
        "-itsoffset",
        "0.5",
        "-f",
        "lavfi",
        "-i",
        "aevalsrc='1-eq(n,0)':s=48000:d=1",
        "-c:a",
        "pcm_s16le",
        path,
    )
    samples, _ = read_audio(path)
    assert np.abs(samples[0]).argmax() == pytest.approx(24000, abs=48)
    assert not samples[0, :23950].any()
    part, _ = read_audio(path, 1.0)
    assert part.shape[1] == pytest.approx(24000, abs=48)


def test_sound_counts_from_the_first_frame(tmp_path):
    path = tmp_path / "clip.mkv"
    ffmpeg(
        "-itsoffset",
        "0.4",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:d=1",
        "-f",
        "lavfi",
        "-i",
        "aevalsrc='gte(t,0.65)':s=48000:d=1.5",
        "-c:a",
        "pcm_s16le",
        path,
    )
    assert probe(path).start == Fraction(2, 5)
    samples, _ = read_audio(path)
    assert samples[0].argmax() == pytest.approx(12000, abs=48)


def test_no_sound_is_none(tmp_path):
    assert read_audio(make_clip(tmp_path / "c.mp4", "-pix_fmt", "yuv420p")) is None
