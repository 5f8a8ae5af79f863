"""Workflows in the files that people have: JSON of either form, and pictures and clips that carry
what made them. No torch is imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import (
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from ...video import VideoError, read_tags
from .editor import WidgetsOf, is_editor_format, to_prompt
from .workflow import Prompt, WorkflowError, checked_prompt, shown

MAX_BYTES = 64 << 20  # of JSON; the largest workflows known have a few megabytes
EBML = b"\x1a\x45\xdf\xa3"
PICTURES: dict[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
}
MODERN = {b"avif", b"heic", b"heix", b"mif1", b"msf1"}
MOV_ATOMS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}


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
    """The workflow in a JSON file (API or editor's form), a picture or a clip.

    Of pictures that is PNG, WebP, AVIF, JPEG, TIFF or HEIC, of clips MP4, MOV, MKV or WebM.

    Raises WorkflowError when there is none, or none that can be understood.
    """
    path = Path(path)
    if not path.is_file():
        raise WorkflowError(f"There is no workflow file {path}.")
    with path.open("rb") as file:
        head = file.read(12)
    if opens := _picture_class(head):
        return _carried(path, _picture_texts(path, opens))
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
            f"{path} carries no workflow; give its JSON, or a picture or clip that ComfyUI or "
            "colorize saved with its metadata."
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


def _picture_texts(path: Path, opens: type[ImageFile]) -> dict[str, str]:
    """A PNG's text chunks, or what the EXIF of other pictures has as `key:text`."""
    try:
        # Not Image.open: only what is written beside the pixels is read, whatever their number.
        with opens(str(path)) as picture:
            if isinstance(picture, PngImagePlugin.PngImageFile):
                info = picture.info
                known = info if {"prompt", "workflow"} & info.keys() else picture.text
                return {k.lower(): v for k, v in known.items() if isinstance(v, str)}
            texts = [text for text in picture.getexif().values() if isinstance(text, str)]
    except Exception as error:  # Pillow has no class for what a torn file can raise
        raise WorkflowError(
            f"{path} cannot be read as a picture ({shown(str(error), 200)}); give the workflow's "
            "JSON."
        ) from error
    pairs = (text.partition(":") for text in texts)
    return {key.lower(): value for key, _, value in pairs}


def _picture_class(head: bytes) -> type[ImageFile] | None:
    """What reads a picture that begins so; None for all else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if head[4:8] == b"ftyp" and head[8:12] in MODERN:
        return _modern(head)
    return next((opens for magic, opens in PICTURES.items() if head.startswith(magic)), None)


def _modern(head: bytes) -> type[ImageFile]:
    """What reads AVIF and HEIC, which not every Pillow does."""
    try:
        if head[8:12] == b"avif":
            from PIL.AvifImagePlugin import AvifImageFile as Reader
        else:
            from pillow_heif import HeifImageFile as Reader
    except ImportError as error:
        package = "Pillow 11.3 or later" if head[8:12] == b"avif" else "pillow-heif"
        raise WorkflowError(
            f"This picture needs {package} (pip install); or give the workflow's JSON."
        ) from error
    return Reader


def _container_tags(path: Path, demuxer: str) -> dict[str, str]:
    """The tags of a clip as a whole."""
    try:
        return read_tags(path, demuxer=demuxer)
    except VideoError as error:
        raise WorkflowError(
            f"{path} cannot be read as a clip ({shown(str(error), 200)}); give the workflow's JSON."
        ) from error


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
