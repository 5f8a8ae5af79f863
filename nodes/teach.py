import hashlib
from pathlib import Path

import torch
from torch import Tensor

from .. import host
from ..host import io, ui
from ..host.paths import SHIPPED
from ..model import load_model, rgb_to_chroma, save_model, teach
from ..model.colorizationnet.teach import STEPS
from ..pipeline.images import Colorizer
from .types import ColorizationModel, Model

PAINTED = 0.03  # of chroma: more than JPEG leaves on grey


class Teach(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetTeach",
            display_name="Teach ColorizationNet",
            category="model/loaders",
            description="Teaches the network a shot's colours from one or a few coloured frames, "
            "in seconds. The taught model gives every frame of the shot the same colours.",
            search_aliases=["train", "reference colorization", "colour strokes", "propagate color"],
            inputs=[
                ColorizationModel.Input("model", tooltip="Where to start: the shipped weights."),
                io.Image.Input(
                    "images",
                    tooltip="Coloured frames of the shot: painted, from another colorizer, or a "
                    "colour photo of the place.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="The part of each reference that counts, such as a few painted "
                    "strokes; one mask for all or one each.",
                ),
                io.Boolean.Input(
                    "strokes",
                    default=False,
                    tooltip="The references are grey frames with strokes of colour painted on "
                    "them: only the pixels that have colour teach.",
                ),
                io.Int.Input(
                    "steps",
                    default=STEPS,
                    min=1,
                    max=10000,
                    tooltip="How long to learn. More finds more where the camera is still.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    optional=True,
                    advanced=True,
                    control_after_generate=False,
                    tooltip="The same seed and references give the same model.",
                ),
                io.String.Input(
                    "filename",
                    default="",
                    optional=True,
                    tooltip="Keep the taught model in models/colorization under this name; empty "
                    "keeps it for this run only.",
                ),
            ],
            outputs=[ColorizationModel.Output(display_name="model")],
            is_output_node=True,  # teaching for a kept file alone is a whole workflow
        )

    @classmethod
    def execute(
        cls, model, images, strokes, steps, mask=None, seed=0, filename=""
    ) -> io.NodeOutput:
        if mask is not None:
            _check_mask(mask, images)
        masks = None if mask is None else list(mask.expand(len(images), -1, -1))
        if strokes:
            painted = painted_pixels(images[..., :3])
            masks = list(painted if mask is None else painted * torch.stack(masks))
        keep = _target(filename)
        with host.Progress(steps) as progress:
            taught = teach(
                model.network(),
                list(images[..., :3]),
                masks=masks,
                steps=steps,
                seed=seed,
                device=host.device(),
                progress=lambda *_: progress.update(),
            )
        taught.metadata |= {
            "base": model.name,
            "mask": "none" if mask is None else _digest(mask),
            "strokes": "yes" if strokes else "no",
        }
        if keep:
            _keep(taught, keep)
        shown = images[:1, ..., :3].float()
        colored = Colorizer(taught, device=host.device())(shown)
        return io.NodeOutput(
            Model(filename or f"{model.name}, taught", host.manage(taught), model.precision),
            ui=ui.PreviewImage(torch.cat((shown.to(colored), colored), dim=2), cls=cls),
        )


def painted_pixels(images: Tensor) -> Tensor:
    """1 where ``images`` ``(B, H, W, 3)`` have colour, else 0: ``(B, H, W)``."""
    chroma = rgb_to_chroma(images.permute(0, 3, 1, 2).float())
    return (chroma.norm(dim=1) > PAINTED).float()


def _check_mask(mask: Tensor, images: Tensor) -> None:
    if len(mask) not in (1, len(images)):
        raise ValueError(
            f"There are {len(mask)} masks for {len(images)} references; give one for all or "
            "one each."
        )
    size, wanted = ("x".join(map(str, side[::-1])) for side in (mask.shape[1:], images.shape[1:3]))
    if not mask.any():
        raise ValueError(
            f"The mask ({size}) is empty, as Load Image gives it for a picture without "
            "transparency; unlink it, or paint what should count."
        )
    if size != wanted:
        raise ValueError(
            f"The mask is {size} and the references are {wanted}; unlink it, or give one of "
            "their size."
        )


def _digest(mask: Tensor) -> str:
    values = mask.to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()[:16]


def _target(filename: str) -> Path | None:
    """Where ``filename`` is kept: a plain name in the host's folder for models."""
    if not filename:
        return None
    name = filename if filename.endswith(".safetensors") else f"{filename}.safetensors"
    folder = host.models_folder()
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"{filename!r} is not a plain file name; leave out folders and dots.")
    if name.lower() == SHIPPED.name:
        raise ValueError(f"{name} is the name of the shipped weights; choose another filename.")
    return folder / name


def _keep(taught, path: Path) -> None:
    if path.exists():
        # A run repeated with the same references, mask and settings finds what it kept before.
        if load_model(path).metadata.items() >= taught.metadata.items():
            return
        raise FileExistsError(f"{path.name} is kept already; choose another filename.")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(taught, path, taught.metadata)
