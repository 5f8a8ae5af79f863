"""Listening on a WebSocket (RFC 6455): the client's half, text messages only.

Enough to follow a server's progress; a few lines of the standard library spare the pack a
dependency that only `--server` would use.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
from collections.abc import Iterator
from http.client import parse_headers
from urllib.parse import urlsplit

CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class WebSocket:
    """Connect to a ws:// or wss:// address. Raises OSError when the server does not agree."""

    def __init__(self, url: str, timeout: float = 30):
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        port = parts.port or (443 if secure else 80)
        self._socket = socket.create_connection((parts.hostname, port), timeout)
        if secure:
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=parts.hostname)
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16))
        self._socket.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self._stream.readline().decode("latin-1").strip()
        headers = parse_headers(self._stream)
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if status.split()[1:2] != ["101"] or headers["Sec-WebSocket-Accept"] != accept:
            self.close()
            raise ConnectionError(f"it does not speak WebSocket ({status or 'no answer'})")
        self._socket.settimeout(None)

    def messages(self) -> Iterator[str]:
        """Text messages until the server closes; pings are answered, binary ones dropped.

        Raises ConnectionError when the connection breaks.
        """
        kind, message = TEXT, b""
        while True:
            final, opcode, payload = self._frame()
            if opcode == CLOSE:
                return
            if opcode == PING:
                self._send(PONG, payload)
            elif opcode < CLOSE:
                kind, message = (kind, message) if opcode == CONTINUATION else (opcode, b"")
                message += payload
                if final and kind == TEXT:
                    yield message.decode()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _frame(self) -> tuple[bool, int, bytes]:
        first, size = self._read(2)
        if size in (126, 127):
            size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
        return bool(first & 0x80), first & 0x0F, self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise ConnectionError("The server ended the connection.")
        return data

    def _send(self, opcode: int, payload: bytes) -> None:
        """One short frame, masked as a client has to; control frames have at most 125 bytes."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)
