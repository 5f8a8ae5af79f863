"""What a photo's levels mean: a viewer that knows colour sees the same tones before and after."""

import io
import struct

import numpy as np
import pytest
import torch
from colorizationnet.pipeline.photo import colorize_bands, paint_photo, read_photo, write_photo
from photo_files import Tint, dot_gain, grey_profile, luma, ramp, read_plain_tiff, srgb
from PIL import Image, ImageCms, PngImagePlugin

CURVES = {
    "dot gain 20 %": dot_gain(20),
    "dot gain 30 %": dot_gain(30),
    "gamma 2.2": 2.2,
    "gamma 1.8": 1.8,
    "linear": 1.0,
    "table": np.linspace(0, 1, 1024) ** 1.5,
}


def light_of(levels, curve):
    """The light of levels in [0, 1], by the definition of an ICC curve."""
    if np.isscalar(curve):
        return levels ** (round(curve * 256) / 256)
    table = np.round(np.asarray(curve) * 65535) / 65535
    return np.interp(levels, np.linspace(0, 1, len(table)), table)


EXACT = 0x0100  # littleCMS without its tables of 8 bits, which are up to 10 levels wrong


def as_srgb(path):
    """What littleCMS shows of an 8-bit picture on an sRGB screen."""
    with Image.open(path) as file:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"]))
        screen = ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(file, profile, screen, 1, "RGB", flags=EXACT)
        return np.asarray(shown).astype(float)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_a_grey_profile_is_converted_to_srgb_with_16_bits(tmp_path, curve):
    levels = ramp(np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.tif", icc_profile=grey_profile(curve))
    image = read_photo(tmp_path / "a.tif").image
    expected = srgb(light_of(levels / 65535, curve))
    # littleCMS gives the light of a table with 16 bits, and sRGB is 12.92 times as steep there.
    bound = 1.5 if np.isscalar(curve) else 7
    assert np.abs(image[..., 1].numpy() - expected).max() < bound / 65535


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_a_viewer_sees_the_same_tones_in_the_coloured_photo(tmp_path, curve, suffix):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    options = {"quality": 100} if suffix == ".jpg" else {}
    Image.fromarray(ramp()).save(source, icc_profile=grey_profile(curve), **options)
    paint_photo(source, target, colorize_bands(Tint()))
    with Image.open(target) as file:
        assert file.mode == "RGB"
        after = np.asarray(file).astype(float)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    error = np.abs(luma(after) - luma(as_srgb(source)))
    assert error.max() < (5 if suffix == ".jpg" else 1.01) and error.mean() < 0.7
    assert np.ptp(after, axis=2).max() > 10


def test_a_colour_photo_keeps_its_profile_and_levels(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"its own"
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    for suffix in (".png", ".tif"):
        source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        Image.fromarray(pixels).save(source, icc_profile=profile)
        photo = read_photo(source)
        write_photo(target, photo.image, photo)
        with Image.open(target) as file:
            assert file.info["icc_profile"] == profile
            assert np.array_equal(np.asarray(file), pixels)


def test_a_grey_photo_with_a_colour_profile_keeps_it(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(ramp()).save(tmp_path / "a.tif", icc_profile=profile)
    photo = read_photo(tmp_path / "a.tif")
    assert np.allclose(photo.image[..., 0].numpy(), ramp() / 255, atol=1e-6)
    write_photo(tmp_path / "b.tif", photo.image, photo)
    with Image.open(tmp_path / "b.tif") as file:
        assert file.info["icc_profile"] == profile


def test_a_broken_profile_is_left_out_and_told(tmp_path, caplog):
    Image.fromarray(ramp()).save(tmp_path / "a.png", icc_profile=b"nonsense" * 40)
    photo = read_photo(tmp_path / "a.png")
    assert np.allclose(photo.image[..., 0].numpy(), ramp() / 255, atol=1e-6)
    assert "a.png: its colour profile cannot be read" in caplog.text


@pytest.mark.parametrize("suffix", [".png", ".tif", ".gif"])
def test_a_palette_of_greys_is_grey(tmp_path, suffix):
    """As some scanners store it: the profile or gamma of greys holds for it."""
    picture = Image.fromarray(ramp() // 17, "P")
    picture.putpalette([value for grey in range(16) for value in [17 * grey] * 3])
    options = {} if suffix == ".gif" else {"icc_profile": grey_profile(1.0)}
    picture.save(tmp_path / f"a{suffix}", **options)
    photo = read_photo(tmp_path / f"a{suffix}")
    greys = ramp() // 17 / 15
    expected = srgb(greys) if options else greys
    assert photo.image.shape[2] == 3 and not photo.first.notes
    assert np.abs(photo.image[..., 0].numpy() - expected).max() < 1.5 / 255
    assert photo.first.raster.is_single_channel


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".avif"])
def test_the_profile_of_greys_that_are_stored_as_colours_holds(tmp_path, suffix):
    greys = Image.fromarray(ramp()[8:]).convert("RGB")
    options = {".webp": {"lossless": True}, ".tif": {}}.get(suffix, {"quality": 100})
    greys.save(tmp_path / f"a{suffix}", icc_profile=grey_profile(1.0), **options)
    photo = read_photo(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as file:
        expected = srgb(np.asarray(file.convert("RGB")) / 255)
    assert np.abs(photo.image.numpy() - expected).max() < 0.02 and not photo.first.notes
    assert "sRGB" in ImageCms.getProfileDescription(
        ImageCms.ImageCmsProfile(io.BytesIO(photo.first.metadata.icc))
    )


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_grey_profile_of_a_colour_photo_is_left_out_and_told(tmp_path, suffix):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", icc_profile=grey_profile(1.8))
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.first.notes == [
        "its colour profile is for grey, which it is not, and is left out."
    ]
    assert photo.first.metadata.icc is None


def png_with(path, pixels, *chunks):
    info = PngImagePlugin.PngInfo()
    for name, data in chunks:
        info.add(name, data)
    Image.fromarray(pixels).save(path, pnginfo=info)


def chunks_of(path):
    data, at, found = path.read_bytes(), 8, {}
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        found.setdefault(name, data[at + 8 : at + 8 + size])
        at += size + 12
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("gamma", [100000, 55556, 38000])
def test_a_pngs_gamma_is_converted_to_srgb(tmp_path, gamma, dtype):
    levels = ramp(dtype)
    png_with(tmp_path / "a.png", levels, (b"gAMA", struct.pack(">I", gamma)))
    photo = read_photo(tmp_path / "a.png")
    expected = srgb((levels / np.iinfo(dtype).max) ** (100000 / gamma))
    assert np.abs(photo.image[..., 2].numpy() - expected).max() < 1e-5
    write_photo(tmp_path / "b.png", photo.image, photo)
    chunks = chunks_of(tmp_path / "b.png")
    assert chunks[b"sRGB"] == b"\0" and chunks[b"gAMA"] == struct.pack(">I", 45455)


def test_the_gamma_of_srgb_and_cicp_stay_as_they_are(tmp_path):
    gamma = (b"gAMA", struct.pack(">I", 45455))
    cicp = (b"cICP", bytes([9, 16, 0, 1]))
    for chunk in (gamma, cicp, (b"sRGB", b"\1")):
        png_with(tmp_path / "a.png", ramp(), chunk)
        photo = read_photo(tmp_path / "a.png")
        assert np.allclose(photo.image[..., 0].numpy(), ramp() / 255, atol=1e-6)
        write_photo(tmp_path / "b.png", photo.image, photo, overwrite=True)
        assert chunks_of(tmp_path / "b.png")[chunk[0]] == chunk[1]


def test_colour_with_other_primaries_keeps_gamma_and_chromaticities(tmp_path):
    wide = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    pixels = np.random.default_rng(2).integers(0, 256, (9, 9, 3), np.uint8)
    png_with(tmp_path / "a.png", pixels, (b"gAMA", struct.pack(">I", 55556)), (b"cHRM", wide))
    photo = read_photo(tmp_path / "a.png")
    write_photo(tmp_path / "b.png", photo.image, photo)
    chunks = chunks_of(tmp_path / "b.png")
    assert chunks[b"cHRM"] == wide and chunks[b"gAMA"] == struct.pack(">I", 55556)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), pixels)


def test_an_unnamed_grey_gets_no_profile(tmp_path):
    Image.fromarray(ramp()).save(tmp_path / "a.tif")
    paint_photo(tmp_path / "a.tif", tmp_path / "b.tif", colorize_bands(Tint()))
    tags, levels = read_plain_tiff(tmp_path / "b.tif")
    assert 34675 not in tags
    assert np.abs(luma(levels) - ramp()).max() <= 0.5


def test_the_same_photo_gives_the_same_bytes(tmp_path):
    Image.fromarray(ramp()).save(tmp_path / "a.png", icc_profile=grey_profile(1.8))
    for name in ("b.png", "c.png"):
        paint_photo(tmp_path / "a.png", tmp_path / name, colorize_bands(Tint()))
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    assert isinstance(read_photo(tmp_path / "b.png").image, torch.Tensor)
