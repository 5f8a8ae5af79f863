"""Damaged photos: what can be read is, with a warning; what cannot is one sentence."""

import io
import struct
import threading
import warnings

import numpy as np
import pytest
from colorizationnet.pipeline import photo as face
from colorizationnet.pipeline.photo import PhotoError, read_photo, write_photo
from photo_files import deep_png, insert_chunk, ramp, scene, write_tiff
from PIL import Image, ImageFile


def packed(suffix, **options):
    target = io.BytesIO()
    scene((320, 240)).save(target, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper()),
                           **options)  # fmt: skip
    return target.getvalue()


KINDS = {
    "jpg": (".jpg", {"quality": 95}),
    "progressive": (".jpg", {"quality": 95, "progressive": True}),
    "png": (".png", {}),
    "bmp": (".bmp", {}),
    "gif": (".gif", {"interlace": False}),
    "strips": (".tif", {}),
    "lzw": (".tif", {"compression": "tiff_lzw", "strip_size": 4096}),
}


@pytest.mark.parametrize("share", [0.5, 0.67, 0.95])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_a_truncated_photo_is_read(tmp_path, caplog, kind, share):
    suffix, options = KINDS[kind]
    data = packed(suffix, **options)
    head = data[: int(len(data) * share)]
    if suffix == ".tif" and data[4:8] != b"\x08\0\0\0":
        head = data  # its directory stands at the end: damage the pixels in the midst instead
        middle = int(len(data) * share)
        head = data[:middle] + bytes(min(3000, len(data) - middle - 400)) + data[middle + 3000 :]
    (tmp_path / f"cut{suffix}").write_bytes(head)
    image = read_photo(tmp_path / f"cut{suffix}").image[..., 0].numpy() * 255
    expected = np.asarray(scene((320, 240))).astype(float)
    rows = int(240 * (share - 0.2))
    part = image[:rows] if kind != "bmp" else image[-rows:]  # a BMP stands on its head
    part_expected = expected[:rows] if kind != "bmp" else expected[-rows:]
    assert np.abs(part - part_expected).mean() < (12 if kind == "progressive" else 3)
    if kind != "lzw":
        assert f"cut{suffix}: damaged" in caplog.text


def test_a_jpeg_without_its_last_bytes_is_whole(tmp_path, caplog):
    data = packed(".jpg", quality=95)
    (tmp_path / "whole.jpg").write_bytes(data)
    (tmp_path / "cut.jpg").write_bytes(data[:-4])
    whole, cut = read_photo(tmp_path / "whole.jpg"), read_photo(tmp_path / "cut.jpg")
    assert not whole.first.notes and cut.first.notes
    assert np.abs(whole.image[:-8].numpy() - cut.image[:-8].numpy()).max() == 0
    assert "cut.jpg: damaged (the file ends early)" in caplog.text


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".jp2", ".tif", ".gif", ".bmp"])
def test_nothing_readable_is_one_sentence(tmp_path, suffix):
    format = {".jpg": "JPEG", ".tif": "TIFF", ".jp2": "JPEG2000"}.get(suffix, suffix[1:].upper())
    target = io.BytesIO()
    scene((320, 240)).save(target, format)
    (tmp_path / f"a{suffix}").write_bytes(target.getvalue()[:60])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoError) as error:
            read_photo(tmp_path / f"a{suffix}")
    assert f"a{suffix}" in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_flipped_bits_end_in_a_picture_or_a_sentence(tmp_path):
    random = np.random.default_rng(5)
    for suffix in (".jpg", ".png", ".tif", ".gif", ".webp", ".bmp"):
        options = {"compression": "tiff_lzw"} if suffix == ".tif" else {}
        data = np.frombuffer(packed(suffix, **options), np.uint8)
        for trial in range(12):
            hurt = data.copy()
            places = random.integers(0, len(data), 6) if trial % 2 else random.integers(0, 400, 2)
            hurt[places] ^= random.integers(1, 256, len(places), dtype=np.uint8)
            path = tmp_path / f"hurt{trial}{suffix}"
            path.write_bytes(hurt.tobytes())
            try:
                image = read_photo(path).image
            except PhotoError as error:
                assert path.name in str(error)
            else:
                assert image.min() >= 0 and image.max() <= 1


BROKEN_EXIF = {
    "no TIFF": b"what is this?",
    "cut in the header": b"II*\0\x08\0",
    "cut in the directory": b"MM\0*\0\0\0\x08\0\5" + struct.pack(">HHIHH", 296, 3, 1, 2, 0),
}


@pytest.mark.parametrize("block", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
@pytest.mark.parametrize("kind", [".png", "16-bit.png", "rgb48.png", ".webp", ".jpg"])
def test_broken_exif_is_left_out_and_told_and_the_picture_is_read(tmp_path, caplog, kind, block):
    source = tmp_path / f"a{kind}"
    if kind == "rgb48.png":
        levels = ramp(np.uint16)
        deep_png(source, levels)
        insert_chunk(source, b"eXIf", block)
    else:
        levels = ramp(np.uint16 if kind == "16-bit.png" else np.uint8)
        picture = Image.fromarray(levels)
        mark = b"" if kind.endswith(".png") else b"Exif\0\0"
        options = {"lossless": True} if kind == ".webp" else {}
        picture.save(source, exif=mark + block, **options)
    photo = read_photo(source)
    assert photo.first.notes == ["its EXIF cannot be read and is left out."]
    assert photo.bits == np.iinfo(levels.dtype).bits
    assert f"{source.name}: its EXIF cannot be read" in caplog.text
    error = photo.image[..., 0].numpy() - levels / np.iinfo(levels.dtype).max
    assert np.abs(error).max() < (0.03 if kind == ".jpg" else 1e-6)
    write_photo(tmp_path / f"b{source.suffix}", photo.image, photo)
    with Image.open(tmp_path / f"b{source.suffix}") as file:
        assert not file.getexif()


def test_missing_strips_are_told_with_their_row(tmp_path, caplog):
    levels = ramp(np.uint16)
    write_tiff(tmp_path / "a.tif", levels.tobytes(), 16, size=(64, 40))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = struct.unpack_from("<I", data, 4)[0]
    for index in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * index
        if struct.unpack_from("<H", data, entry)[0] == 279:
            struct.pack_into("<I", data, entry + 8, 64 * 2 * 25)
    (tmp_path / "a.tif").write_bytes(data)
    image = read_photo(tmp_path / "a.tif").image[..., 0].numpy() * 65535
    assert np.abs(image[:25] - levels[:25]).max() < 0.01 and not image[25:].any()
    assert "a.tif: damaged: from row 25 of 40 on" in caplog.text


def test_pillows_settings_are_the_hosts(tmp_path):
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
    Image.new("1", (16384, 16384)).save(tmp_path / "large.tif", compression="group4")
    (tmp_path / "cut.jpg").write_bytes(packed(".jpg")[:-500])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = []
        threads = [
            threading.Thread(target=lambda: seen.append(read_photo(tmp_path / "cut.jpg").width))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert read_photo(tmp_path / "large.tif").height == 16384
        for thread in threads:
            thread.join()
    assert seen == [320] * 4
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, warnings.filters)


@pytest.mark.parametrize("height", [16385, 2 * 16384 + 1])
def test_scans_beyond_the_limit_are_one_sentence(tmp_path, height):
    Image.new("1", (16384, height)).save(tmp_path / "large.tif", compression="group4")
    with pytest.raises(PhotoError, match=r"large\.tif has more than 16384 x 16384 pixels; scale"):
        read_photo(tmp_path / "large.tif")
    assert face.MAX_SIDE == 16384
