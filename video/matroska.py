"""Raw pictures and sound as a Matroska stream, written by hand (RFC 9559).

It is the plainest stream that gives each picture a time of its own, which rawvideo and y4m cannot.
Times are in nanoseconds; rounding to them survives any video time base.
"""

import struct
from fractions import Fraction

NANOSECONDS = 1_000_000_000

# The FourCCs under which ffmpeg knows raw pictures.
FOURCC = {
    "yuv420p": b"I420",
    "yuv422p": b"Y42B",
    "yuv444p": b"444P",
    "yuv420p10le": b"Y3\x0b\x0a",
    "yuv422p10le": b"Y3\x0a\x0a",
    "yuv444p10le": b"Y3\x00\x0a",
    "yuva420p": b"Y4\x0b\x08",
    "yuva420p10le": b"Y4\x0b\x0a",
    "yuva444p10le": b"Y4\x00\x0a",
    "rgb24": b"RGB\x18",
    "rgba": b"RGBA",
    "rgb48le": b"RGB\x30",
    "rgba64le": b"RBA\x40",
}


def _element(identifier: int, payload: bytes | int) -> bytes:
    if isinstance(payload, int):
        payload = payload.to_bytes(8, "big")
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + _size(len(payload)) + payload


def _size(length: int) -> bytes:
    return (1 << 56 | length).to_bytes(8, "big")


def header(
    pix_fmt: str, width: int, height: int, fps: Fraction, sound: tuple[int, int] | None = None
) -> bytes:
    """The head of a stream with one video track and, for ``sound`` ``(channels, rate)``, PCM."""
    video = _element(0xB0, width) + _element(0xBA, height) + _element(0x2EB524, FOURCC[pix_fmt])
    interval = _element(0x23E383, round(NANOSECONDS / fps))
    tracks = _track(1, 1, b"V_UNCOMPRESSED", interval + _element(0xE0, video))
    if sound:
        channels, rate = sound
        audio = (
            _element(0xB5, struct.pack(">d", rate))
            + _element(0x9F, channels)
            + _element(0x6264, 32)
        )
        tracks += _track(2, 2, b"A_PCM/FLOAT/IEEE", _element(0xE1, audio))
    return (
        _element(0x1A45DFA3, _element(0x4282, b"matroska"))
        + b"\x18\x53\x80\x67\x01"
        + b"\xff" * 7  # a segment of unknown length
        + _element(0x1549A966, _element(0x2AD7B1, 1))
        + _element(0x1654AE6B, tracks)
    )


def _track(number: int, kind: int, codec: bytes, details: bytes) -> bytes:
    numbers = _element(0xD7, number) + _element(0x73C5, number) + _element(0x83, kind)
    language = _element(0x22B59C, b"und")  # left out, it would be English
    return _element(0xAE, numbers + language + _element(0x86, codec) + details)


def block_header(time: Fraction, duration: Fraction, size: int, track: int = 1) -> bytes:
    """What goes before the ``size`` bytes of a picture or a piece of sound; times in seconds."""
    block = b"\xa1" + _size(size + 4) + bytes((0x80 | track, 0, 0, 0))
    length = _element(0x9B, round(duration * NANOSECONDS))
    group = b"\xa0" + _size(len(length) + len(block) + size)
    stamp = _element(0xE7, round(time * NANOSECONDS))
    cluster = b"\x1f\x43\xb6\x75" + _size(len(stamp) + len(group) + len(length) + len(block) + size)
    return cluster + stamp + group + length + block
