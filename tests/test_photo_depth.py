"""Levels of every depth and order: read right, or refused by name; 16 bits come back as 16."""

import struct

import numpy as np
import pytest
import torch
from colorizationnet.pipeline.photo import (
    PhotoError,
    colorize_bands,
    paint_photo,
    read_photo,
    write_photo,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import Tint, luma, ramp, read_plain_tiff, write_tiff
from PIL import Image
from video_clips import ffmpeg, raw_pictures

SIZE = (37, 11)  # width, height: rows of packed levels that end within a byte


def levels_of(bits, seed=0):
    return np.random.default_rng(seed).integers(0, 2**bits, SIZE[::-1], np.int64)


def packed(levels, bits):
    """Rows of ``bits``-bit numbers, the highest bit first, each row ending at a byte."""
    digits = (levels[..., None] >> np.arange(bits)[::-1]) & 1
    return np.packbits(digits.reshape(len(levels), -1).astype(np.uint8), axis=1).tobytes()


def decoded(path, layout, shape, dtype):
    """A picture as ffmpeg decodes it."""
    return raw_pictures(path, layout, dtype).reshape(shape).astype(float)


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", "<>")
@given(bits=st.integers(2, 16), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_grey_of_every_depth_is_read_right(tmp_path_factory, order, white_is_zero, bits, seed):
    levels = levels_of(bits, seed)
    path = tmp_path_factory.mktemp("depth") / "a.tif"
    rows = packed(levels, bits) if bits != 16 else levels.astype(f"{order}u2").tobytes()
    write_tiff(path, rows, bits, photometric=0 if white_is_zero else 1, order=order, size=SIZE)
    photo = read_photo(path)
    expected = levels / (2**bits - 1)
    expected = 1 - expected if white_is_zero else expected
    assert photo.bits == (8 if bits <= 8 else 16)
    assert np.abs(photo.image[..., 0].numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
def test_rgb_tiffs_keep_their_depth(tmp_path, bits, order):
    levels = np.stack([levels_of(bits, seed) for seed in range(3)], -1)
    rows = levels.astype(f"{order}u{bits // 8}").tobytes()
    write_tiff(tmp_path / "a.tif", rows, bits, 2, samples=3, order=order, size=SIZE)
    photo = read_photo(tmp_path / "a.tif")
    write_photo(tmp_path / "b.tif", photo.image, photo)
    assert np.array_equal(read_plain_tiff(tmp_path / "b.tif")[1], levels)


UNSURE = {
    "signed below 0": (16, 2, np.linspace(-32768, 32767, 37).astype("<i2"), (-32768, 32767)),
    "signed above 0": (16, 2, np.linspace(0, 32767, 37).astype("<i2"), (0, 32767)),
    "32 bits": (32, 1, np.linspace(0, 2**32 - 1, 37).astype("<u4"), (0, 2**32 - 1)),
    "16 of 32 bits": (32, 1, np.linspace(0, 65535, 37).astype("<u4"), (0, 65535)),
    "fractions": (32, 3, np.linspace(0, 1, 37).astype("<f4"), (0, 1)),
    "half fractions": (16, 3, np.linspace(0, 1, 37).astype("<f2"), (0, 1)),
    "fractions to 255": (32, 3, np.linspace(0, 255, 37).astype("<f4"), (0, 255)),
    "fractions to 65535": (64, 3, np.linspace(0, 65535, 37).astype("<f8"), (0, 65535)),
}
TOLD = ("signed", "16 of", "to ")


@pytest.mark.parametrize("name", UNSURE)
def test_what_the_file_leaves_open_is_read_as_documented_and_told(tmp_path, caplog, name):
    bits, format, row, (black, white) = UNSURE[name]
    write_tiff(tmp_path / "a.tif", row.tobytes() * 11, bits, format=format, size=SIZE)
    photo = read_photo(tmp_path / "a.tif")
    expected = (row.astype(float) - black) / (white - black)
    assert np.abs(photo.image[0, :, 0].numpy() - expected).max() < 2e-6
    assert bool(photo.first.notes) == name.startswith(TOLD) or "to " in name
    assert all(f"a.tif: {note}" in caplog.text for note in photo.first.notes)


def test_single_overshoots_of_fractions_are_clipped_not_taken_for_white(tmp_path):
    values = np.full(SIZE[::-1], 0.5, "<f4")
    values[0, 0], values[0, 1] = 1.7, -0.2
    write_tiff(tmp_path / "a.tif", values.tobytes(), 32, format=3, size=SIZE)
    image = read_photo(tmp_path / "a.tif").image[..., 0]
    assert image[0, 0] == 1 and image[0, 1] == 0 and image[5, 5] == 0.5


def test_twelve_bits_in_sixteen_are_told(tmp_path, caplog):
    levels = levels_of(12).astype("<u2")
    write_tiff(tmp_path / "a.tif", levels.tobytes(), 16, size=SIZE)
    image = read_photo(tmp_path / "a.tif").image
    assert np.abs(image[..., 0].numpy() - levels / 65535).max() < 1e-6
    assert "a.tif: its levels use 12 of 16 bits" in caplog.text


@pytest.mark.parametrize(
    ("bits", "format", "photometric", "named"),
    [(16, 6, 1, "complex grey"), (24, 1, 1, "24-bit grey"), (16, 1, 32803, "raw sensor"),
     (16, 1, 8, "L*a*b*"), (16, 1, 32844, "LogL")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(tmp_path, bits, format, photometric, named):
    rows = bytes(SIZE[0] * SIZE[1] * bits // 8 + 64)
    write_tiff(tmp_path / "a.tif", rows, bits, photometric, format=format, size=SIZE)
    with pytest.raises(PhotoError, match=r"a\.tif") as error:
        read_photo(tmp_path / "a.tif")
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("compression", "name"), [(34712, "JPEG 2000"), (50001, "WebP"), (34887, "LERC"), (9, "9")]
)
def test_how_a_refused_tiff_is_compressed_is_named(tmp_path, compression, name):
    write_tiff(tmp_path / "a.tif", bytes(37 * 11), 8, size=SIZE)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = data.index(struct.pack("<HHI", 259, 3, 1)) + 8
    data[at : at + 2] = struct.pack("<H", compression)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(PhotoError, match=rf"samples, .*{name}, which .* with LZW or Deflate\.$"):
        read_photo(tmp_path / "a.tif")


def test_a_cameras_raw_file_is_refused(tmp_path):
    tags = [(50706, 1, b"\1\4\0\0")]
    write_tiff(tmp_path / "a.tif", bytes(3 * 37 * 11), 8, 2, samples=3, size=SIZE, tags=tags)
    with pytest.raises(PhotoError, match="raw file; develop it"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_packed_strips_are_read_with_16_bits(tmp_path, compression):
    levels = ramp(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.tif", compression=compression, strip_size=2048)
    assert (
        np.abs(read_photo(tmp_path / "a.tif").image[..., 0].numpy() * 65535 - levels).max() < 0.01
    )


@pytest.mark.parametrize("layout", ["gray16be", "rgb48be", "rgba64be", "ya16be"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_of_every_layout_come_back(tmp_path, suffix, layout):
    if (suffix, layout) == (".tif", "ya16be"):
        pytest.skip("no encoder of it")
    if suffix == ".tif":
        layout = layout.replace("be", "le")
    channels = {"gray": 1, "rgb4": 3, "rgba": 4, "ya16": 2}[layout[:4]]
    order = ">" if layout.endswith("be") else "<"
    levels = np.random.default_rng(3).integers(0, 65536, (12, 20, channels)).astype(f"{order}u2")
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    raw = ("-f", "rawvideo", "-s", "20x12", "-pix_fmt", layout, "-i", "-")
    ffmpeg(*raw, source, stdin=levels.tobytes())
    paint_photo(source, target, colorize_bands(Tint()))
    with_alpha = channels in (2, 4)
    after = decoded(
        target, "rgba64le" if with_alpha else "rgb48le", (12, 20, 3 + with_alpha), "<u2"
    )
    before = levels.astype(float)
    before_luma = before[..., 0] if channels < 3 else luma(before)
    assert np.abs(luma(after) - before_luma).max() <= 0.51
    assert with_alpha is False or np.array_equal(after[..., 3], before[..., -1])
    assert np.ptp(after[..., :3], axis=2).max() > 2000


@pytest.mark.parametrize(("depth", "bits"), [(None, 16), (16, 16), (8, 8)])
def test_8_bits_are_written_only_when_asked(tmp_path, depth, bits):
    Image.fromarray(ramp(np.uint16)).save(tmp_path / "a.tif")
    paint_photo(tmp_path / "a.tif", tmp_path / "b.tif", colorize_bands(Tint()), bit_depth=depth)
    tags, levels = read_plain_tiff(tmp_path / "b.tif")
    assert tags[258][1] == np.array([bits] * 3, "<u2").tobytes()
    white = 2**bits - 1
    assert np.abs(luma(levels) - ramp(np.uint16) / 65535 * white).max() <= 0.5 + 1e-3


def test_a_format_of_8_bits_says_so(tmp_path, caplog):
    Image.fromarray(ramp(np.uint16)).save(tmp_path / "a.tif")
    paint_photo(tmp_path / "a.tif", tmp_path / "b.jpg", colorize_bands(Tint()))
    assert "b.jpg: 16-bit levels are written with 8 bits" in caplog.text
    with pytest.raises(PhotoError, match="choose 8 or 16"):
        paint_photo(tmp_path / "a.tif", tmp_path / "c.tif", colorize_bands(Tint()), bit_depth=12)


def test_deep_netpbm(tmp_path):
    levels = levels_of(12).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 # a comment\n37 11\n4095\n" + levels.tobytes())
    photo = read_photo(tmp_path / "a.pgm")
    assert np.abs(photo.image[..., 0].numpy() - levels / 4095).max() < 1e-6
    write_photo(tmp_path / "b.ppm", photo.image, photo)
    back = read_photo(tmp_path / "b.ppm")
    assert back.bits == 16 and torch.equal(
        back.image.mul(65535).round(), photo.image.mul(65535).round()
    )


def test_a_fax_and_tiles_and_planes(tmp_path):
    bilevel = Image.fromarray(levels_of(1).astype(bool))
    for compression in ("group3", "group4", None):
        bilevel.save(tmp_path / "a.tif", compression=compression)
        photo = read_photo(tmp_path / "a.tif")
        assert photo.is_bilevel
        assert np.array_equal(photo.image[..., 0].numpy(), levels_of(1))
    levels = np.stack([levels_of(16, seed) for seed in range(3)])
    rows = levels.astype("<u2").tobytes()
    plane = SIZE[0] * SIZE[1] * 2
    write_tiff(
        tmp_path / "planes.tif", rows, 16, 2, samples=3, size=SIZE,
        tags=[(284, 3, [2])],
    )  # fmt: skip
    data = bytearray((tmp_path / "planes.tif").read_bytes())
    write_planes(tmp_path / "planes.tif", data, plane)
    image = read_photo(tmp_path / "planes.tif").image.numpy()
    assert np.abs(image * 65535 - levels.transpose(1, 2, 0)).max() < 0.01


def write_planes(path, data, plane):
    """Give a TIFF three strips, a plane each, by pointing its strip tags to arrays at its end."""
    at = struct.unpack_from("<I", data, 4)[0]
    for index in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * index
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in (273, 279):
            values = [8, 8 + plane, 8 + 2 * plane] if tag == 273 else [plane] * 3
            struct.pack_into("<HII", data, entry + 2, 4, 3, len(data))
            data += struct.pack("<3I", *values)
    path.write_bytes(data)
