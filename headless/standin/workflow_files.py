"""Workflows in the files that people have: JSON of either form, and pictures and clips that carry
what made them. No torch is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import PngImagePlugin, WebPImagePlugin

from ...video import FFmpeg, input_file
from .editor import WidgetsOf, is_editor_format, to_prompt
from .workflow import Prompt, WorkflowError, checked_prompt, shown

MAX_BYTES = 64 << 20  # of JSON; the largest workflows known have a few megabytes
PNG, EBML = b"\x89PNG\r\n\x1a\n", b"\x1a\x45\xdf\xa3"
MOV_ATOMS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}
EXIF_TEXTS = (0x010E, 0x010F, 0x0110)  # description, make and model, where ComfyUI puts its own
_TAG = re.compile(r"((?:[^\\=\n]|\\.)*)=((?:[^\\\n]|\\.)*)\n", re.DOTALL)


@dataclass(frozen=True)
class WorkflowFile:
    """A workflow as a file has it: for the API, for the editor, or both."""

    path: Path
    prompt: Prompt | None
    editor: dict | None

    def to_prompt(self, widgets_of: WidgetsOf) -> Prompt:
        """The API form, converted where the file has only the editor's; see `editor.to_prompt`."""
        if self.prompt is not None:
            return self.prompt
        assert self.editor is not None
        return to_prompt(self.editor, widgets_of, str(self.path))


def read_workflow(path: str | Path) -> WorkflowFile:
    """The workflow in a JSON file (API or editor's form), PNG, WebP, MP4, MOV, MKV or WebM.

    Raises WorkflowError when there is none, or none that can be understood.
    """
    path = Path(path)
    if not path.is_file():
        raise WorkflowError(f"There is no workflow file {path}.")
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(PNG) or (head[:4] == b"RIFF" and head[8:] == b"WEBP"):
        return _carried(path, _picture_texts(path, head))
    if head[4:8] in MOV_ATOMS:
        return _carried(path, _container_tags(path, "mov"))
    if head.startswith(EBML):
        return _carried(path, _container_tags(path, "matroska"))
    return _of_json(path, _json(_bytes(path), f"{path} is not a JSON file"))


def _of_json(path: Path, data: Any) -> WorkflowFile:
    if is_editor_format(data):
        return WorkflowFile(path, None, data)
    if isinstance(data, dict) and "class_type" not in data:
        # What goes to a server, and what the editor's own conversion returns.
        prompt = data.get("prompt", data.get("output"))
        if isinstance(prompt, dict) and "class_type" not in prompt:
            return WorkflowFile(path, checked_prompt(prompt, str(path)), _workflow_beside(data))
        if is_editor_format(data.get("workflow")):
            return WorkflowFile(path, None, data["workflow"])
    return WorkflowFile(path, checked_prompt(data, str(path)), None)


def _workflow_beside(data: dict) -> dict | None:
    workflow: Any = data.get("workflow")
    if workflow is None:
        workflow = data
        for key in ("extra_data", "extra_pnginfo", "workflow"):
            workflow = workflow.get(key) if isinstance(workflow, dict) else None
    return workflow if is_editor_format(workflow) else None


def _carried(path: Path, texts: Mapping[str, str]) -> WorkflowFile:
    """The workflow among a file's texts, whose keys are in lower case."""
    texts = {**texts}
    if not texts.keys() & {"prompt", "workflow"} and "comment" in texts:
        texts |= _in_comment(texts["comment"])  # as VideoHelperSuite writes it
    where = f"The workflow in {path}"
    prompt = _json(texts["prompt"], where) if texts.get("prompt") else None
    try:
        workflow = _json(texts["workflow"], where) if texts.get("workflow") else None
    except WorkflowError:
        if prompt is None:
            raise
        workflow = None
    editor = workflow if is_editor_format(workflow) else None
    if prompt:
        return WorkflowFile(path, checked_prompt(prompt, where), editor)
    if editor is None:
        raise WorkflowError(
            f"{path} carries no workflow; give its JSON, or a picture or clip that ComfyUI saved "
            "with its metadata."
        )
    return WorkflowFile(path, None, editor)


def _in_comment(comment: str) -> dict[str, str]:
    try:
        data = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    found = data if isinstance(data, dict) else {}
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in found.items()
        if key in ("prompt", "workflow")
    }


def _picture_texts(path: Path, head: bytes) -> dict[str, str]:
    """A PNG's text chunks, or what a WebP's EXIF has as `key:text`."""
    texts: dict[str, str] = {}
    try:
        # Not Image.open: only what is written beside the pixels is read, whatever their number.
        if head.startswith(PNG):
            with PngImagePlugin.PngImageFile(str(path)) as png:
                known = png.info if {"prompt", "workflow"} & png.info.keys() else png.text
                texts = {k.lower(): v for k, v in known.items() if isinstance(v, str)}
        else:
            with WebPImagePlugin.WebPImageFile(str(path)) as webp:
                exif = webp.getexif()
            for text in (exif.get(tag) for tag in EXIF_TEXTS):
                if isinstance(text, str):
                    key, _, value = text.partition(":")
                    texts[key.lower()] = value
    except Exception as error:  # Pillow has no class for what a torn file can raise
        raise WorkflowError(
            f"{path} cannot be read as a picture ({shown(str(error), 200)}); give the workflow's "
            "JSON."
        ) from error
    return texts


def _container_tags(path: Path, demuxer: str) -> dict[str, str]:
    """The tags of a clip as a whole."""
    arguments = [*input_file(path, demuxer=demuxer), "-f", "ffmetadata", "pipe:1"]
    with FFmpeg(arguments, stdout=True) as process:
        listing = bytearray()
        for line in process.read_lines():
            listing += line
            if line.startswith((b"[CHAPTER]", b"[STREAM]")) or len(listing) > MAX_BYTES:
                break
        else:
            if process.wait() != 0:
                raise WorkflowError(
                    f"{path} cannot be read as a clip ({shown(process.cause(), 200)}); give the "
                    "workflow's JSON."
                )
    text = listing.decode("utf-8", "replace")
    return {
        _unescaped(tag[1]).lower(): _unescaped(tag[2])
        for tag in _TAG.finditer(text.partition("\n")[2])
    }


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise WorkflowError(f"{path} has more than {MAX_BYTES >> 20} MB, which no workflow has.")
    return path.read_bytes()


def _json(text: str | bytes, what: str) -> Any:
    try:
        return json.loads(text)  # of bytes it finds the encoding, and a BOM is no harm
    except ValueError as error:
        raise WorkflowError(f"{what}: {shown(str(error), 200)}.") from error
    except RecursionError as error:
        raise WorkflowError(f"{what}: it is nested too deep.") from error
