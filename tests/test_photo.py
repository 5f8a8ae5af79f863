"""Photos coloured in bands: the colours and lumas, pages, transparency, and what is left alone."""

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.core_nodes import LoadImage
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import use
from colorizationnet.model import limited_threads, resize, rgb_to_chroma
from colorizationnet.pipeline.photo import (
    PhotoError,
    colorize_bands,
    paint_photo,
    read_photo,
    read_picture_frames,
    write_photo,
)
from photo_files import Tint, luma, ramp, read_plain_tiff, scene
from PIL import Image

TURNS = {1: lambda a: a, 3: lambda a: np.rot90(a, 2), 6: lambda a: np.rot90(a, -1),
         8: np.rot90, 2: np.fliplr}  # fmt: skip


def random_pixels(dtype=np.uint8, shape=(30, 50)):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def colorize(source, target, **options):
    return paint_photo(source, target, colorize_bands(Tint()), **options)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_turned_grey_scans_stand_upright(tmp_path, suffix, dtype, orientation):
    pixels = random_pixels(dtype)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"scan{suffix}"
    Image.fromarray(pixels).save(path, exif=exif)
    upright = TURNS[orientation](pixels).astype(np.float32) / np.iinfo(dtype).max
    upright = torch.from_numpy(upright).unsqueeze(-1).expand(-1, -1, 3)
    read = read_photo(path)
    assert read.bits == np.iinfo(dtype).bits
    torch.testing.assert_close(read.image, upright)
    torch.testing.assert_close(read_picture_frames(path)[0][0], upright)
    with use(StandInHost(input=tmp_path)):
        torch.testing.assert_close(LoadImage.execute(path.name).args[0][0], upright)


def test_the_model_sees_the_luma_small_and_its_chroma_is_painted(tmp_path):
    image = scene((700, 3100))  # more than one band
    image.save(tmp_path / "a.png")
    tint = Tint()
    paint_photo(tmp_path / "a.png", tmp_path / "b.png", colorize_bands(tint))
    grey = torch.from_numpy(np.array(image)).float().div(255)[None, None]
    torch.testing.assert_close(tint.lumas[0], resize(grey, (8, 8)).clamp(0, 1), atol=1e-5, rtol=0)
    after = read_photo(tmp_path / "b.png").image
    middle = (grey[0, 0] > 0.3) & (grey[0, 0] < 0.7)
    chroma = rgb_to_chroma(after.permute(2, 0, 1))[:, middle].mean(1)
    torch.testing.assert_close(chroma, tint.chroma_seen, atol=0.003, rtol=0)
    assert np.abs(luma(after.numpy() * 255) - np.asarray(image)).max() < 0.51


def test_strength_zero_is_the_photo_itself_and_half_is_half(tmp_path):
    pixels = random_pixels(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    chroma = []
    for strength in (0, 0.5, 1):
        target = tmp_path / f"{strength}.tif"
        paint_photo(tmp_path / "a.tif", target, colorize_bands(Tint(), strength=strength))
        _, levels = read_plain_tiff(target)
        assert np.abs(luma(levels) - pixels).max() <= 0.51
        chroma.append((levels[..., 0] - luma(levels)).mean())
    assert chroma[0] == pytest.approx(0, abs=1e-6)
    assert chroma[1] == pytest.approx(chroma[2] / 2, rel=0.01) and chroma[2] > 100


def test_progress_counts_rows_and_may_end_the_work(tmp_path):
    scene((600, 4000)).save(tmp_path / "a.png")
    heard = []
    colorize(tmp_path / "a.png", tmp_path / "b.png", on_progress=lambda *p: heard.append(p))
    assert heard[-1] == (4000, 4000) and heard == sorted(heard)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorize(tmp_path / "a.png", tmp_path / "c.png", on_progress=stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_check_is_heard_in_every_part_of_the_work(tmp_path):
    class Cancelled(Exception):
        pass

    class Watched(Tint):
        """Notes how often the check was heard until the model is asked, and does not ask itself."""

        def chroma(self, luma, check=None):
            before.append(len(heard))
            return super().chroma(luma)

    scene((600, 8000)).save(tmp_path / "a.png")
    heard, before, most = [], [], []

    def check():
        if most and len(heard) == most[0]:
            raise Cancelled
        heard.append(None)

    def run(name):
        watched = colorize_bands(Watched(), check=check)
        with limited_threads(1):  # else many pieces may be done between two calls
            paint_photo(tmp_path / "a.png", tmp_path / name, watched, check=check)

    run("b.png")
    assert before[0] > 2 and len(heard) - before[0] > 2
    for count in (0, before[0] - 1, before[0] + 1):
        heard.clear()
        most[:] = [count]
        with pytest.raises(Cancelled):
            run("c.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_nothing_is_overwritten_unasked(tmp_path):
    scene().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("precious")
    with pytest.raises(FileExistsError, match=r"b\.png is there already"):
        colorize(tmp_path / "a.png", tmp_path / "b.png")
    assert (tmp_path / "b.png").read_text() == "precious"

    def appear(done, total):
        (tmp_path / "c.png").write_text("precious")

    with pytest.raises(FileExistsError):
        colorize(tmp_path / "a.png", tmp_path / "c.png", on_progress=appear)
    assert (tmp_path / "c.png").read_text() == "precious"
    colorize(tmp_path / "a.png", tmp_path / "b.png", overwrite=True)
    assert read_photo(tmp_path / "b.png").width == 96


def pages_of(path):
    with Image.open(path) as file:
        found = []
        for index in range(file.n_frames):
            file.seek(index)
            found.append(np.asarray(file.convert("RGB")).astype(float))
        return found


def test_every_page_keeps_its_own_depth_and_only_what_is_lost_is_told(tmp_path):
    Image.fromarray(random_pixels(np.uint16)).save(
        tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(random_pixels())]
    )
    result = colorize(tmp_path / "a.tif", tmp_path / "b.tif")
    assert result.notes == []
    assert [page.bits for page in read_photo(tmp_path / "b.tif").pages()] == [16, 8]


def test_every_page_of_a_document_is_coloured_into_one_file(tmp_path):
    pages = [scene(), scene((50, 80)), scene((64, 64)).rotate(30)]
    pages[0].save(
        tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw"
    )
    result = colorize(tmp_path / "a.tif", tmp_path / "b.tif")
    after = pages_of(tmp_path / "b.tif")
    assert result.pages == len(after) == 3
    for page, colored in zip(pages, after, strict=True):
        assert np.abs(luma(colored) - np.asarray(page)).max() < 0.6
        assert np.ptp(colored, axis=2).mean() > 5
    assert len(read_picture_frames(tmp_path / "a.tif")) == 1  # the others are of another size
    with pytest.raises(PhotoError, match=r"a\.tif holds 3 pictures; name a \.tif"):
        colorize(tmp_path / "a.tif", tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_thumbnail_is_no_second_picture(tmp_path, marked, first):
    if first and not marked:
        pytest.skip("an unmarked first page is the picture")
    photo, small = scene((960, 640)), scene((96, 64))
    if marked:
        small.encoderinfo = {"tiffinfo": {254: 1}}
        other = small
    else:
        other = small
    order = [other, photo] if first else [photo, other]
    order[0].save(
        tmp_path / "a.tif", save_all=True, append_images=order[1:],
        **({"tiffinfo": {254: 1}} if first else {}),
    )  # fmt: skip
    if first:
        # The marks of the first page are Pillow's for all; take them from the second again.
        data = bytearray((tmp_path / "a.tif").read_bytes())
        unmark_last(data)
        (tmp_path / "a.tif").write_bytes(data)
    photo_read = read_photo(tmp_path / "a.tif")
    assert (photo_read.page_count, photo_read.width) == (1, 960)


def unmark_last(data):
    import struct

    at, last = struct.unpack_from("<I", data, 4)[0], 0
    while at:
        last = at
        count = struct.unpack_from("<H", data, at)[0]
        at = struct.unpack_from("<I", data, at + 2 + 12 * count)[0]
    for index in range(struct.unpack_from("<H", data, last)[0]):
        entry = last + 2 + 12 * index
        if struct.unpack_from("<H", data, entry)[0] == 254:
            struct.pack_into("<I", data, entry + 8, 0)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L"])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_passes_through(tmp_path, suffix, mode):
    alpha = Image.fromarray(random_pixels(shape=(64, 96)))
    source, options = scene(), {}
    if mode in ("LA", "RGBA"):
        source = scene().convert(mode)
        source.putalpha(alpha)
    elif suffix != ".png":
        pytest.skip("only PNG has this")
    elif mode == "P":
        source, options = scene().convert("P"), {"transparency": bytes(range(256))}
    else:
        options = {"transparency": int(np.asarray(scene())[3, 3])}
    if suffix == ".webp":
        options = {"lossless": True, "exact": True}
    source.save(tmp_path / f"a{suffix}", **options)
    with Image.open(tmp_path / f"a{suffix}") as file:
        expected = np.asarray(file.convert("RGBA"))[..., 3]
    photo = read_photo(tmp_path / f"a{suffix}")
    assert np.abs(photo.alpha.numpy() * 255 - expected).max() < 1e-3
    colorize(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as file:
        after = np.asarray(file.convert("RGBA"))
    assert np.array_equal(after[..., 3], expected)
    seen = expected > 0
    assert np.abs(luma(after.astype(float)) - np.asarray(scene()))[seen].max() < 0.6


def test_transparency_is_put_on_white_for_jpeg_and_told(tmp_path, caplog):
    source = Image.new("LA", (64, 64), (40, 255))
    source.putalpha(Image.fromarray(np.repeat(np.arange(64, dtype=np.uint8)[None] * 4, 64, 0)))
    source.save(tmp_path / "a.png")
    colorize(tmp_path / "a.png", tmp_path / "b.jpg")
    assert "b.jpg: JPEG holds no transparency; it is put on white" in caplog.text
    with Image.open(tmp_path / "b.jpg") as file:
        row = luma(np.asarray(file).astype(float))[32]
    expected = 255 + (40 - 255) * np.arange(64) * 4 / 255
    assert np.abs(row - expected).max() < 4


def test_black_and_white_is_copied_and_told(tmp_path, caplog):
    scene().convert("1").save(tmp_path / "a.tif", compression="group4", dpi=(600, 600))
    result = colorize(tmp_path / "a.tif", tmp_path / "b.tif")
    assert result.is_bilevel
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert "a.tif: it is only black and white, so there is nothing to colour" in caplog.text
    colorize(tmp_path / "a.tif", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as file:
        assert np.array_equal(np.asarray(file.convert("L")) > 127, np.asarray(scene().convert("1")))


def test_black_and_white_is_not_copied_into_a_file_of_another_format(tmp_path):
    scene().convert("1").save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    colorize(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as file:
        assert file.format == "JPEG"


@pytest.mark.parametrize("last", ["1", "L"])
def test_a_document_of_black_and_white_is_copied_and_one_with_a_grey_page_is_not(tmp_path, last):
    text = scene().convert("1")
    pages = [text, scene((50, 80)).convert(last)]
    text.save(
        tmp_path / "a.tif", save_all=True, append_images=pages, compression="tiff_adobe_deflate"
    )
    result = colorize(tmp_path / "a.tif", tmp_path / "b.tif")
    is_copied = (tmp_path / "b.tif").read_bytes() == (tmp_path / "a.tif").read_bytes()
    assert is_copied == result.is_bilevel == (last == "1") and result.pages == 3
    if last == "1":
        assert "only black and white" in result.notes[0]
    else:
        assert not result.notes
        *texts, photo = pages_of(tmp_path / "b.tif")
        assert all(np.array_equal(page[..., 1] > 0, np.asarray(text)) for page in texts)
        assert np.ptp(photo, axis=2).mean() > 5


def colorful():
    """A picture of four colours, each as light here and dark there."""
    hues = np.zeros((64, 96, 3), np.uint8)
    for index, hue in enumerate(([200, 60, 40], [40, 160, 60], [50, 70, 190], [190, 170, 60])):
        hues[:, index * 24 : (index + 1) * 24] = hue
    shade = np.linspace(0.4, 1.2, 64)[:, None, None]
    return Image.fromarray(np.clip(hues * shade, 0, 255).astype(np.uint8))


def toned(high, low=(0, 0, 0)):
    """A grey picture in shades from ``low`` to ``high``, as toning and faded paper give them."""
    grey = np.asarray(scene()).astype(float)[..., None] / 255
    noise = np.random.default_rng(7).normal(0, 6, (64, 96, 3))
    shades = np.array(low) + grey * (np.array(high) - np.array(low)) + noise
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8))


def test_a_colour_photo_says_so_and_can_be_left(tmp_path, caplog):
    colorful().save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").has_color
    result = colorize(tmp_path / "a.png", tmp_path / "b.png")
    assert result.has_color and result.path == tmp_path / "b.png"
    assert "a.png: it is in colour already" in caplog.text
    left = colorize(tmp_path / "a.png", tmp_path / "c.png", skip_color=True)
    assert left.path is None and left.has_color and not (tmp_path / "c.png").exists()


@pytest.mark.parametrize("high", [(255, 235, 200), (255, 255, 255), (230, 240, 255)])
def test_grey_and_toned_photos_are_not_in_colour(tmp_path, high):
    for index, image in enumerate((toned(high), toned(high, (60, 30, 10)), scene())):
        image.save(tmp_path / f"{index}.jpg", quality=80)
        assert not read_photo(tmp_path / f"{index}.jpg").has_color


def through(source, target):
    photo = read_photo(source)
    write_photo(target, photo.image, photo)
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
    noise = random_pixels(shape=(256, 256)) // 16
    picture = Image.merge(
        "RGB", [Image.fromarray(np.asarray(Image.radial_gradient("L")) // 2 + noise)] * 3
    )
    picture.save(tmp_path / "photo.webp", quality=95)
    with Image.open(tmp_path / "photo.webp") as file:
        read = np.asarray(file.convert("RGBA")).astype(float)
        file.save(tmp_path / "lossless.webp", lossless=True)
    again = through(tmp_path / "photo.webp", tmp_path / "again.webp")
    assert np.abs(again - read).mean() < 2
    assert (tmp_path / "again.webp").stat().st_size < (
        tmp_path / "lossless.webp"
    ).stat().st_size / 1.5


def test_a_picture_without_a_source_is_written(tmp_path):
    image = torch.from_numpy(ramp() / 255).float()[..., None].expand(-1, -1, 3)
    write_photo(tmp_path / "a.png", image)
    write_photo(tmp_path / "b.png", image, bit_depth=16)
    with Image.open(tmp_path / "a.png") as file:
        assert np.array_equal(np.asarray(file)[..., 0], ramp())
    assert read_photo(tmp_path / "b.png").bits == 16
