"""Photos made by the byte: profiles, TIFFs of any layout, JPEG segments; and a stub of a model."""

import struct
import zlib

import numpy as np
import torch
from PIL import Image
from video_clips import ffmpeg

D50 = struct.pack(">iii", 63190, 65536, 54061)


def grey_profile(curve):
    """An ICC profile of grey (ICC.1:2001): a gamma, or the light of evenly spaced levels."""
    if np.isscalar(curve):
        points = struct.pack(">IH", 1, round(curve * 256))
    else:
        levels = np.round(np.asarray(curve) * 65535).astype(">u2")
        points = struct.pack(">I", len(levels)) + levels.tobytes()
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + D50,
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"kTRC": b"curv" + bytes(4) + points,
    }
    at, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        tag += bytes(-len(tag) % 4)
        table += name + struct.pack(">II", at + len(data), len(tag))
        data += tag
    head = struct.pack(
        ">I4sI4s4s4s", at + len(data), b"none", 0x02100000, b"mntr", b"GRAY", b"XYZ "
    )
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + D50
    return head.ljust(128, b"\0") + table + data


def dot_gain(percent):
    """The light of paper printed with 0 to 100 % ink, from the darkest level up (Yule-Nielsen)."""
    ink = 1 - np.linspace(0, 1, 256)
    return 1 - np.clip(ink + 4 * percent / 100 * ink * (1 - ink), 0, 1)


def write_tiff(path, rows, bits, photometric=1, format=1, samples=1, order="<", tags=(), size=None):
    """A TIFF of one strip; ``rows`` are its bytes, ``tags`` further (number, type, values)."""
    width, height = size
    entries = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [1]),
        (262, 3, [photometric]), (277, 3, [samples]), (278, 4, [height]), (279, 4, [len(rows)]),
        (339, 3, [format] * samples), (273, 4, [8]), *tags,
    ]  # fmt: skip
    at = 8 + len(rows) + len(rows) % 2
    head, more = b"", b""
    start = at + 2 + 12 * len(entries) + 4
    for number, kind, values in sorted(entries):
        if kind in (3, 4):
            data = struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values)
            count = len(values)
        else:
            data, count = values, len(values) if kind != 5 else len(values) // 8
        if len(data) > 4:
            field = struct.pack(order + "I", start + len(more))
            more += data + bytes(len(data) % 2)
        else:
            field = data.ljust(4, b"\0")
        head += struct.pack(order + "HHI", number, kind, count) + field
    body = struct.pack(order + "H", len(entries)) + head + bytes(4) + more
    mark = b"II" if order == "<" else b"MM"
    path.write_bytes(mark + struct.pack(order + "HI", 42, at) + rows + bytes(len(rows) % 2) + body)


def read_plain_tiff(path):
    """The tags of a TIFF's first page as (type, bytes), and its unpacked levels if uncompressed."""
    data = path.read_bytes()
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    at = struct.unpack(order + "I", data[4:8])[0]
    tags = {}
    for index in range(struct.unpack_from(order + "H", data, at)[0]):
        number, kind, count = struct.unpack_from(order + "HHI", data, at + 2 + 12 * index)
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}[kind] * count
        where = at + 10 + 12 * index
        if size > 4:
            where = struct.unpack_from(order + "I", data, where)[0]
        tags[number] = (kind, data[where : where + size])

    def number(tag):
        kind, value = tags[tag]
        return struct.unpack_from(order + {3: "H", 4: "I"}[kind], value)[0]

    if number(259) != 1:
        return tags, None
    kind, offsets = tags[273]
    starts = struct.unpack(order + "I" * (len(offsets) // 4), offsets)
    lengths = struct.unpack(order + "I" * (len(offsets) // 4), tags[279][1])
    strips = b"".join(data[s : s + n] for s, n in zip(starts, lengths, strict=True))
    levels = np.frombuffer(strips, f"{order}u{number(258) // 8}")
    return tags, levels.reshape(number(257), number(256), number(277)).astype(int)


def deep_png(path, levels):
    """A PNG of 16-bit RGB, from an array ``(H, W)`` of grey or ``(H, W, 3)``; Pillow has none."""
    levels = np.broadcast_to(levels.reshape(*levels.shape[:2], -1), (*levels.shape[:2], 3))
    raw = ("-f", "rawvideo", "-s", f"{levels.shape[1]}x{levels.shape[0]}", "-pix_fmt", "rgb48le")
    ffmpeg(*raw, "-i", "-", path, stdin=levels.astype("<u2").tobytes())


def insert_chunk(path, name, data):
    """Put a chunk behind the header of a PNG."""
    png, at = path.read_bytes(), 8 + 12 + 13
    chunk = struct.pack(">I4s", len(data), name) + data
    path.write_bytes(png[:at] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + png[at:])


def srgb(light):
    """Encoded levels of linear light (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def luma(levels):
    return levels[..., :3] @ np.array([0.299, 0.587, 0.114])


def ramp(dtype=np.uint8, shape=(40, 64)):
    """Every level, or as many as fit, from black to white."""
    top = np.iinfo(dtype).max
    return np.linspace(0, top, shape[0] * shape[1]).round().astype(dtype).reshape(shape)


def scene(size=(96, 64)):
    """A grey picture with detail."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def save_jp2(path, image=None, profile=b"", xmp=b"", block=b""):
    """A JP2 with XMP and EXIF in boxes at its end, and a profile for its colour space."""
    (image or scene()).save(path)
    data = path.read_bytes()
    at = data.index(b"jp2h") - 4
    size = struct.unpack_from(">I", data, at)[0]
    if profile:
        color = data.index(b"colr") - 4
        assert at < color < at + size
        box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
        data = data[:color] + box + data[color + 15 :]
        data = data[:at] + struct.pack(">I", size + len(box) - 15) + data[at + 4 :]
    for kind, content in ((bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC"), xmp),
                          (b"JpgTiffExif->JP2", block)):  # fmt: skip
        data += struct.pack(">I4s", 24 + len(content), b"uuid") + kind + content
    path.write_bytes(data)


class Tint:
    """A model that sees the same chroma everywhere."""

    device = torch.device("cpu")

    def __init__(self, cb=-0.06, cr=0.08):
        self.chroma_seen = torch.tensor([cb, cr])
        self.lumas = []

    def input_size(self, height, width):
        return min(8, height), min(8, width)

    def chroma(self, luma, check=None):
        self.lumas.append(luma)
        return self.chroma_seen.view(1, 2, 1, 1).expand(1, 2, *luma.shape[2:])
