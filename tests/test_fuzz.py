"""Damaged weights, pictures, clips and servers' answers end in a result or a sentence."""

import io
import json
import struct
import time
from functools import partial

import numpy as np
import pytest
import torch
from colorizationnet.headless import client
from colorizationnet.headless.server import Server, ServerError
from colorizationnet.headless.standin.workflow import NodeError, WorkflowError
from colorizationnet.headless.standin.workflow_files import read_workflow
from colorizationnet.options import SHIPPED_WEIGHTS, ColorOptions, EncodeOptions
from colorizationnet.pipeline import colorize_film, colorize_images, load_model, probe
from colorizationnet.pipeline.photo import (
    PhotoError,
    colorize_bands,
    kind_of,
    paint_photo,
    read_picture_frames,
)
from fuzz import LONGEST, check_sentence, hurt, hurt_json, seeds, told
from photo_files import Tint, grey_profile, save_jp2, scene, write_tiff
from PIL import Image, PngImagePlugin, features
from test_headless_server import PROMPT, SAVED, comfy, queue
from test_photo_metadata import XMP, exif, save_jpeg
from video_clips import make_clip

__all__ = ["comfy"]  # a fixture
pytestmark = pytest.mark.slow

SLOWEST = 60  # seconds
LARGEST = 1 << 22  # pixels; what damage makes of a size may honestly take longer
SMALL = ColorOptions(render_size=16, quality="fast")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Weights


def hurt_weights(chance):
    """A safetensors file whose header or tensors are damaged."""
    data = SHIPPED_WEIGHTS.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    if chance.random() < 0.4:
        return hurt(data, chance, head=size + 8)
    header = hurt_json(json.loads(data[8 : 8 + size]), chance)
    if chance.random() < 0.3 and isinstance(header.get("__metadata__"), dict):
        settings = ["render_size", "saturation", "quality", "restraint", "anything"]
        header["__metadata__"][chance.choice(settings)] = chance.choice(
            ["nan", "-1", "1e400", "inf", "", "1e9", "9" * 400, "0", "best", "é", "\x1b[2J"]
        )
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    tensors = bytearray(data[8 + size :])
    if chance.random() < 0.2:
        at = 4 * chance.randrange(len(tensors) // 4)
        value = chance.choice([float("nan"), float("inf"), 1e38, -1e30, 0.0])
        tensors[at : at + 4] = struct.pack("<f", value)
    return struct.pack("<Q", len(text)) + text + bytes(tensors)


def test_fuzz_weights(tmp_path):
    path = tmp_path / "hurt.safetensors"
    grey = torch.linspace(0, 1, 20 * 24).reshape(1, 20, 24, 1).expand(-1, -1, -1, 3)
    loaded = 0
    for seed in seeds(60):
        with told(seed) as chance:
            path.write_bytes(hurt_weights(chance))
            try:
                network = load_model(path)
                colored = colorize_images(network, grey, ColorOptions())
                loaded += 1
            except ValueError as error:
                check_sentence(error, path.name)
            else:
                assert colored.shape == grey.shape and torch.isfinite(colored).all()
    assert loaded or len(seeds(60)) < 30


# Pictures


def picture(format, **options):
    target = io.BytesIO()
    image = options.pop("image", scene((48, 40)))
    image.save(target, format, **options)
    return target.getvalue()


def deep_png():
    levels = np.linspace(0, 65535, 40 * 48).reshape(40, 48).astype(np.uint16)
    return picture("PNG", image=Image.fromarray(levels), dpi=(300, 300))


def texts():
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps({"1": {"class_type": "A", "inputs": {}}}))
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_text("Author", "her son", zip=True)
    return info


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Pictures of every kind with all that they can hold, by suffix and a number."""
    folder = tmp_path_factory.mktemp("pictures")
    color = scene((48, 40)).convert("RGB")
    block = exif(6).tobytes()
    save_jpeg(folder / "a.jpg", scene((48, 40)), 6)
    ramp = bytes(range(240)) * 8
    for number, (photometric, bits) in enumerate(((0, 8), (1, 8), (1, 16), (1, 4))):
        count = 48 * 40 * bits // 8
        write_tiff(folder / f"a{number}.tif", (ramp * 2)[:count], bits, photometric, size=(48, 40))
    made = [
        (".jpg", (folder / "a.jpg").read_bytes()),
        (".jpg", picture("JPEG", progressive=True, exif=block)),
        (".jpg", picture("JPEG", image=color.convert("CMYK"))),
        (".png", picture("PNG", pnginfo=texts(), exif=block)),
        (".png", picture("PNG", image=color.convert("P"), transparency=3)),
        (".png", deep_png()),
        (".gif", picture("GIF")),
        (".webp", picture("WEBP", exif=block)),
        (".webp", picture("WEBP", lossless=True)),
        (".webp", picture("WEBP", save_all=True, append_images=[color])),
        (".bmp", picture("BMP")),
        (".tga", picture("TGA", compression="tga_rle")),
        (".ppm", picture("PPM", image=color)),
        (".pgm", b"P5 48 40 65535\n" + bytes(48 * 40 * 2)),
        *((".tif", path.read_bytes()) for path in sorted(folder.glob("*.tif"))),
        *(
            (".tif", picture("TIFF", image=color, compression=packed))
            for packed in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
        (".tif", picture("TIFF", save_all=True, append_images=[scene((48, 40))])),
        (".tif", picture("TIFF", image=color.convert("1"), compression="group4")),
    ]
    if features.check("avif"):
        made.append((".avif", picture("AVIF", exif=block)))
    if features.check("jpg_2000"):
        save_jp2(folder / "a.jp2", color, grey_profile(1.8), b"<x/>", block[6:])
        made.append((".jp2", (folder / "a.jp2").read_bytes()))
    return made


RECORD = {"prompt": '{"1": 2}', "workflow": '{"nodes": []}', "colorizationnet": '{"version": "0"}'}
RESULTS = {".gif": ".png", ".pgm": ".png"}


def test_fuzz_pictures(pictures, tmp_path):
    colorize = colorize_bands(Tint())
    made = 0
    for seed in seeds(120):
        with told(seed) as chance:
            suffix, data = chance.choice(pictures)
            path, target = tmp_path / f"hurt{suffix}", tmp_path / "result"
            path.write_bytes(hurt(data, chance, head=chance.choice((60, 400, 3000))))
            result_suffix = RESULTS.get(suffix, suffix)
            if chance.random() < 0.3:
                result_suffix = chance.choice((".png", ".jpg", ".tif", ".webp"))
            target = target.with_suffix(result_suffix)
            begun = time.monotonic()
            try:
                result = paint_photo(path, target, colorize, overwrite=True, record=RECORD)
            except PhotoError as error:
                check_sentence(error)
                assert path.name in str(error) or target.name in str(error)
            else:
                made += 1
                if not result.is_bilevel:  # which is a copy, damage and all
                    with Image.open(target) as file:
                        file.load()
            try:
                for rgb, _ in read_picture_frames(path):
                    assert torch.isfinite(rgb).all()
            except PhotoError as error:
                check_sentence(error, path.name)
            kind_of(path)
            try:
                read_workflow(path)
            except WorkflowError as error:
                check_sentence(error)
            assert time.monotonic() - begun < SLOWEST
            target.unlink(missing_ok=True)
            assert [file.name for file in tmp_path.iterdir()] == [path.name]
            path.unlink()
    assert made or len(seeds(120)) < 30


# Clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Small clips with sound, by suffix."""
    folder = tmp_path_factory.mktemp("clips")
    codecs = {
        ".mp4": ("-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"),
        ".mov": ("-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", "-timecode", "01:02:03:04"),
        ".mkv": ("-pix_fmt", "yuv420p", "-c:a", "flac"),
        ".ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
        ".avi": ("-c:v", "mpeg4", "-c:a", "mp3"),
        ".webm": ("-c:v", "libvpx", "-c:a", "libvorbis"),
        ".gif": (),
    }
    made = []
    for suffix, options in codecs.items():
        sound = "" if suffix == ".gif" else "sin(2000*t)"
        path = make_clip(folder / f"a{suffix}", *options, size="32x24", sound=sound)
        made.append((suffix, path.read_bytes()))
    return made


class TooSlow(Exception):
    pass


def test_fuzz_clips(clips, tmp_path):
    network = load_model()
    made = 0
    for seed in seeds(24):
        with told(seed) as chance:
            suffix, data = chance.choice(clips)
            path, target = tmp_path / f"hurt{suffix}", tmp_path / "result.mp4"
            path.write_bytes(hurt(data, chance, head=chance.choice((100, 1000))))
            end = time.monotonic() + SLOWEST

            def check(end=end):
                if time.monotonic() > end:
                    raise TooSlow

            encode = EncodeOptions(metadata={"prompt": "new", "old": ""})
            try:
                clip = probe(path)
                if clip.width * clip.height > LARGEST:
                    continue
                count = colorize_film(clip, target, network, SMALL, encode=encode, check=check)
            except ValueError as error:
                check_sentence(error)
                assert path.name in str(error) or target.name in str(error)
                assert not target.exists()
            else:
                made += 1
                assert count and target.stat().st_size
            assert {file.name for file in tmp_path.iterdir()} <= {path.name, target.name}
            try:
                read_workflow(path)
            except WorkflowError as error:
                check_sentence(error)
            path.unlink()
            target.unlink(missing_ok=True)
    assert made or len(seeds(24)) < 20


# A server's answers


def answers(prompt_id):
    """What a good server says, by the request."""
    image = ["COMBO", {"options": ["a.png"], "image_upload": True}]
    nodes = {"required": {"image": image, "seed": ["INT", {"default": 0, "min": 0}]}}
    entry = {"input": nodes, "input_order": {"required": ["image"]}, "display_name": "Load Image"}
    messages = [["execution_start", {"prompt_id": prompt_id}], ["execution_success", {}]]
    return {
        "/object_info/LoadImage": {"LoadImage": entry},
        "/object_info/SaveImage": {"SaveImage": {"input": {"required": {"images": ["IMAGE"]}}}},
        "/features": {"max_upload_size": 1 << 20},
        "/upload/image POST": {"name": "photo.png", "subfolder": "sub", "type": "input"},
        "/prompt POST": {"prompt_id": prompt_id, "number": 1, "node_errors": {}},
        "/queue": queue(0, prompt_id),
        "/history": {
            prompt_id: {
                "status": {"status_str": "success", "completed": True, "messages": messages},
                "outputs": {"2": {"images": [SAVED], "animated": [False]}},
            }
        },
    }


def answer_later(waiting, last, handler):
    """What is ``waiting``, one after the other, then ``last``."""
    handler.reply(next(waiting, last))


def raw(data):
    """An answer that is no HTTP, or hardly."""

    def answer(handler):
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def test_fuzz_server(comfy, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "SILENCE", 1.0)
    monkeypatch.setattr(client, "BACKOFF", 0.0)
    monkeypatch.setattr("colorizationnet.headless.server.FIRST_PAUSE", 0.001)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "photo.png").write_bytes(b"pixels")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{}"
    done = 0
    for seed in seeds(60):
        with told(seed) as chance:
            out = tmp_path / f"out{seed}"
            good = answers("one")
            path = chance.choice([*good, "/view"])
            if chance.random() < 0.2 or path == "/view":
                bad = raw(hurt(head, chance))
            else:
                bad = json.dumps(hurt_json(good[path], chance)).encode("utf-8", "surrogatepass")
                bad = hurt(bad, chance) if chance.random() < 0.1 else bad
            waiting = iter([{}])
            done_later = partial(answer_later, waiting, good["/history"])
            # A server that says for ever that it is at work is waited for.
            idle = queue(None, "one")
            comfy.overrides = {**good, "/history": done_later, "/queue": idle, path: bad}
            try:
                for saved in Server(comfy.url).run(PROMPT, tmp_path / "in", out):
                    assert saved.resolve().is_relative_to(out.resolve())
                    done += 1
            except (ServerError, NodeError, WorkflowError) as error:
                message = str(error)
                assert message and len(message) < 20 * LONGEST
                assert all(char.isprintable() or char == "\n" for char in message), repr(message)
            assert not [file for file in out.rglob("*") if file.name.startswith(".color")]
            assert {file.name for file in tmp_path.iterdir()} <= {"in", *(
                f"out{n}" for n in range(seed + 1))}  # fmt: skip
    assert done or len(seeds(60)) < 30
