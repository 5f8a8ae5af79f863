"""What made a result of `colorize`, for the result's own metadata: the settings, and a workflow of
ComfyUI that makes it again where its nodes can."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import temp_prefix
from ..host import KEY, PROMPT, WORKFLOW, record, use
from ..options import SOFTWARE, ColorOptions, EncodeOptions, FilmOptions

if TYPE_CHECKING:
    from .standin.workflow import Prompt

# The formats of clips that Colorize Video offers: Save Video cannot copy ProRes.
NODE_FORMATS = {"h264", "hevc", "av1", "vp9", "ffv1"}


@dataclass(frozen=True)
class Made:
    """All that a result depends on beside its source.

    ``weights``: the file's name and SHA-256. Of a clip, ``film``, ``encode`` and the part that was
    coloured (``start`` and ``duration`` in seconds); of a photo none of it but ``bit_depth`` and
    ``compare``: whether its left half was left.
    """

    weights: tuple[str, str]
    color: ColorOptions
    bit_depth: int | None = None
    compare: bool = False
    film: FilmOptions | None = None
    encode: EncodeOptions | None = None
    start: float = 0.0
    duration: float | None = None
    keyframes: str | None = None
    from_pictures: bool = False
    strokes: bool = False
    teach_steps: int | None = None
    sensitivity: float | None = None
    fps: str | None = None

    def settings(self) -> dict[str, Any]:
        """As JSON has it, without what is left open."""
        color = {key: value for key, value in asdict(self.color).items() if value is not None}
        found: dict[str, Any] = {"color": color, "bit_depth": self.bit_depth}
        if self.film and self.encode:
            found |= {"film": asdict(self.film), "keyframes": self.keyframes}
            found |= {"format": self.encode.format, "crf": self.encode.quality}
            found["encoder"] = None if self.encode.encoder == SOFTWARE else self.encode.encoder
            found |= {"strokes": self.strokes or None, "fps": self.fps}
            found |= {"teach_steps": self.teach_steps, "sensitivity": self.sensitivity}
            found |= {"start": self.start or None, "duration": self.duration}
        else:
            found["compare"] = "half" if self.compare else None
        return {key: value for key, value in found.items() if value is not None}

    def record(self, source: Path, target: Path) -> dict[str, str]:
        """What the result ``target`` of ``source`` carries, as JSON by name.

        ``prompt`` and ``workflow`` are ComfyUI's, and left out for what its nodes do not do: a film
        by keyframes, of pictures, in ProRes, or in another bit depth than the format's own, and a
        photo beside what it was.
        """
        name, digest = self.weights
        texts = {KEY: record({name: digest}, source=source.name, settings=self.settings())}
        prompt = self._prompt(source.name, target.stem)
        if prompt is not None:
            texts |= {PROMPT: json.dumps(prompt), WORKFLOW: json.dumps(_to_editor(prompt))}
        return texts

    def _prompt(self, source: str, prefix: str) -> Prompt | None:
        color = {
            "render_size": -1 if self.color.render_size is None else self.color.render_size,
            "strength": self.color.strength,
            "saturation": self.color.saturation,
            "quality": self.color.quality,
            "look": self.color.look,
        }
        model = {"model_name": self.weights[0], "precision": self.color.precision}
        loader = _node("ColorizationNetLoadModel", **model)
        if self.film is None or self.encode is None:
            if self.compare:
                return None
            images = {"model": ["1", 0], "images": ["2", 0], **color}
            return {
                "1": loader,
                "2": _node("LoadImage", image=source),
                "3": _node("ColorizationNetColorizeImages", **images),
                "4": _node("SaveImage", images=["3", 0], filename_prefix=prefix),
            }
        quality = self.encode.quality
        crf = -1 if quality is None else round(quality)
        if (
            self.keyframes
            or self.from_pictures
            or self.bit_depth
            or self.encode.format not in NODE_FORMATS
            or crf not in (-1, quality)
        ):
            return None
        video = {"model": ["1", 0], "video": ["2", 0], **color, **asdict(self.film)}
        video |= {"format": self.encode.format, "crf": crf, "encoder": self.encode.encoder}
        prompt = {
            "1": loader,
            "2": _node("LoadVideo", file=source),
            "3": _node("ColorizationNetColorizeVideo", **video),
            "4": _node(
                "SaveVideo", video=["3", 0], filename_prefix=prefix, format="auto", codec="auto"
            ),
        }
        if self.start or self.duration:
            part = {"start_time": self.start, "duration": self.duration or 0.0}
            prompt["5"] = _node("Video Slice", video=["2", 0], **part, strict_duration=False)
            prompt["3"]["inputs"]["video"] = ["5", 0]
        return prompt


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def _to_editor(prompt: Prompt) -> dict[str, Any]:
    # Not at the top: torch takes seconds to import, and --help needs none of it.
    from ..nodes import NODES
    from .standin.core_nodes import CORE_NODES
    from .standin.host import StandInHost
    from .standin.to_editor import to_editor

    with (
        tempfile.TemporaryDirectory(prefix=temp_prefix()) as nowhere,
        use(StandInHost(nowhere, nowhere, nowhere)),
    ):
        schemas = {
            schema.node_id: schema
            for schema in (node.GET_SCHEMA() for node in (*NODES, *CORE_NODES))
        }
    return to_editor(prompt, schemas)
