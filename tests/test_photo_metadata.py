"""What else is in a photo's file comes back: words, places, resolution, how it was packed."""

import struct
import zlib

import numpy as np
import pytest
from colorizationnet.pipeline.photo import colorize_bands, paint_photo, read_photo
from colorizationnet.pipeline.photo.tiff import Directory
from colorizationnet.pipeline.photo.tiff_writer import TiffWriter
from photo_files import (
    Tint,
    deep_png,
    grey_profile,
    insert_chunk,
    luma,
    ramp,
    read_plain_tiff,
    save_jp2,
    scene,
    srgb,
    write_tiff,
)
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin
from test_photo_tones import chunks_of

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'dc:title="Grandma"/></x:xmpmeta>'
)
UPRIGHT_XMP = XMP.replace(b'"6"', b'"1"')
IPTC = b"\x1c\x02\x78\0\x0cGrandma 1931" + b"\x1c\x02\x19\0\x06family"


def resource(kind, data):
    return struct.pack(">4sHHI", b"8BIM", kind, 0, len(data)) + data + bytes(len(data) % 2)


PHOTOSHOP = resource(1028, IPTC) + resource(1005, bytes(16))


def photoshop_sizes(across, down):
    return resource(1005, struct.pack(">8H", across, 0, 1, 1, down, 0, 1, 1))


PHOTOSHOP_SIZES = resource(1028, IPTC) + photoshop_sizes(300, 600)
THUMBNAIL = resource(1036, b"a grey thumbnail")


def segment(code, data):
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def exif(orientation=None):
    block = Image.Exif()
    block[0x010E], block[0x010F], block[0x0131] = "Grandma", "Agfa", "a scanner"
    if orientation:
        block[0x0112] = orientation
    block.get_ifd(0x8769).update({0x9003: "1931:05:01 12:00:00", 0xA002: 96, 0xA003: 64})
    block.get_ifd(0x8825).update({1: "N", 2: (51.0, 3.0, 20.0)})
    return block


def save_jpeg(path, image=None, orientation=None, **options):
    extra = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    extra += segment(0xED, b"Photoshop 3.0\0" + PHOTOSHOP + THUMBNAIL)
    (image or scene()).save(
        path, extra=extra, exif=exif(orientation).tobytes(), dpi=(600, 600),
        comment=b"from the attic", **{"quality": 90} | options,
    )  # fmt: skip


def colorize(source, target, **options):
    return paint_photo(source, target, colorize_bands(Tint()), **options)


def check_words(path, orientation=False):
    with Image.open(path) as file:
        found = file.getexif()
        assert (found[0x010E], found[0x010F], found[0x0131]) == ("Grandma", "Agfa", "a scanner")
        assert found.get_ifd(0x8769)[0x9003] == "1931:05:01 12:00:00"
        assert found.get_ifd(0x8825)[1] == "N" and found.get_ifd(0x8825)[2] == (51.0, 3.0, 20.0)
        assert found.get(0x0112, 1) == 1
        return file.size, dict(file.info), found.get_ifd(0x8769)


def test_a_jpeg_keeps_all_that_it_says(tmp_path):
    save_jpeg(tmp_path / "a.jpg")
    colorize(tmp_path / "a.jpg", tmp_path / "b.jpg")
    _, info, _ = check_words(tmp_path / "b.jpg")
    assert info["dpi"] == (600, 600) and info["comment"] == b"from the attic"
    assert info["xmp"] == UPRIGHT_XMP
    assert info["photoshop"][1028] == IPTC and 1005 in info["photoshop"]
    assert 1036 not in info["photoshop"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
def test_a_turned_photo_stands_upright_and_says_so(tmp_path, suffix, orientation):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    if suffix == ".jpg":
        save_jpeg(source, orientation=orientation, quality=100)
    else:
        scene().save(source, exif=exif(orientation).tobytes())
    colorize(source, target)
    pixels = np.asarray(scene()).astype(float)
    flips = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
             6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90}  # fmt: skip
    upright = flips.get(orientation, lambda a: a)(pixels)
    size, info, inner = check_words(target)
    assert size == upright.shape[::-1]
    with Image.open(target) as file:
        error = np.abs(luma(np.asarray(file).astype(float)) - upright)
    assert error.max() < (6 if suffix == ".jpg" else 0.6)
    if suffix == ".jpg":
        assert (inner[0xA002], inner[0xA003]) == size
        assert b'tiff:Orientation="1"' in info["xmp"]


def save_turned_by_xmp(path, kind):
    """A picture of 64 x 40 of every level of its depth, of which only XMP says that it lies."""
    levels = ramp(np.uint16 if "16" in kind else np.uint8)
    if kind == "rgb 16.png":
        deep_png(path, levels)
    elif path.suffix == ".jpg":
        image = Image.fromarray(levels)
        image.save(path, quality=100, extra=segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP))
    elif path.suffix == ".tif":
        mode = {"CMYK.tif": "CMYK"}.get(kind)
        image = Image.fromarray(levels)
        options = {"compression": "jpeg", "quality": 100} if kind == "packed as JPEG.tif" else {}
        (image.convert(mode) if mode else image).save(path, tiffinfo={700: XMP}, **options)
    else:
        Image.fromarray(levels).save(path, lossless=True, xmp=XMP)
    if path.suffix == ".png":
        insert_chunk(path, b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP)
    return levels


@pytest.mark.parametrize(
    "kind", ["8.png", "16.png", "rgb 16.png", "8.tif", "16.tif", "packed as JPEG.tif", "CMYK.tif",
             "8.jpg", "8.webp"]
)  # fmt: skip
def test_what_only_xmp_says_of_the_orientation_holds_at_every_depth(tmp_path, kind):
    source, target = tmp_path / f"a {kind}", tmp_path / f"b {kind}"
    levels = save_turned_by_xmp(source, kind)
    photo = read_photo(source)
    upright = np.rot90(levels, -1) / np.iinfo(levels.dtype).max
    error = np.abs(photo.image[..., 0].numpy() - upright)
    assert photo.bits == (16 if "16" in kind else 8) and error.max() < 0.02
    colorize(source, target)
    with Image.open(target) as file:
        assert file.size == (40, 64) and file.getexif().get(0x0112, 1) == 1


XMP_SIZES = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:XResolution="300/1" '
    b'tiff:YResolution="600/1"><exif:PixelXDimension>96</exif:PixelXDimension>'
    b"<exif:PixelYDimension>64</exif:PixelYDimension></rdf:Description></x:xmpmeta>"
)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", [".png", "deep.png", ".tif", ".jpg"])
def test_the_resolution_is_turned_with_the_picture(tmp_path, kind, orientation):
    """A scan of 300 dots an inch across and 600 down, which may lie on its side."""
    source, target = tmp_path / f"a{kind}", tmp_path / f"b{kind}"
    block = exif(orientation)
    block[282], block[283], block[296] = 300, 600, 2
    if kind == ".tif":
        block[700], block[34377] = XMP_SIZES, PHOTOSHOP_SIZES
        scene().save(source, exif=block.tobytes())
    if kind == ".jpg":
        extra = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP_SIZES)
        extra += segment(0xED, b"Photoshop 3.0\0" + PHOTOSHOP_SIZES)
        scene().save(source, exif=block, dpi=(300, 600), extra=extra)
    elif kind.endswith(".png"):
        if kind == "deep.png":
            deep_png(source, ramp(np.uint16, (64, 96)))
        else:
            scene().save(source)
        insert_chunk(source, b"eXIf", block.tobytes().removeprefix(b"Exif\0\0"))
        insert_chunk(source, b"pHYs", struct.pack(">IIB", 11811, 23622, 1))
        insert_chunk(source, b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP_SIZES)
    sideways = orientation in (6, 8)
    across, down = (600, 300) if sideways else (300, 600)
    colorize(source, target)
    with Image.open(target) as file:
        file.load()
        assert file.size == ((64, 96) if sideways else (96, 64))
        found, xmp = file.getexif(), file.info["xmp"]
        assert (found[282], found[283], found[296]) == (across, down, 2)
        inner = found.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == file.size
        assert tuple(map(round, file.info["dpi"])) == (across, down)
    if not kind.endswith(".png"):
        assert photoshop_sizes(across, down) in target.read_bytes()
    for name, value in {"X": across, "Y": down}.items():
        assert b'tiff:%sResolution="%d/1"' % (name.encode(), value) in xmp
    across, down = (64, 96) if sideways else (96, 64)
    for name, value in {"X": across, "Y": down}.items():
        words = name.encode(), value, name.encode()
        assert b"<exif:Pixel%sDimension>%d</exif:Pixel%sDimension>" % words in xmp
    colorize(source, tmp_path / "c.tif")
    with Image.open(tmp_path / "c.tif") as file:
        assert tuple(map(round, file.info["dpi"])) == ((600, 300) if sideways else (300, 600))


def test_exif_outweighs_xmp_where_they_differ(tmp_path):
    deep_png(tmp_path / "a.png", ramp(np.uint16))
    insert_chunk(tmp_path / "a.png", b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP)
    block = Image.Exif()
    block[0x0112] = 3
    insert_chunk(tmp_path / "a.png", b"eXIf", block.tobytes().removeprefix(b"Exif\0\0"))
    image = read_photo(tmp_path / "a.png").image[..., 0].numpy() * 65535
    assert np.abs(image - np.rot90(ramp(np.uint16), 2)).max() < 0.01


def test_the_embedded_grey_thumbnail_is_left_out(tmp_path):
    block = exif(6).tobytes()
    data = bytearray(block.removeprefix(b"Exif\0\0"))
    order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
    at = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, at)[0]
    struct.pack_into(order + "I", data, at + 2 + 12 * count, len(data))
    data += struct.pack(order + "HHHIHH", 3, 259, 3, 1, 6, 0)
    data += struct.pack(order + "HHII" * 2 + "I", 513, 4, 1, 0, 514, 4, 1, 0, 0)
    scene().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + bytes(data))
    colorize(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as file:
        after = file.info["exif"].removeprefix(b"Exif\0\0")
    changed = [i for i, pair in enumerate(zip(data, after, strict=True)) if pair[0] != pair[1]]
    following = range(at + 2 + 12 * count, at + 6 + 12 * count)
    assert set(struct.unpack_from("4B", after, following[0])) == {0}
    # Makers' notes stay where they are: besides, only orientation and sizes have changed.
    assert len(set(changed) - set(following)) <= 3


@pytest.mark.parametrize("order", "<>")
def test_a_tiff_keeps_its_tags_to_the_byte(tmp_path, order):
    def short(*values):
        return struct.pack(order + "H" * len(values), *values)

    rational = struct.pack(order + "II", 1200, 1)
    words = {
        270: (2, b"Grandma\xe9 1931\0"), 315: (2, b"her son\0"), 33432: (2, b"free\0"),
        306: (2, b"2001:01:01 10:00:00\0"), 282: (5, rational), 283: (5, rational),
        700: (1, XMP), 33723: (7, IPTC), 34377: (1, PHOTOSHOP), 65001: (3, short(7, 8, 9)),
    }  # fmt: skip
    tags = [
        (number, kind, value if kind != 3 else list(struct.unpack(order + "3H", value)))
        for number, (kind, value) in words.items()
    ]
    levels = ramp(np.uint16)
    rows = levels.astype(order + "u2").tobytes()
    tags += [(296, 3, [3]), (274, 3, [1])]
    write_tiff(tmp_path / "a.tif", rows, 16, order=order, size=(64, 40), tags=tags)
    colorize(tmp_path / "a.tif", tmp_path / "b.tif")
    found, after = read_plain_tiff(tmp_path / "b.tif")
    for number, (kind, value) in words.items():
        assert found[number] == (kind, UPRIGHT_XMP if number == 700 else value)
    assert found[296] == (3, short(3)) and 274 not in found
    assert np.abs(luma(after) - levels).max() <= 0.51


def test_no_resolution_stays_none(tmp_path):
    for suffix in (".tif", ".png", ".jpg", ".bmp"):
        scene().save(tmp_path / f"a{suffix}")
        colorize(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
        with (
            Image.open(tmp_path / f"a{suffix}") as before,
            Image.open(tmp_path / f"b{suffix}") as b,
        ):
            assert b.info.get("dpi") == before.info.get("dpi")
            assert not b.getexif() or suffix == ".tif"
    assert not {282, 283, 296} & set(read_plain_tiff(tmp_path / "b.tif")[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("compression", "after"),
    [(None, 1), ("tiff_lzw", 5), ("tiff_adobe_deflate", 8), ("tiff_deflate", 8),
     ("packbits", 32773), ("jpeg", 7)],
)  # fmt: skip
def test_a_tiff_is_packed_as_its_source(tmp_path, compression, after, dtype):
    if compression == "jpeg" and dtype == np.uint16:
        pytest.skip("JPEG has 8 bits here")
    pixels = np.asarray(scene((200, 300))).astype(dtype) * (np.iinfo(dtype).max // 255)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    colorize(tmp_path / "a.tif", tmp_path / "b.tif")
    tags, _ = read_plain_tiff(tmp_path / "b.tif")
    assert struct.unpack("<H", tags[259][1])[0] == after
    with Image.open(tmp_path / "b.tif") as file:
        seen = luma(np.asarray(file).astype(float))
    assert np.abs(seen - pixels / (np.iinfo(dtype).max // 255)).max() < (9 if after == 7 else 1)


def test_what_a_tiff_cannot_hold_goes_into_a_bigtiff(tmp_path, monkeypatch, caplog):
    pages = [scene(), scene((50, 80)), scene((64, 64)).rotate(30)]
    pages[0].save(
        tmp_path / "a.tif", save_all=True, append_images=pages[1:], exif=exif().tobytes(),
        dpi=(600, 600),
    )  # fmt: skip
    colorize(tmp_path / "a.tif", tmp_path / "classic.tif")
    size = (tmp_path / "classic.tif").stat().st_size
    monkeypatch.setattr("colorizationnet.pipeline.photo.tiff_writer._MOST_OF_CLASSIC", size - 1)
    colorize(tmp_path / "a.tif", tmp_path / "big.tif")
    assert "big.tif: it has more than 4 GB, so it is a BigTIFF" in caplog.text
    for name, version in ("classic.tif", 42), ("big.tif", 43):
        assert (tmp_path / name).read_bytes()[2] == version
        check_words(tmp_path / name)
        read = [page.raster.rows(slice(None)) * 255 for page in read_photo(tmp_path / name).pages()]
        with Image.open(tmp_path / name) as file:
            assert file.n_frames == 3 and file.info["dpi"] == (600, 600)
            for number, page in enumerate(pages):
                file.seek(number)
                assert np.abs(np.asarray(file) - read[number]).max() < 0.01
                assert np.abs(luma(read[number]) - np.asarray(page)).max() < 0.6


@pytest.mark.parametrize("order", "<>")
def test_strips_beyond_4_gb_are_found(tmp_path, order):
    levels = np.random.default_rng(1).integers(0, 256, (2, 40, 64, 3), np.uint8)
    with (tmp_path / "a.tif").open("wb") as file:
        writer = TiffWriter(file, order)
        for start, page in zip((100, 1 << 32), levels, strict=True):
            file.seek(start)  # over a hole, which takes no room on the disk
            writer.begin((40, 64), 3, 8, {}, Directory(order))
            writer.put(writer.pack(page))
            writer.end_page()
        writer.close()
    assert (tmp_path / "a.tif").stat().st_size > 1 << 32
    for page, expected in zip(read_photo(tmp_path / "a.tif").pages(), levels, strict=True):
        assert np.array_equal(page.raster.levels, expected)
    if order == "<":  # Pillow knows no other BigTIFF
        with Image.open(tmp_path / "a.tif") as file:
            for number, expected in enumerate(levels):
                file.seek(number)
                assert np.array_equal(np.asarray(file), expected)


def test_the_quality_and_subsampling_of_a_jpeg_stay(tmp_path):
    tint = Image.merge("RGB", [scene(), scene().point(lambda v: v // 2), scene()])
    for quality, subsampling, image in ((40, 2, tint), (85, 0, tint), (60, 0, scene())):
        image.save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling, progressive=True)
        colorize(tmp_path / "a.jpg", tmp_path / "b.jpg", overwrite=True)
        with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "b.jpg") as after:
            assert after.quantization[0] == before.quantization[0]
            assert JpegImagePlugin.get_sampling(after) == subsampling
            assert after.info.get("progressive")


def test_a_greys_jpeg_luma_is_quantized_to_the_same_values(tmp_path):
    scene((256, 256)).save(tmp_path / "a.jpg", quality=50)
    colorize(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as a, Image.open(tmp_path / "b.jpg") as b:
        b.draft("L", None)
        error = np.asarray(b.convert("L")).astype(float) - np.asarray(a)
    assert np.abs(error).mean() < 0.3


def test_a_png_keeps_its_text_resolution_and_time(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Grandma")
    info.add_text("Author", "her son", zip=True)
    info.add_itxt("Beschreibung", "auf dem Dachboden gefunden: Größe", "de", "Beschreibung")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"tIME", struct.pack(">H5B", 2001, 1, 1, 10, 0, 0))
    info.add(b"prVt", b"private")
    scene().save(tmp_path / "a.png", pnginfo=info, dpi=(300, 300), exif=exif(3))
    colorize(tmp_path / "a.png", tmp_path / "b.png")
    check_words(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as file:
        file.load()
        assert file.text["Title"] == "Grandma" and file.text["Author"] == "her son"
        assert file.text["Beschreibung"].endswith("Größe") and round(file.info["dpi"][0]) == 300
        assert file.text["XML:com.adobe.xmp"] == UPRIGHT_XMP.decode()
    chunks = chunks_of(tmp_path / "b.png")
    assert chunks[b"tIME"] == struct.pack(">H5B", 2001, 1, 1, 10, 0, 0)
    assert chunks[b"prVt"] == b"private"


@pytest.mark.parametrize("name", [b"iDOT", b"caBX", b"sBIT", b"cLLI", b"mkBF", b"dSIG", b"prVW"])
def test_chunks_about_the_grey_pixels_do_not_outlive_them(tmp_path, name):
    scene().save(tmp_path / "a.png", dpi=(300, 300))
    for beside in (name, b"\x08"), (b"mDCV", bytes(range(24))), (b"oFFs", bytes(9)):
        insert_chunk(tmp_path / "a.png", *beside)
    colorize(tmp_path / "a.png", tmp_path / "b.png")
    chunks = chunks_of(tmp_path / "b.png")
    assert name not in chunks
    assert chunks[b"mDCV"] == bytes(range(24)) and chunks[b"oFFs"] == bytes(9)
    assert b"pHYs" in chunks


WITH_EXIF = [".jpg", ".tif", ".png", ".webp", ".avif", ".jp2"]


def test_a_jpeg_2000_keeps_xmp_exif_and_profile(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"its own"
    block = exif().tobytes().removeprefix(b"Exif\0\0")
    xmp = XMP.replace(b'"6"', b'"1"')
    save_jp2(tmp_path / "a.jp2", scene().convert("RGB"), profile, xmp, block)
    result = colorize(tmp_path / "a.jp2", tmp_path / "b.jp2")
    assert result.notes == []
    with Image.open(tmp_path / "b.jp2") as file:
        assert file.size == scene().size
        assert np.abs(luma(np.asarray(file).astype(float)) - np.asarray(scene())).max() < 0.6
    data = (tmp_path / "b.jp2").read_bytes()
    assert data.count(profile) == data.count(xmp) == data.count(block[8:]) == 1
    colorize(tmp_path / "b.jp2", tmp_path / "c.png")  # and they are found again
    _, info, _ = check_words(tmp_path / "c.png")
    assert info["icc_profile"] == profile and info["xmp"] == xmp
    codestream = colorize(tmp_path / "a.jp2", tmp_path / "d.j2k")
    assert codestream.notes == [
        "JPEG2000 cannot hold a colour profile, EXIF, XMP, which is left out."
    ]


def test_the_grey_profile_of_a_jpeg_2000_holds(tmp_path):
    save_jp2(tmp_path / "a.jp2", Image.fromarray(ramp()), grey_profile(1.0), XMP)
    photo = read_photo(tmp_path / "a.jp2")
    expected = np.rot90(srgb(ramp() / 255), -1)  # as its XMP says
    assert np.abs(photo.image[..., 0].numpy() - expected).max() < 1.5 / 255
    assert colorize(tmp_path / "a.jp2", tmp_path / "b.jp2").notes == []


@pytest.mark.parametrize("cut", [8, 40, 95])
def test_a_jpeg_2000_with_damaged_boxes_is_read(tmp_path, cut):
    save_jp2(tmp_path / "a.jp2", xmp=XMP, block=b"nonsense")
    data = (tmp_path / "a.jp2").read_bytes()
    (tmp_path / "a.jp2").write_bytes(data[:-cut])
    photo = read_photo(tmp_path / "a.jp2")
    assert photo.image.numel() == 96 * 64 * 3


@pytest.mark.parametrize("suffix", WITH_EXIF)
@pytest.mark.parametrize("source", WITH_EXIF[:-1])
def test_words_go_from_every_format_to_every_other(tmp_path, source, suffix):
    if source == ".jpg":
        save_jpeg(tmp_path / "a.jpg")
    else:
        scene().convert("RGB").save(tmp_path / f"a{source}", exif=exif().tobytes())
    colorize(tmp_path / f"a{source}", tmp_path / f"b{suffix}")
    if suffix == ".jp2":  # Pillow does not look there
        colorize(tmp_path / f"b{suffix}", tmp_path / "b.png", overwrite=True)
        suffix = ".png"
    check_words(tmp_path / f"b{suffix}")
    if (source, suffix) == (".jpg", ".tif"):
        tags, _ = read_plain_tiff(tmp_path / "b.tif")
        order = {b"I": "<", b"M": ">"}[(tmp_path / "b.tif").read_bytes()[:1]]
        assert tags[33723][1] == IPTC and tags[700][1] == UPRIGHT_XMP
        assert struct.unpack(order + "II", tags[282][1]) == (600000, 1000)


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [(".jpg", ""), (".png", "PNG cannot hold IPTC"), (".tif", "TIFF cannot hold a comment"),
     (".webp", "WEBP cannot hold IPTC, a comment, the resolution"),
     (".bmp", "BMP cannot hold EXIF, XMP, IPTC, a comment"),
     (".tga", "TGA cannot hold EXIF, XMP, IPTC, a comment, the resolution")],
)  # fmt: skip
def test_what_a_format_cannot_hold_is_told_and_nothing_else(tmp_path, caplog, suffix, lost):
    save_jpeg(tmp_path / "a.jpg")
    result = colorize(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
    assert result.notes == ([f"{lost}, which is left out."] if lost else [])
    assert f"b{suffix}: {lost}" in caplog.text if lost else not caplog.text
    with Image.open(tmp_path / f"b{suffix}") as file:
        dpi = file.info.get("dpi", (0, 0))
        assert round(dpi[0]) == (0 if "resolution" in lost else 600)
        assert ("comment" in map(str.lower, file.info)) == (suffix in (".jpg", ".png"))


def test_metadata_that_is_too_long_for_a_jpeg_is_told(tmp_path):
    block = exif()
    block.get_ifd(0x8769)[0x927C] = bytes(66000)
    scene().save(tmp_path / "a.png", exif=block)
    insert_chunk(tmp_path / "a.png", b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + bytes(66000))
    result = colorize(tmp_path / "a.png", tmp_path / "b.jpg")
    lost = "EXIF of more than 64 KB, XMP of more than 64 KB"
    assert result.notes == [f"JPEG cannot hold {lost}, which is left out."]
    with Image.open(tmp_path / "b.jpg") as file:
        assert not file.getexif() and "xmp" not in file.info


@pytest.mark.parametrize("dots", [0, 1, 3_000_000, 2**31 - 1, 2**32 - 1])
def test_a_resolution_that_cannot_be_is_left_out_of_other_formats(tmp_path, dots):
    scene().save(tmp_path / "a.png")
    insert_chunk(tmp_path / "a.png", b"pHYs", struct.pack(">IIB", dots, dots, 1))
    block = Image.Exif()
    block[282], block[283], block[296] = dots, dots, 2
    scene().save(tmp_path / "a.tif", exif=block.tobytes())
    for name in ("a.png", "a.tif"):
        for suffix in {".png", ".tif", ".jpg", ".bmp"} - {name[1:]}:
            colorize(tmp_path / name, tmp_path / f"b{suffix}", overwrite=True)
            with Image.open(tmp_path / f"b{suffix}") as file:
                unsaid = [(96, 96)] if suffix == ".bmp" else [(1, 1), (72, 72), (0, 0)]
                dpi = tuple(map(round, file.info.get("dpi", (0, 0))))
                assert dpi in [*unsaid, (dots, dots)]
    colorize(tmp_path / "a.png", tmp_path / "b.png", overwrite=True)
    assert chunks_of(tmp_path / "b.png")[b"pHYs"] == struct.pack(">IIB", dots, dots, 1)


@pytest.mark.parametrize("dpi", [(300, 600), None])
def test_a_resolution_that_only_exif_tells_is_that_of_the_photo(tmp_path, dpi):
    block = exif()
    if dpi:
        block[282], block[283], block[296] = *dpi, 2
    scene().save(tmp_path / "a.jpg", exif=block)
    for suffix in (".tif", ".png", ".bmp", ".webp"):
        result = colorize(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
        assert not any("resolution" in note for note in result.notes)
        with Image.open(tmp_path / f"b{suffix}") as file:
            found = file.info.get("dpi", (0, 0))
            if suffix == ".webp":
                found = [file.getexif().get(number, 0) for number in (282, 283)]
        unsaid = {".bmp": (96, 96), ".tif": (1, 1)}.get(suffix, (0, 0))  # as Pillow reads them
        assert tuple(map(round, found)) == (dpi or unsaid)


def test_every_chunk_of_a_written_png_is_whole(tmp_path):
    scene((700, 3000)).save(tmp_path / "a.png")
    colorize(tmp_path / "a.png", tmp_path / "b.png")
    data, at, pixels = (tmp_path / "b.png").read_bytes(), 8, b""
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        check = struct.unpack_from(">I", data, at + 8 + size)[0]
        assert check == zlib.crc32(name + body)
        pixels += body if name == b"IDAT" else b""
        at += size + 12
    assert len(zlib.decompress(pixels)) == 3000 * (1 + 700 * 3)
