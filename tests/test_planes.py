"""Chroma planes for a Y plane that is kept, against float64 and against ffmpeg's decoder."""

import subprocess

import numpy as np
import pytest
import torch
from colorizationnet.model import ColorizationNet
from colorizationnet.model.planes import MATRICES, Coding, chroma_planes
from colorizationnet.pipeline.film import see_planes
from colorizationnet.pipeline.images import Colorizer
from hypothesis import given, settings
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe
from torch.nn.functional import interpolate


@pytest.fixture(scope="module")
def vivid():
    torch.manual_seed(1)
    net = ColorizationNet().eval().requires_grad_(False)
    net.conv4.weight.mul_(20)
    return net


def y_planes(coding, n, height, width, seed=0):
    """Smooth pictures with grain that reach black and white."""
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
    assert Coding(8).luma == (16, 235) and Coding(8).chroma == (128, 224)
    assert Coding(10).luma == (64, 940) and Coding(10).chroma == (512, 896)
    assert Coding(8, True).luma == (0, 255) and Coding(10, True).chroma == (512, 1023)


@pytest.mark.parametrize("coding", [Coding(), Coding(8, True), Coding(10), Coding(16, True)])
@pytest.mark.parametrize("quality", ["full", "fast"])
def test_the_planes_are_seen_as_their_luma(vivid, coding, quality):
    planes = y_planes(coding, 2, 90, 121)
    colorizer = Colorizer(vivid, render_size=40, quality=quality)
    chroma, luma = see_planes(colorizer, planes, coding)
    float_luma = normalized(planes, coding).float().unsqueeze(1)
    assert luma.shape[2:] == chroma.shape[2:] == colorizer.small_size(90, 121)
    assert (luma - colorizer.shrink(float_luma)).abs().max() < 1e-5
    assert (chroma - colorizer.see(float_luma)).abs().max() < 1e-4


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
    coding = Coding(**coding)
    planes = y_planes(coding, 2, height, width, seed)
    generator = torch.Generator().manual_seed(seed)
    chroma = torch.rand(2, 2, 5, 6, generator=generator) - 0.5
    size = -(-height // steps[0]), -(-width // steps[1])
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
    coding = Coding()
    planes = y_planes(coding, 1, 67, 90)
    chroma = torch.rand(1, 2, 20, 27) - 0.5
    whole = chroma_planes(chroma, planes, (34, 45), coding)
    monkeypatch.setattr("colorizationnet.model.planes.BAND", 45 * 5)
    for found, expected in zip(chroma_planes(chroma, planes, (34, 45), coding), whole, strict=True):
        assert np.abs(found.astype(int) - expected).max() <= 1
        assert (found != expected).mean() < 1e-3


@pytest.mark.parametrize("matrix", ["bt470bg", "bt709", "bt2020nc"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("layout", "steps"), [("420", (2, 2)), ("422", (1, 2)), ("444", (1, 1))])
@pytest.mark.parametrize("depth", [8, 10])
def test_ffmpeg_decodes_the_luma_that_went_in(matrix, full_range, layout, steps, depth):
    """Were a channel out of range, the decoder would clip it and the luminance would change."""
    coding = Coding(depth, full_range, matrix)
    height, width = 48, 64
    planes = y_planes(coding, 1, height, width)
    chroma = (torch.rand(1, 2, 6, 8) - 0.5) * 2
    u, v = chroma_planes(chroma, planes, (height // steps[0], width // steps[1]), coding)
    source = f"yuv{layout}p" + ("" if depth == 8 else "10le")
    tags = f"setparams=range={'pc' if full_range else 'tv'}:colorspace={matrix}"
    repeat = "scale=flags=neighbor+accurate_rnd+full_chroma_inp:out_color_matrix=" + matrix
    wide = "format=yuv444p" + ("" if depth == 8 else "10le")
    rgb = "scale=flags=accurate_rnd+full_chroma_int,format=gbrp16le"
    decoded = subprocess.run(
        [get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", source]
        + ["-s", f"{width}x{height}", "-i", "-", "-vf", f"{tags},{repeat},{wide},{rgb}"]
        + ["-f", "rawvideo", "-"],
        input=b"".join(plane.tobytes() for plane in (planes, u, v)),
        capture_output=True,
        check=True,
    ).stdout
    g, b, r = np.frombuffer(decoded, "<u2").reshape(3, height, width) / 65535.0
    kr, kb = MATRICES[matrix]
    luma = kr * r + (1 - kr - kb) * g + kb * b
    assert np.abs(luma - normalized(planes, coding)[0].numpy()).max() < 0.006
    assert np.ptp(np.stack((r, g, b)), axis=0).max() > 0.3


def test_planes_that_do_not_fit_are_refused(vivid):
    colorizer = Colorizer(vivid, render_size=16)
    with pytest.raises(ValueError, match="uint16 for 10 bits"):
        see_planes(colorizer, np.zeros((1, 8, 8), np.uint8), Coding(10))
    with pytest.raises(ValueError, match=r"shape \(8, 8\)"):
        see_planes(colorizer, np.zeros((8, 8), np.uint8), Coding())
    with pytest.raises(ValueError, match="chroma side of 3"):
        chroma_planes(torch.zeros(1, 2, 4, 4), np.zeros((1, 8, 8), np.uint8), (3, 4), Coding())
    with pytest.raises(ValueError, match="chroma for 2 frames"):
        chroma_planes(torch.zeros(2, 2, 4, 4), np.zeros((1, 8, 8), np.uint8), (4, 4), Coding())
    with pytest.raises(ValueError, match="bt601"):
        Coding(matrix="bt601")
    with pytest.raises(ValueError, match="7 bits"):
        Coding(depth=7)
