"""Which files are photos, by their content, and what their coloured results are called."""

import builtins

import numpy as np
import pytest
from colorizationnet.pipeline.photo import (
    PHOTO_SUFFIXES,
    PhotoError,
    colorize_bands,
    is_photo,
    kind_of,
    paint_photo,
    read_photo,
    read_picture_frames,
    result_suffix,
    write_photo,
)
from photo_files import Tint, luma, scene
from PIL import Image, features
from video_clips import ffmpeg, make_clip

WRITTEN = sorted(PHOTO_SUFFIXES - {".heic", ".heif", ".hif"})
LOSSLESS = {".png", ".tif", ".tiff", ".bmp", ".dib", ".tga", ".icb", ".vda", ".vst", ".ppm", ".pnm",
            ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}  # fmt: skip
pytestmark = pytest.mark.skipif(
    not features.check("avif") or not features.check("jpg_2000"), reason="a Pillow without AVIF"
)


def save(path, image=None):
    format = {".mpo": "JPEG", ".pbm": "PPM", ".pnm": "PPM"}.get(path.suffix)
    (image or scene()).save(path, format=format)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_format_is_read_and_written(tmp_path, suffix):
    source = tmp_path / f"a{suffix}"
    save(source)
    assert kind_of(source).kind == "photo" and is_photo(source)
    wanted, why = result_suffix(source)
    assert bool(why) == (suffix in (".pgm", ".pbm", ".gif", ".mpo"))
    target = tmp_path / f"b{wanted}"
    paint_photo(source, target, colorize_bands(Tint()))
    with Image.open(target) as file:
        pixels = np.asarray(file.convert("RGB")).astype(float)
    error = np.abs(luma(pixels) - np.asarray(scene()))
    assert error.mean() < (0.6 if suffix in LOSSLESS else 3)
    assert np.ptp(pixels, axis=2).mean() > 8


def test_the_content_decides_not_the_suffix(tmp_path):
    scene().save(tmp_path / "a.png")
    for name in ("photo", "photo.jpg", "photo.mp4", "UPPER.TIF", "a b'%[1].scan"):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
        assert kind_of(tmp_path / name) == ("photo", "PNG", "")
        assert read_photo(tmp_path / name).format == "PNG"
    assert result_suffix(tmp_path / "photo") == (".png", "its content is PNG")
    assert result_suffix(tmp_path / "UPPER.TIF") == (".TIF", "")


@pytest.mark.parametrize(
    "suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts", ".m2ts", ".vob", ".wmv",
               ".flv", ".ogv", ".3gp", ".mxf", ".gif", ".y4m", ".h264"]
)  # fmt: skip
def test_clips_are_clips_whatever_they_are_called(tmp_path, suffix):
    extra = {".3gp": ["-c:v", "mpeg4"], ".webm": ["-c:v", "libvpx"], ".ogv": ["-c:v", "libtheora"],
             ".m2ts": ["-f", "mpegts", "-mpegts_m2ts_mode", "1"]}  # fmt: skip
    make_clip(tmp_path / f"a{suffix}", *extra.get(suffix, []))
    (tmp_path / f"a{suffix}").rename(tmp_path / "a.jpg")
    assert kind_of(tmp_path / "a.jpg").kind == "clip"
    with pytest.raises(PhotoError, match=r"a\.jpg is not a picture that can be read: it is a clip"):
        read_photo(tmp_path / "a.jpg")


def test_a_still_gif_is_a_photo_and_a_moving_one_a_clip(tmp_path):
    scene().save(tmp_path / "still.gif")
    scene().save(
        tmp_path / "film.gif", save_all=True, append_images=[scene((96, 64)).rotate(9)], loop=0
    )
    assert kind_of(tmp_path / "still.gif").kind == "photo"
    assert kind_of(tmp_path / "film.gif").kind == "clip"
    assert len(read_picture_frames(tmp_path / "film.gif")) == 2


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif"])
def test_other_moving_pictures_are_neither_and_say_why(tmp_path, suffix):
    frames = [scene(), scene().rotate(90), scene().rotate(180)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    kind = kind_of(tmp_path / f"a{suffix}")
    assert kind.kind == "neither" and "moving picture" in kind.reason
    with pytest.raises(PhotoError, match="moving picture"):
        read_photo(tmp_path / f"a{suffix}")


def test_what_is_neither_says_so(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("a photo, I promise")
    assert kind_of(tmp_path / "empty.jpg") == ("neither", "", "it is empty")
    assert kind_of(tmp_path / "text.jpg").kind == "neither"
    for name in ("empty.jpg", "text.jpg"):
        with pytest.raises(PhotoError, match=name):
            read_photo(tmp_path / name)
    with pytest.raises(OSError):
        kind_of(tmp_path / "missing.jpg")


def test_heic_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert kind_of(tmp_path / "a.heic").format == "HEIF"
    with pytest.raises(PhotoError, match=r"a\.heic is a HEIC or HEIF photo; install pillow-heif"):
        read_photo(tmp_path / "a.heic")


def test_a_heic_photo_comes_back_as_one(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(scene().convert("RGB")).save(tmp_path / "a.heic", quality=95)
    paint_photo(tmp_path / "a.heic", tmp_path / "b.heic", colorize_bands(Tint()))
    pixels = np.asarray(pillow_heif.open_heif(tmp_path / "b.heic").to_pillow()).astype(float)
    assert np.abs(luma(pixels) - np.asarray(scene())).mean() < 4
    assert np.ptp(pixels, axis=2).mean() > 8


def test_a_phones_jpeg_with_a_second_picture_is_its_first(tmp_path):
    photo, small = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (8, 6), "blue")
    photo.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[small])
    image = read_photo(tmp_path / "phone.jpg").image
    assert image.shape == (24, 32, 3) and image[..., 0].min() > 0.9


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr", "P", "HSV"])
def test_other_models_of_colour_are_read(tmp_path, mode):
    tinted = Image.merge("RGB", [scene(), scene().point(lambda v: v // 2), scene()])
    if mode == "CMYK":
        tinted.convert("CMYK").save(tmp_path / "a.jpg", quality=100)
        path = tmp_path / "a.jpg"
    elif mode == "P":
        tinted.quantize(256).save(tmp_path / "a.png")
        path = tmp_path / "a.png"
    elif mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        ImageCms.profileToProfile(tinted, srgb, lab, outputMode="LAB").save(tmp_path / "a.tif")
        path = tmp_path / "a.tif"
    elif mode == "YCbCr":
        tinted.convert("YCbCr").save(tmp_path / "a.tif")
        path = tmp_path / "a.tif"
    else:
        pytest.skip("no format stores it")
    image = read_photo(path).image.numpy() * 255
    assert np.abs(image - np.asarray(tinted).astype(float)).mean() < 4


def test_a_name_that_is_no_photos_is_refused(tmp_path):
    scene().save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    for name in ("b.mp4", "b", "b.txt"):
        with pytest.raises(PhotoError, match="end it in .png, .tif or .jpg"):
            write_photo(tmp_path / name, photo.image, photo)
    with pytest.raises(PhotoError, match="PGM holds no colour; end it in .ppm"):
        write_photo(tmp_path / "b.pgm", photo.image, photo)
    assert not list(tmp_path.glob("b*"))


@pytest.mark.parametrize(("pix_fmt", "deep"), [("yuv420p10le", True), ("yuv420p", False)])
def test_avif_of_ten_bits_says_that_it_is_read_with_eight(tmp_path, caplog, pix_fmt, deep):
    caplog.set_level("INFO")
    scene().save(tmp_path / "a.png")
    options = ("-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", pix_fmt)
    ffmpeg("-i", tmp_path / "a.png", *options, tmp_path / "a.avif")
    read_photo(tmp_path / "a.avif")
    assert ("finer than 8 bits are read with 8 bits" in caplog.text) == deep
