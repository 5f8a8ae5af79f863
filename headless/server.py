"""Run a workflow on a ComfyUI server: its inputs go up, its results come down."""

from __future__ import annotations

import copy
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from ..files import AtomicOutput, free_name, is_within
from .standin.workflow import NodeError, Prompt, WorkflowError, saved_files
from .websocket import WebSocket

CHUNK = 1 << 20
UPLOADS = {"image_upload", "video_upload", "audio_upload", "file_upload"}
BAR = {"leave": False, "dynamic_ncols": True, "disable": None}  # None: only on a terminal


class ServerError(OSError):
    """The server cannot be reached, or answered something unexpected."""


class Server:
    """A ComfyUI server at `url`, such as http://127.0.0.1:8188."""

    def __init__(self, url: str):
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(f"{url} is not the address of a server; try http://127.0.0.1:8188.")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        self._client_id = uuid.uuid4().hex
        self._inputs: dict[str, dict[str, dict]] = {}

    def run(self, prompt: Prompt, input_dir: Path, output_dir: Path) -> list[Path]:
        """Run `prompt`, whose input files are in `input_dir`, and fetch what it saves.

        Input files that are not there are taken to be on the server already. Raises WorkflowError
        when the server refuses the workflow, NodeError when a node fails, both in its words, and
        ServerError when it cannot be reached. Ctrl-C stops the workflow on the server as well.
        """
        prompt = self._upload_inputs(prompt, input_dir)
        query = urlencode({"clientId": self._client_id})
        try:
            socket = WebSocket(f"{self.url.replace('http', 'ws', 1)}/ws?{query}")
        except OSError as error:
            raise ServerError(f"{self.url} cannot be reached: {error}.") from error
        with closing(socket):
            prompt_id = self._queue(prompt)
            try:
                self._follow(socket, prompt, prompt_id)
                history = self._history(prompt_id)
            except KeyboardInterrupt:
                self._cancel(prompt_id)
                raise
        _raise_failure(history["status"])
        return [self._download(file, output_dir) for file in saved_files(history["outputs"])]

    def object_info(self, class_type: str) -> dict:
        """What the server tells of a node class; nothing for a class that it does not know."""
        return self._json(f"/object_info/{quote(class_type, safe='')}").get(class_type, {})

    def inputs(self, class_type: str) -> dict[str, dict]:
        """The inputs of a node class and their options; none for a class it does not know."""
        if class_type not in self._inputs:
            info = self.object_info(class_type)
            self._inputs[class_type] = {
                key: options[0] if options else {}
                for group, sockets in info.get("input", {}).items()
                if group in ("required", "optional")
                for key, (_, *options) in sockets.items()
            }
        return self._inputs[class_type]

    def _upload_inputs(self, prompt: Prompt, input_dir: Path) -> Prompt:
        prompt = copy.deepcopy(prompt)
        for node in prompt.values():
            inputs = node["inputs"]
            for key, options in self.inputs(node["class_type"]).items():
                name = inputs.get(key)
                names_a_file = isinstance(name, str) and UPLOADS & options.keys()
                if names_a_file and (input_dir / name).is_file():
                    inputs[key] = self._upload(input_dir, name)
        return prompt

    def _upload(self, folder: Path, name: str) -> str:
        """Send a file to the server's input folder; the name that it has there."""
        path = folder / name
        if not is_within(folder, path):
            raise WorkflowError(f"{name!r} leads outside the input folder {folder}.")
        where = PurePosixPath(Path(name).as_posix())
        boundary = uuid.uuid4().hex
        subfolder = str(where.parent) if where.parent.parts else ""
        filename = where.name.replace('"', "%22")
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="subfolder"\r\n\r\n{subfolder}'
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="image"; '
            f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        size = path.stat().st_size
        limit = self._json("/features")["max_upload_size"]
        if len(head) + size + len(tail) > limit:
            raise ServerError(
                f"{path} has {size} bytes and {self.url} takes {limit}; start it with a higher "
                "--max-upload-size, or put the file into its input folder."
            )

        def body() -> Iterator[bytes]:
            yield head
            bar = tqdm(total=size, desc=where.name, unit="B", unit_scale=True, **BAR)
            with path.open("rb") as file, bar:
                while chunk := file.read(CHUNK):
                    yield chunk
                    bar.update(len(chunk))
            yield tail

        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        answer = self._json("/upload/image", body(), headers)
        return "/".join(filter(None, (answer["subfolder"], answer["name"])))

    def _queue(self, prompt: Prompt) -> str:
        body = json.dumps({"prompt": prompt, "client_id": self._client_id}).encode()
        try:
            answer = self._json("/prompt", body, {"Content-Type": "application/json"})
        except HTTPError as error:
            if error.code != 400:
                raise
            raise WorkflowError(_refusal(json.load(error))) from error
        if answer["node_errors"]:  # a part of the workflow is sound, and would run alone
            self._cancel(answer["prompt_id"])
            raise WorkflowError(_refusal(answer))
        return answer["prompt_id"]

    def _follow(self, socket: WebSocket, prompt: Prompt, prompt_id: str) -> None:
        """Show the server's progress until it has done with `prompt_id`."""
        with tqdm(**BAR) as bar:
            try:
                for message in map(json.loads, socket.messages()):
                    data = message["data"]
                    if data.get("prompt_id") != prompt_id:
                        continue
                    if message["type"] == "executing":
                        if data["node"] is None:
                            return
                        bar.reset()
                        bar.set_description(_title(prompt, data.get("display_node")))
                    elif message["type"] == "progress":
                        bar.total = data["max"]
                        bar.update(data["value"] - bar.n)
            except ConnectionError:
                bar.set_description("connection lost, waiting for the result")
            while prompt_id not in self._json(f"/history/{prompt_id}"):
                time.sleep(1)

    def _history(self, prompt_id: str) -> dict:
        return self._json(f"/history/{prompt_id}")[prompt_id]

    def _cancel(self, prompt_id: str) -> None:
        for path, body in (
            ("/queue", {"delete": [prompt_id]}),
            ("/interrupt", {"prompt_id": prompt_id}),
        ):
            with self._open(path, json.dumps(body).encode(), {"Content-Type": "application/json"}):
                pass

    def _download(self, file: dict, output_dir: Path) -> Path:
        path = output_dir / file["subfolder"] / file["filename"]
        if not is_within(output_dir, path):
            raise ServerError(f"The server names a result outside the output folder: {path}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path = free_name(path)
        query = urlencode({key: file[key] for key in ("filename", "subfolder", "type")})
        with (
            AtomicOutput(path) as part,
            self._open(f"/view?{query}") as answer,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(answer, target, CHUNK)
        return path

    def _json(self, path: str, body=None, headers=None) -> dict:
        with self._open(path, body, headers) as answer:
            return json.load(answer)

    def _open(self, path: str, body=None, headers=None):
        try:
            return urlopen(Request(self.url + path, body, headers or {}))
        except HTTPError as error:
            if error.code == 400:
                raise  # the caller knows what it means
            raise ServerError(f"{self.url}{path} answered {error.code} {error.reason}.") from error
        except (URLError, HTTPException, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise ServerError(f"{self.url} cannot be reached: {reason}.") from error


def _raise_failure(status: dict) -> None:
    for kind, data in status["messages"]:
        if kind == "execution_error":
            raise NodeError(
                f"Node {data['node_id']} ({data['node_type']}) failed: "
                f"{' '.join(data['exception_message'].split())}"
            )
        if kind == "execution_interrupted":
            raise NodeError(f"The workflow was stopped on the server at node {data['node_id']}.")


def _refusal(answer: dict) -> str:
    """What the server has against a workflow, one line each."""
    lines = [
        f"Node {node_id} ({node['class_type']}): {problem['message']}: {problem['details']}"
        for node_id, node in answer["node_errors"].items()
        for problem in node["errors"]
    ]
    if not lines:
        error = answer["error"]
        lines = [": ".join(filter(None, (error["message"], error["details"])))]
    return "\n".join(lines)


def _title(prompt: Prompt, node_id: str | None) -> str:
    node = prompt.get(node_id, {})
    return (node.get("_meta") or {}).get("title") or node.get("class_type", "working")
