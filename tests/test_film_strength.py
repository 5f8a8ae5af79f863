"""A film's strength blends its own colours with the new ones, as a photo's does."""

import numpy as np
import pytest
from colorizationnet.model import load_model
from colorizationnet.options import ColorOptions, EncodeOptions
from colorizationnet.pipeline import colorize_film
from video_clips import make_clip, raw_pictures

SIZE = 96, 64


def source(path, pix_fmt, codec="ffv1"):
    size = f"{SIZE[0]}x{SIZE[1]}"
    return make_clip(path, "-pix_fmt", pix_fmt, "-c:v", codec, size=size, frames=6)


def planes(path, pix_fmt="yuv420p"):
    """Y and UV of all frames, as ffmpeg itself gives them in this format."""
    dtype = np.uint16 if "10" in pix_fmt else np.uint8
    frames = raw_pictures(path, pix_fmt, dtype).reshape(6, -1).astype(int)
    return np.split(frames, [SIZE[0] * SIZE[1]], axis=1)


def colorize(path, folder, strength):
    target = folder / f"{path.stem}-{strength}.mkv"
    options = ColorOptions(strength=strength, saturation=3)
    colorize_film(path, target, load_model(), options, encode=EncodeOptions("ffv1"))
    return target


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv420p10le"])
def test_strength_zero_gives_the_clip_back(tmp_path, pix_fmt):
    clip = source(tmp_path / "clip.mkv", pix_fmt)
    same = colorize(clip, tmp_path, 0.0)
    native = pix_fmt.replace("j", "")
    for before, after in zip(planes(clip, pix_fmt), planes(same, native), strict=True):
        if pix_fmt == "yuvj420p":  # ffmpeg gives the tagged full range in the limited one
            after = planes(same, pix_fmt)[0 if after.shape[1] == SIZE[0] * SIZE[1] else 1]
        assert np.array_equal(before, after)


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv444p10le"])
def test_strength_zero_keeps_the_luma_where_chroma_is_coded_otherwise(tmp_path, pix_fmt):
    clip = source(tmp_path / "clip.mkv", pix_fmt)
    deep = "yuv420p10le" if "10" in pix_fmt else "yuv420p"
    luma, chroma = planes(colorize(clip, tmp_path, 0.0), deep)
    assert np.array_equal(luma, planes(clip, pix_fmt)[0])
    assert np.abs(chroma - planes(clip, deep)[1]).mean() < (8 if "10" in pix_fmt else 2)


def test_strength_between_blends_with_the_clips_own_chroma(tmp_path):
    clip = source(tmp_path / "clip.mkv", "yuv420p")
    (_, own), (_, half), (_, new) = (
        planes(colorize(clip, tmp_path, strength)) for strength in (0.0, 0.5, 1.0)
    )
    assert np.abs(own - new).mean() > 10
    assert np.abs(half - (own + new) / 2).max() <= 0.5


def test_a_grey_clip_gets_so_much_colour(tmp_path):
    clip = source(tmp_path / "clip.mkv", "gray")
    (_, none), (_, half), (_, new) = (
        planes(colorize(clip, tmp_path, strength), "yuv420p") for strength in (0.0, 0.5, 1.0)
    )
    assert (none == 128).all()
    assert np.abs(new - 128).mean() > 2
    assert np.abs(half - (none + new) / 2).max() <= 0.5
