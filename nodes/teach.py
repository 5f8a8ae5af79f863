from pathlib import Path

import torch
from torch import Tensor

from ..host import current, io, ui
from ..options import MAX_TEACH_STEPS, SHIPPED_WEIGHTS, ColorOptions, TeachOptions
from ..pipeline import TaughtNetworks, colorize_images, is_kept, save_model, teach
from .types import ColorizationModel, Model


class Teach(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="ColorizationNetTeach",
            display_name="Teach ColorizationNet",
            category="model/loaders",
            description="Teaches the network a shot's colours from one or a few coloured frames, "
            "in seconds. The taught model gives every frame of the shot the same colours.",
            search_aliases=[
                "train",
                "teach",
                "paint",
                "reference",
                "strokes",
                "reference colorization",
                "colour strokes",
                "propagate color",
                "color",
                "colour",
            ],
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
                    default=TeachOptions.steps,
                    min=1,
                    max=MAX_TEACH_STEPS,
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
        host = current()
        if mask is not None:
            _check_mask(mask, images)
        keep = _target(filename)
        with host.progress(steps) as progress:
            taught = teach(
                model.load(ColorOptions(), 1, *images.shape[1:3]),
                list(images[..., :3]),
                TeachOptions(steps, seed=seed),
                masks=None if mask is None else list(mask.expand(len(images), -1, -1)),
                strokes=strokes,
                device=host.device(),
                kept=TaughtNetworks(host.taught_folder()),
                on_progress=progress.report,
                check=host.check_cancelled,
            )
        taught.metadata["base"] = model.name
        if keep:
            _keep(taught, keep)
        shown = images[:1, ..., :3].float()
        colored = colorize_images(taught, shown, device=host.device())
        name = filename or f"{model.name}, taught"
        return io.NodeOutput(
            Model(name, taught, host.wrap_model(taught), model.precision),
            ui=ui.PreviewImage(torch.cat((shown.to(colored), colored), dim=2), cls=cls),
        )


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


def _target(filename: str) -> Path | None:
    """Where ``filename`` is kept: a plain name in the host's folder for models."""
    if not filename:
        return None
    name = filename if filename.endswith(".safetensors") else f"{filename}.safetensors"
    folder = current().models_folder()
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"{filename!r} is not a plain file name; leave out folders and dots.")
    if name.lower() == SHIPPED_WEIGHTS.name:
        raise ValueError(f"{name} is the name of the shipped weights; choose another filename.")
    return folder / name


def _keep(taught, path: Path) -> None:
    # A run repeated with the same references, mask and settings finds what it kept before.
    if is_kept(path, taught.metadata):
        return
    if path.exists():
        raise FileExistsError(f"{path.name} is kept already; choose another filename.")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(taught, path, taught.metadata)
