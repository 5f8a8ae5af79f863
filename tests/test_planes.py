"""Chroma planes for a Y plane that is kept, against float64 and against ffmpeg's decoder."""

import numpy as np
import pytest
import torch
from colorizationnet.model.planes import MATRICES, chroma_planes, small_luma
from colorizationnet.video import PlaneFormat
from colorizationnet.video.planes import MATRICES as ACCEPTED
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate
from video_clips import ffmpeg

LAYOUTS = {(1, 1): "444", (1, 2): "422", (2, 2): "420", (1, 4): "411"}


def coded(size, steps=(2, 2), depth=8, full_range=False, matrix="bt709"):
    """The format of planes of ``size``; ``steps``: luma to chroma samples, down and across."""
    pix_fmt = f"yuv{LAYOUTS[steps]}p" + ("" if depth == 8 else f"{depth}le")
    return PlaneFormat(pix_fmt, size, full_range, matrix)


def y_planes(coding, n, seed=0):
    """Smooth pictures with grain that reach black and white."""
    height, width = coding.luma_size
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 1, max(1, height // 8), max(1, width // 8), generator=generator)
    picture = interpolate(coarse, (height, width), mode="bicubic")[:, 0] * 1.2 - 0.1
    picture += 0.02 * torch.randn(n, height, width, generator=generator)
    black, white = coding.luma
    return (black + (white - black) * picture.clamp(0, 1).numpy()).round().astype(coding.dtype)


def normalized(planes, coding):
    black, white = coding.luma
    return torch.from_numpy((planes.astype(np.float64) - black) / (white - black))


def test_levels_are_those_of_h273():
    levels = {
        (8, False): ((16, 235), (128, 224)),
        (10, False): ((64, 940), (512, 896)),
        (8, True): ((0, 255), (128, 255)),
        (10, True): ((0, 1023), (512, 1023)),
    }
    for (depth, full_range), expected in levels.items():
        coding = coded((4, 4), depth=depth, full_range=full_range)
        assert (coding.luma, coding.chroma) == expected
        assert coding.depth == depth


@pytest.mark.parametrize(
    ("layout", "size"),
    [("444", (9, 7)), ("440", (5, 7)), ("422", (9, 4)), ("420", (5, 4)), ("411", (9, 2))]
    + [("410", (3, 2))],
)
def test_chroma_sizes_round_up(layout, size):
    coding = PlaneFormat(f"yuv{layout}p10le", (9, 7))
    assert coding.chroma_size == size
    assert (coding.luma_count, coding.count) == (63, 63 + 2 * size[0] * size[1])
    assert coding.dtype == np.uint16


def test_matrices_are_the_same_in_both_rooms():
    assert set(ACCEPTED) == set(MATRICES)


@pytest.mark.parametrize(
    ("depth", "full_range"), [(8, False), (8, True), (10, False), (10, True), (16, True)]
)
@pytest.mark.parametrize("size", [(40, 54), (90, 121), (17, 200)])
def test_small_luma_against_float64(depth, full_range, size):
    coding = coded((90, 121), depth=depth, full_range=full_range)
    pictures = y_planes(coding, 2)
    golden = normalized(pictures, coding).unsqueeze(1)
    golden = interpolate(golden, size, mode="bicubic", antialias=True).clamp(0, 1)
    found = small_luma(pictures, size, coding)
    assert found.shape == (2, 1, *size)
    assert (found - golden).abs().max() < 1e-5


def golden(chroma, planes, steps, coding):
    """Float64: the target's chroma of the merged colour, at each chroma sample."""
    kr, kb = MATRICES[coding.matrix]
    luma = normalized(planes, coding).unsqueeze(1)
    height, width = (-(-side // step) for side, step in zip(luma.shape[2:], steps, strict=True))
    # One axis at a time: torch 2.11 goes wrong where the result is one pixel wide.
    up = interpolate(chroma.double(), (height, chroma.shape[3]), mode="bicubic", antialias=True)
    up = interpolate(up, (height, width), mode="bicubic", antialias=True)
    red, blue = 1.402 * up[:, 1], 1.772 * up[:, 0]
    green = -(0.299 * red + 0.114 * blue) / 0.587
    grey = kr * red + (1 - kr - kb) * green + kb * blue
    offsets = torch.stack((red, green, blue), dim=1) - grey.unsqueeze(1)
    share = torch.ones_like(grey)
    for top in range(steps[0]):
        for left in range(steps[1]):
            rows = torch.arange(height).mul(steps[0]).add(top).clamp(max=luma.shape[2] - 1)
            columns = torch.arange(width).mul(steps[1]).add(left).clamp(max=luma.shape[3] - 1)
            y = luma[:, :, rows][..., columns]
            limit = torch.where(offsets > 0, (1 - y) / offsets, -y / offsets).amin(1)
            share = torch.minimum(share, limit)
    share = share.clamp(0, 1)
    neutral, span = coding.chroma
    u = (offsets[:, 2] * share) / (2 - 2 * kb) * span + neutral
    v = (offsets[:, 0] * share) / (2 - 2 * kr) * span + neutral
    return u.numpy(), v.numpy()


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    steps=st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 4)]),
    depth=st.sampled_from([8, 10, 12, 16]),
    full_range=st.booleans(),
    matrix=st.sampled_from(sorted(MATRICES)),
    seed=st.integers(0, 2**31),
)
def test_chroma_planes_against_float64(height, width, steps, seed, **coding):
    coding = coded((height, width), steps, **coding)
    planes = y_planes(coding, 2, seed)
    generator = torch.Generator().manual_seed(seed)
    chroma = torch.rand(2, 2, 5, 6, generator=generator) - 0.5
    size = coding.chroma_size
    for found, expected in zip(
        chroma_planes(chroma, planes, size, coding),
        golden(chroma, planes, steps, coding),
        strict=True,
    ):
        assert found.shape == (2, *size) and found.dtype == planes.dtype
        # Half a level of rounding, and float32 at 16 bits.
        top = (1 << coding.depth) - 1
        assert np.abs(found - expected.clip(0, top)).max() <= 0.5 + 4e-6 * top


def test_bands_do_not_show(monkeypatch):
    coding = coded((67, 90))
    planes = y_planes(coding, 1)
    chroma = torch.rand(1, 2, 20, 27) - 0.5
    whole = chroma_planes(chroma, planes, (34, 45), coding)
    monkeypatch.setattr("colorizationnet.model.planes.BAND", 45 * 5)
    for found, expected in zip(chroma_planes(chroma, planes, (34, 45), coding), whole, strict=True):
        assert np.abs(found.astype(int) - expected).max() <= 1
        assert (found != expected).mean() < 1e-3


@pytest.mark.parametrize("matrix", ["bt470bg", "bt709", "bt2020nc"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("steps", [(2, 2), (1, 2), (1, 1)])
@pytest.mark.parametrize("depth", [8, 10])
def test_ffmpeg_decodes_the_luma_that_went_in(matrix, full_range, steps, depth):
    """Were a channel out of range, the decoder would clip it and the luminance would change."""
    height, width = 48, 64
    coding = coded((height, width), steps, depth, full_range, matrix)
    planes = y_planes(coding, 1)
    chroma = (torch.rand(1, 2, 6, 8) - 0.5) * 2
    u, v = chroma_planes(chroma, planes, coding.chroma_size, coding)
    tags = f"setparams=range={'pc' if full_range else 'tv'}:colorspace={matrix}"
    repeat = "scale=flags=neighbor+accurate_rnd+full_chroma_inp:out_color_matrix=" + matrix
    wide = "format=yuv444p" + ("" if depth == 8 else "10le")
    rgb = "scale=flags=accurate_rnd+full_chroma_int,format=gbrp16le"
    decoded = ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", coding.pix_fmt, "-s", f"{width}x{height}", "-i", "-"),
        *("-vf", f"{tags},{repeat},{wide},{rgb}", "-f", "rawvideo", "-"),
        stdin=b"".join(plane.tobytes() for plane in (planes, u, v)),
    )
    g, b, r = np.frombuffer(decoded, "<u2").reshape(3, height, width) / 65535.0
    kr, kb = MATRICES[matrix]
    luma = kr * r + (1 - kr - kb) * g + kb * b
    assert np.abs(luma - normalized(planes, coding)[0].numpy()).max() < 0.006
    assert np.ptp(np.stack((r, g, b)), axis=0).max() > 0.3


def test_planes_that_do_not_fit_are_refused():
    chroma, coding = torch.zeros(2, 2, 4, 4), coded((8, 8))
    with pytest.raises(ValueError, match="uint16 for 10 bits"):
        small_luma(np.zeros((1, 8, 8), np.uint8), (4, 4), coded((8, 8), depth=10))
    with pytest.raises(ValueError, match=r"shape \(8, 8\)"):
        chroma_planes(chroma, np.zeros((8, 8), np.uint8), (4, 4), coding)
    with pytest.raises(ValueError, match="chroma side of 3"):
        chroma_planes(chroma, np.zeros((2, 8, 8), np.uint8), (3, 4), coding)
    with pytest.raises(ValueError, match="chroma for 2 frames"):
        chroma_planes(chroma, np.zeros((1, 8, 8), np.uint8), (4, 4), coding)
    with pytest.raises(ValueError, match="bt601"):
        coded((8, 8), matrix="bt601")
    for name in ("rgb24", "gray", "nv12", "yuv555p"):
        with pytest.raises(ValueError, match=name):
            PlaneFormat(name, (8, 8))
