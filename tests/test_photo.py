"""Photos through `colorize`: what is read, what is kept, and what is written."""

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.core_nodes import LoadImage
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import use
from colorizationnet.pipeline import photo
from colorizationnet.pipeline.photo import PhotoError, open_picture, read_photo, write_photo
from PIL import Image

TURNS = {1: lambda a: a, 3: lambda a: np.rot90(a, 2), 6: lambda a: np.rot90(a, -1),
         8: np.rot90, 2: np.fliplr}  # fmt: skip


def random_pixels(dtype=np.uint8, shape=(30, 50)):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def save_turned(path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_turned_grey_scans_stand_upright(tmp_path, suffix, dtype, orientation):
    pixels = random_pixels(dtype)
    path = tmp_path / f"scan{suffix}"
    save_turned(path, pixels, orientation)
    upright = TURNS[orientation](pixels).astype(np.float32) / np.iinfo(dtype).max
    upright = torch.from_numpy(upright).unsqueeze(-1).expand(-1, -1, 3)
    read = read_photo(path)
    assert read.bits == np.iinfo(dtype).bits
    torch.testing.assert_close(read.image, upright)
    with use(StandInHost(input=tmp_path)):
        torch.testing.assert_close(LoadImage.execute(path.name).args[0][0], upright)


def save_bilevel(path, width, height):
    Image.new("1", (width, height)).save(path, compression="group4")


def test_scans_beyond_pillows_limit_are_opened(tmp_path):
    save_bilevel(tmp_path / "large.tif", 16384, 16384)
    with open_picture(tmp_path / "large.tif") as file:
        assert file.size == (16384, 16384)


@pytest.mark.parametrize("height", [16385, 2 * 16384 + 1])
def test_scans_beyond_the_limit_are_one_sentence(tmp_path, height):
    save_bilevel(tmp_path / "large.tif", 16384, height)
    with pytest.raises(PhotoError, match=r"large\.tif has more than 16384 x 16384 pixels; scale"):
        read_photo(tmp_path / "large.tif")


def through(source, target):
    read = read_photo(source)
    write_photo(target, read.image, read.alpha, read.keep)
    with Image.open(target) as file:
        return np.asarray(file.convert("RGBA")).astype(float)


@pytest.mark.parametrize("alpha", [False, True])
def test_a_lossless_webp_stays_lossless(tmp_path, alpha):
    pixels = random_pixels(shape=(30, 50, 4))
    pixels[..., 3] = 255 if not alpha else np.maximum(pixels[..., 3], 1)
    picture = Image.fromarray(pixels if alpha else pixels[..., :3])
    exif = Image.Exif()
    exif[0x010E] = "a description, for which the file gets the extended header"
    picture.save(tmp_path / "photo.webp", lossless=True, exif=exif)
    assert np.array_equal(through(tmp_path / "photo.webp", tmp_path / "again.webp"), pixels)


def test_a_lossy_webp_is_written_well_and_small(tmp_path):
    ramp = Image.radial_gradient("L")
    noise = random_pixels(shape=(256, 256)) // 16
    picture = Image.merge("RGB", [Image.fromarray(np.asarray(ramp) // 2 + noise)] * 3)
    picture.save(tmp_path / "photo.webp", quality=95)
    with Image.open(tmp_path / "photo.webp") as file:
        read = np.asarray(file.convert("RGBA")).astype(float)
        for method in (4, 6):
            file.save(tmp_path / f"{method}.webp", quality=95, method=method)
    again = through(tmp_path / "photo.webp", tmp_path / "again.webp")
    assert np.abs(again - read).mean() < 2
    size = (tmp_path / "again.webp").stat().st_size
    assert size == (tmp_path / "6.webp").stat().st_size != (tmp_path / "4.webp").stat().st_size


def test_every_suffix_can_be_written(tmp_path):
    image = torch.rand(6, 9, 3)
    for suffix in photo.SUFFIXES:
        write_photo(tmp_path / f"a{suffix}", image, None, {})
        assert read_photo(tmp_path / f"a{suffix}").image.shape == (6, 9, 3)


def test_a_phones_jpeg_with_a_second_picture_is_its_first(tmp_path):
    photo, small = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (8, 6), "blue")
    photo.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[small])
    image = read_photo(tmp_path / "phone.jpg").image
    assert image.shape == (24, 32, 3) and image[..., 0].min() > 0.9
