"""Asking an HTTP server by `requests`: nothing waits for ever, nothing is taken half.

`requests` comes with ComfyUI and with the extra `[server]`.
"""

from __future__ import annotations

import json
import logging
import mimetypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3 import encode_multipart_formdata
from urllib3.util import Retry

from ..files import AtomicOutput
from .text import harmless

log = logging.getLogger(__name__)

CHUNK = 1 << 20
MAX_ANSWER = 64 << 20  # bytes of JSON
CONNECT, SILENCE = 10.0, 60.0  # seconds; a ComfyUI that loads weights answers late
RETRIES, BACKOFF = 5, 1.0  # waits of 0, 2, 4, 8 and 16 s
WRITING = 10e6  # bytes a second at which a server stores an upload, at worst
MEDIA = ("image/", "video/", "audio/")
BAR: dict[str, Any] = {"leave": False, "dynamic_ncols": True, "disable": None}  # on terminals only
NO_BAR: dict[str, Any] = {"disable": True}


class ServerError(OSError):
    """The server cannot be reached, or answered something unexpected."""


class Client:
    """The HTTP server at `url`, asked with `api_key` as its bearer token if there is one.

    `bars`: whether to show what goes up and comes down. Redirects are not followed. Raises
    ``ValueError`` for an address or a key that cannot be one; whatever goes wrong later is a
    `ServerError` of one sentence.
    """

    def __init__(self, url: str, api_key: str | None = None, *, bars: bool = True):
        self._bar = BAR if bars else NO_BAR
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            parts, port = urlsplit(""), ""
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(f"{url} is not the address of a server; try http://127.0.0.1:8188.")
        path = parts.path.rstrip("/")
        self._url = f"{parts.scheme}://{parts.netloc}{path}"
        host = f"[{host}]" if ":" in host else host
        self.name = f"{parts.scheme}://{host}{port}{path}"  # without a password
        is_open = parts.scheme == "http"
        is_here = host in ("localhost", "127.0.0.1", "[::1]")
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()):
                raise ValueError("The API key holds characters that no HTTP header can carry.")
            if is_open and not is_here:
                log.warning("The API key goes to %s unencrypted; use https.", self.name)
        self._session, self._patient = requests.Session(), requests.Session()
        for session in (self._session, self._patient):
            session.trust_env = not (is_open and is_here)  # a proxy for the internet leads away
            session.auth = _Bearer(api_key) if api_key else None
        again = Retry(
            RETRIES,
            allowed_methods={"GET"},
            status_forcelist={502, 503, 504},
            raise_on_status=False,
            backoff_factor=BACKOFF,
            respect_retry_after_header=False,
        )
        for scheme in ("http://", "https://"):
            self._patient.mount(scheme, HTTPAdapter(max_retries=again))

    def get(self, path: str, *, patient: bool = False) -> dict:
        """The JSON object at `path`; when ``patient``, a server that is gone is asked again."""
        return self._json("GET", path, self._patient if patient else self._session)[1]

    def post(self, path: str, body: object, silence: float = SILENCE) -> tuple[int, dict]:
        """Send JSON; the status, 200 or 400, and the JSON object that comes back, if one does."""
        return self._json("POST", path, self._session, json=body, timeout=(CONNECT, silence))

    def upload(self, path: str, field: str, file: Path, fields: Mapping[str, str]) -> dict:
        """Send `file` as a form's `field`, with its other `fields`; the JSON that comes back."""
        body = _Form(field, file, fields, self._bar)
        timeout = CONNECT, SILENCE + len(body) / WRITING
        status, answer = self._json(
            "POST",
            path,
            self._session,
            data=body,
            headers={"Content-Type": body.content_type},
            timeout=timeout,
        )
        if status != 200:
            raise ServerError(f"{self.name} does not take {file}.")
        return answer

    def download(self, path: str, query: Mapping[str, str], target: Path) -> None:
        """Write what is at `path` to `target`, a new file, whole or not at all.

        What is no file of that kind (a page of a proxy, an empty answer) is refused.
        """
        identity = {"Accept-Encoding": "identity"}  # so that its length can be compared
        with (
            AtomicOutput(target) as part,
            self._open("GET", path, self._session, params=query, headers=identity) as answer,
            part.open("wb") as file,
        ):
            self._check_type(answer, target)
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isascii() and length.isdigit() else None
            if total is None and "chunked" not in answer.headers.get("Transfer-Encoding", ""):
                raise ServerError(f"{self.name} does not say how long {target.name} is.")
            with _bytes_bar(target.name, total, self._bar) as bar:
                for chunk in answer.iter_content(CHUNK):
                    if not bar.n and chunk.lstrip()[:5].lower() in (b"<!doc", b"<html"):
                        raise ServerError(self._instead(target, "a web page"))
                    file.write(chunk)
                    bar.n += len(chunk)
                    bar.refresh()
                received = answer.raw.tell()
            if total is not None and received != total:
                raise ServerError(f"{self.name} broke off {target.name} in the middle.")
            if not received:
                raise ServerError(self._instead(target, "nothing"))

    def _check_type(self, answer: requests.Response, target: Path) -> None:
        sent = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
        expected = mimetypes.guess_type(target.name)[0] or ""
        unknown = sent in ("", "application/octet-stream", "binary/octet-stream")
        is_media = expected.startswith(MEDIA)
        if sent == "text/html" or (is_media and not unknown and not sent.startswith(MEDIA)):
            raise ServerError(self._instead(target, harmless(sent, 50)))

    def _instead(self, target: Path, sent: str) -> str:
        return f"{self.name} sent {sent} in place of {target.name}."

    def _json(
        self, method: str, path: str, session: requests.Session, **options: Any
    ) -> tuple[int, dict]:
        content = bytearray()
        with self._open(method, path, session, **options) as answer:
            for chunk in answer.iter_content(CHUNK):
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise ServerError(f"{self.name}{path} answers without an end.")
        try:
            found = json.loads(content) if content or method == "GET" else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ServerError(f"{self.name}{path} answers no JSON object; is it a ComfyUI server?")
        return answer.status_code, found

    @contextmanager
    def _open(
        self, method: str, path: str, session: requests.Session, **options: Any
    ) -> Iterator[requests.Response]:
        try:
            with session.request(
                method,
                self._url + path,
                stream=True,
                allow_redirects=False,
                **{"timeout": (CONNECT, SILENCE), **options},
            ) as answer:
                self._check_status(method, path, answer)
                yield answer
        except requests.exceptions.ChunkedEncodingError as error:
            raise ServerError(f"{self.name} broke off its answer in the middle.") from error
        except requests.RequestException as error:
            raise ServerError(f"{self.name} cannot be reached: {_reason(error)}.") from error

    def _check_status(self, method: str, path: str, answer: requests.Response) -> None:
        status = answer.status_code
        if status == 200 or (status == 400 and method == "POST"):
            return
        reason = f"{status} {harmless(answer.reason or '', 80)}".strip()
        remedy = {
            401: "; give its key by --api-key",
            403: "; give its key by --api-key",
            413: "; start it with a higher --max-upload-size",
        }.get(status, "")
        if 300 <= status < 400:
            remedy = f"; it sends on to {harmless(answer.headers.get('Location', ''), 200)}"
        raise ServerError(f"{self.name}{path} answered {reason}{remedy}.")


class _Bearer(requests.auth.AuthBase):
    """The key of the session; as `auth` no entry of a netrc file replaces it."""

    def __init__(self, key: str):
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Form:
    """A multipart form whose file is read while it is sent: requests itself would read it whole."""

    def __init__(self, field: str, file: Path, fields: Mapping[str, str], bar: dict[str, Any]):
        self._bar = bar
        mark = uuid4().hex.encode()
        part: Any = (file.name, mark, "application/octet-stream")
        content, self.content_type = encode_multipart_formdata({**fields, field: part})
        self._head, _, self._tail = content.partition(mark)
        self._file, self._size = file, file.stat().st_size

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with (
            self._file.open("rb") as file,
            _bytes_bar(self._file.name, self._size, self._bar) as bar,
        ):
            left = self._size
            while left:
                chunk = file.read(min(CHUNK, left))
                if not chunk:
                    raise ServerError(f"{self._file} became shorter while it was sent.")
                yield chunk
                left -= len(chunk)
                bar.update(len(chunk))
        yield self._tail


def _bytes_bar(name: str, total: int | None, bar: dict[str, Any]) -> tqdm:
    return tqdm(desc=harmless(name, 40), total=total, unit="B", unit_scale=True, **bar)


def _reason(error: requests.RequestException) -> str:
    """Why a request failed, in the words of whatever failed first."""
    cause: BaseException | None = error
    reason = ""
    while cause:
        if isinstance(cause, (TimeoutError, requests.Timeout)):
            return "it does not answer"
        reason = (isinstance(cause, OSError) and cause.strerror) or reason
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, requests.exceptions.SSLError):
        reason += "; if the certificate is your own, name it in REQUESTS_CA_BUNDLE"
    elif not reason:
        reason = "the connection broke off"
    return harmless(reason, 300).rstrip(".")


def is_safe_name(name: object) -> bool:
    """Whether a server's name for a file or a folder is a plain, visible name on any system."""
    if not isinstance(name, str) or not name.isprintable() or name.startswith("."):
        return False
    return bool(name) and not set(name) & set('/\\<>:"|?*' if os.name == "nt" else "/\\")
