"""Run a workflow on a ComfyUI server: its inputs go up, its results come down.

The server's queue and history are asked for the workflow again and again. Unlike its WebSocket
they tell a long job from a server that is gone, at any proxy.
"""

from __future__ import annotations

import copy
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote
from uuid import uuid4

from tqdm import tqdm

from ..files import free_name, is_within
from .client import BAR, NO_BAR, Client, ServerError, is_safe_name
from .standin.workflow import NodeError, Prompt, WorkflowError, saved_files
from .text import harmless

log = logging.getLogger(__name__)

UPLOADS = {"image_upload", "video_upload", "audio_upload", "file_upload"}
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between two questions after the queue


class Server:
    """A ComfyUI server at `url`, such as http://127.0.0.1:8188.

    `api_key` is for a server behind a proxy that asks for a bearer token. `bars`: whether to show
    how far the work is.
    """

    def __init__(self, url: str, api_key: str | None = None, *, bars: bool = True):
        self._client = Client(url, api_key, bars=bars)
        self._bar = BAR if bars else NO_BAR
        self.name = self._client.name
        self._inputs: dict[str, dict[str, dict]] = {}

    def is_there(self) -> bool:
        """Whether it answers now."""
        try:
            self._client.get("/features")
        except ServerError:
            return False
        return True

    def run(
        self,
        prompt: Prompt,
        input_dir: Path,
        output_dir: Path,
        workflow: dict | None = None,
        *,
        prefix: str = "",
        check: Callable[[], None] = lambda: None,
    ) -> list[Path]:
        """Run `prompt`, whose input files are in `input_dir`, and fetch what it saves.

        `workflow` is the editor's form, which results carry beside the prompt. Input files that are
        not there are taken to be on the server already. Raises WorkflowError when the server
        refuses the workflow, NodeError when a node fails, both in its words, and ServerError when
        it cannot be reached. Ctrl-C stops the workflow on the server as well, and so does what
        `check`, called while it runs, raises, if that is no Exception. Results' names begin with
        `prefix`.
        """
        prompt = self._upload_inputs(prompt, input_dir)
        prompt_id = str(uuid4())
        try:
            prompt_id = self._queue(prompt, prompt_id, workflow)
            history = self._wait(prompt_id, check)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C, or another end from outside
                self._cancel(prompt_id)
            raise
        with self._reading("a history"):
            failure, files = _failure(history["status"]), list(saved_files(history["outputs"]))
        if failure:
            raise NodeError(failure)
        return [self._download(file, output_dir, prefix) for file in files]

    def object_info(self, class_type: str) -> dict:
        """What the server tells of a node class; nothing for a class that it does not know."""
        answer = self._client.get(f"/object_info/{quote(class_type, safe='')}")
        with self._reading("a description of nodes"):
            return dict(answer.get(class_type, {}))

    def inputs(self, class_type: str) -> dict[str, dict]:
        """The inputs of a node class and their options; none for a class it does not know."""
        if class_type not in self._inputs:
            info = self.object_info(class_type)
            with self._reading("a description of nodes"):
                self._inputs[class_type] = {
                    key: options[0] if options and isinstance(options[0], dict) else {}
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
                if names_a_file and os.path.isfile(input_dir / name):
                    inputs[key] = self._upload(input_dir, name)
        return prompt

    def _upload(self, folder: Path, name: str) -> str:
        """Send a file to the server's input folder; the name that it has there."""
        path = folder / name
        if not is_within(folder, path):
            raise WorkflowError(f"{name!r} leads outside the input folder {folder}.")
        size, limit = path.stat().st_size, self._client.get("/features").get("max_upload_size")
        if isinstance(limit, (int, float)) and size + 1000 > limit:  # and the form around it
            raise ServerError(
                f"{path} has {size} bytes and {self.name} takes {limit}; start it with a higher "
                "--max-upload-size, or put the file into its input folder."
            )
        where = PurePosixPath(Path(name).as_posix()).parent
        subfolder = str(where) if where.parts else ""
        answer = self._client.upload("/upload/image", "image", path, {"subfolder": subfolder})
        with self._reading("a name for an upload"):
            return "/".join(filter(None, (answer["subfolder"], answer["name"])))

    def _queue(self, prompt: Prompt, prompt_id: str, workflow: dict | None) -> str:
        """Give `prompt` to the server under `prompt_id`, or under what it is named there."""
        order: dict = {"prompt": prompt, "prompt_id": prompt_id}
        if workflow is not None:
            order["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        status, answer = self._client.post("/prompt", order)
        with self._reading("an answer to a workflow"):
            refusal = _refusal(answer, status)
            prompt_id = str(answer.get("prompt_id", prompt_id))
        if refusal:
            if status == 200:  # a part of the workflow is sound, and would run alone
                self._cancel(prompt_id)
            raise WorkflowError(refusal)
        return prompt_id

    def _wait(self, prompt_id: str, check: Callable[[], None]) -> dict:
        """What the server's history says of a workflow, once it has done with it."""
        pause, lost = FIRST_PAUSE, 0
        with tqdm(bar_format="{desc}, {elapsed}", **self._bar) as bar:
            while lost < 3:
                check()
                history = self._client.get(f"/history/{quote(prompt_id, safe='')}", patient=True)
                if prompt_id in history:
                    return history[prompt_id]
                ahead = self._place(prompt_id)
                lost = lost + 1 if ahead is None else 0  # it may be on its way to the history
                bar.set_description_str(f"waiting, {ahead} ahead" if ahead else "at work")
                time.sleep(pause)
                pause = min(1.5 * pause, LONGEST_PAUSE)
        raise ServerError(f"{self.name} no longer knows the workflow; was it started anew?")

    def _place(self, prompt_id: str) -> int | None:
        """How many workflows are to be done before this one; None when it is not in the queue."""
        queue = self._client.get("/queue", patient=True)
        with self._reading("a queue"):
            running = [item[1] for item in queue["queue_running"]]
            pending = [item[1] for item in sorted(queue["queue_pending"], key=lambda item: item[0])]
            waiting = [*dict.fromkeys(running), *pending]
        if prompt_id in running:
            return 0
        return waiting.index(prompt_id) if prompt_id in waiting else None

    def _cancel(self, prompt_id: str) -> None:
        try:
            self._client.post("/queue", {"delete": [prompt_id]}, silence=10)
            self._client.post("/interrupt", {"prompt_id": prompt_id}, silence=10)
        except ServerError as error:
            log.warning("The workflow may go on at %s: %s", self.name, error)

    def _download(self, file: dict, output_dir: Path, prefix: str) -> Path:
        with self._reading("a name of a result"):
            query = {key: file[key] for key in ("filename", "subfolder", "type")}
            folders = [part for part in query["subfolder"].replace("\\", "/").split("/") if part]
        names = [*folders, query["filename"]]
        path = output_dir.joinpath(*folders, f"{prefix}{query['filename']}")
        rooted = query["subfolder"].startswith(("/", "\\"))
        if rooted or not all(map(is_safe_name, names)) or not is_within(output_dir, path):
            named = "/".join(map(str, (query["subfolder"], query["filename"])))
            raise ServerError(
                f"{self.name} names a result that cannot be a file inside the output folder: "
                f"{harmless(repr(named), 200)}."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path = free_name(path)
        self._client.download("/view", query, path)
        return path

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """What is done inside takes the server's answer to be `what` it should be."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ServerError(
                f"{self.name} gave {what} that is not understood; is it a ComfyUI server?"
            ) from error


def _failure(status: dict | None) -> str | None:
    """What a history says that went wrong."""
    status = status or {}
    for kind, data in status.get("messages") or ():
        if kind == "execution_error":
            where = f"Node {data['node_id']} ({data['node_type']})"
            return harmless(f"{where} failed: {' '.join(data['exception_message'].split())}")
        if kind == "execution_interrupted":
            return harmless(f"The workflow was stopped on the server at node {data['node_id']}.")
    return "The workflow failed on the server." if status.get("status_str") == "error" else None


def _refusal(answer: dict, status: int) -> str | None:
    """What the server has against a workflow, one line each."""
    lines = [
        f"Node {node_id} ({node['class_type']}): {problem['message']}: {problem['details']}"
        for node_id, node in (answer.get("node_errors") or {}).items()
        for problem in node["errors"]
    ]
    if not lines and status != 200:
        error = answer["error"]
        told = (error,) if isinstance(error, str) else (error["message"], error["details"])
        lines = [": ".join(filter(None, told))]
    return "\n".join(harmless(" ".join(line.split()), 500) for line in lines[:20]) or None
