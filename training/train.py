"""Train ColorizationNet on a folder of photos.

    python -m colorizationnet.training.train PHOTOS -o WEIGHTS.safetensors

First four teachers are trained, each on three quarters of the photos; then the network learns from
the photos and, for each of them, from what the teacher says that has not seen it; then, in a second
round as long, mostly from what it says itself. Killed or stopped, the same command goes on where it
was: beside the weights lie checkpoints (``.teacher0.safetensors`` and so on,
``.round1.safetensors``, ``.round2.safetensors``), and a picture of validation samples
(``.samples.jpg``: grey, network, truth), renewed at every report.
"""

import argparse
import copy
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Generator, Tensor, nn
from torchvision.utils import make_grid, save_image

from ..model import ColorizationNet, load_model, merge, rgb_to_chroma, rgb_to_luma, save_model
from ..model.colorizationnet import Muon
from .balance import weigh
from .data import FOLDS, Photos, as_seen, folds, read_photos, split
from .metrics import ChromaScore
from .teacher import Teacher, soft_targets

log = logging.getLogger(__name__)

LUMA_WEIGHT = 0.1  # so that the network's own RGB is a picture too
EMA_STEPS = 200
WARM_UP = 100  # steps
TEACHERS_SIZE = 24  # short side of what a teacher learns from, in pixels
# Short sides at which whole photos are looked at for their soft targets.
TEACHER_TTA_SIZES, TTA_SIZES = (24, 40), (16, 32, 56)
OWN_SHARE = 0.8  # of the soft targets in the second round, the rest is the teacher's


@dataclass
class Recipe:
    """``sizes``: short sides of the training pictures in pixels of one parity, in turn.

    ``emphasis``: on foliage, sky and skin, see `weigh`. ``trust``: the share of the soft targets in
    the chroma to aim at, the rest is the truth's.
    """

    steps: int = 4000
    batch: int = 32
    sizes: tuple[int, ...] = (16,)
    muon_lr: float = 0.02
    adam_lr: float = 0.002
    degraded: float = 0.5
    smallest_crop: float = 0.3
    stretch: float = 1.5
    emphasis: tuple[float, float, float] = (4.0, 2.0, 2.0)
    trust: float = 0.7
    dropout: float = 0.2
    seed: int = 0

    def size(self, step: int) -> int:
        """The run's equal parts, one for each size."""
        return self.sizes[min(step * len(self.sizes) // self.steps, len(self.sizes) - 1)]

    def rate(self, step: int) -> float:
        """Share of the learning rate: a short rise, then a straight way down to 0."""
        return min(1.0, (step + 1) / WARM_UP, (self.steps - step) / self.steps)


class Trainer:
    """A network that learns from small pictures, with its optimizers and the average of it.

    The dilated network is the same undilated network on each of the four pixel parities, so one
    parity without dilation trains it exactly, at a quarter of the cost.
    """

    def __init__(self, network: ColorizationNet | Teacher, recipe: Recipe, device: str) -> None:
        self.recipe, self.device, self.step = recipe, device, 0
        self.network = network.to(device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        banks = [p for p in self.network.parameters() if p.ndim == 4][:-1]
        others = [p for p in self.network.parameters() if not any(p is bank for bank in banks)]
        self.optimizers = (
            Muon(banks, recipe.muon_lr),
            torch.optim.Adam(others, recipe.adam_lr, betas=(0.9, 0.99)),
        )

    def train(self, photos: Photos) -> float:
        """One step; gives the share of the batch's chroma that the network explained."""
        recipe = self.recipe
        # Seeds of each step: a run that goes on sees the pictures that it would have seen. 32 bits
        # each, because torch's generator on the CPU ignores all others.
        views, dropout = np.random.SeedSequence((recipe.seed, self.step)).generate_state(2).tolist()
        torch.manual_seed(dropout)
        luma, chroma, target = self._batch(photos, Generator().manual_seed(views))
        for optimizer, rate in zip(self.optimizers, (recipe.muon_lr, recipe.adam_lr), strict=True):
            optimizer.param_groups[0]["lr"] = rate * recipe.rate(self.step)
        rgb = self.network(luma.contiguous(memory_format=torch.channels_last))
        guess = rgb_to_chroma(rgb)
        # Squared error: robust losses go for the median colour, which is grey.
        loss = (guess - target).square().sum(1).mean()
        loss = loss + LUMA_WEIGHT * (rgb_to_luma(rgb) - luma).square().mean()
        self.network.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        keep = min(1 - 1 / EMA_STEPS, self.step / (self.step + 10))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average.get_parameter(name).lerp_(parameter, 1 - keep)
            error = (guess - chroma).square().sum(1).mean()
        self.step += 1
        return 1 - error.item() / chroma.square().sum(1).mean().item()

    def _batch(self, photos: Photos, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Luma, its true chroma, and the chroma to aim at."""
        recipe = self.recipe
        rgb, targets = photos.views(
            recipe.batch,
            2 * recipe.size(self.step),
            generator,
            smallest_crop=recipe.smallest_crop,
            stretch=recipe.stretch,
        )
        luma, chroma = as_seen(rgb.to(self.device), recipe.degraded, generator)
        target = chroma if targets is None else chroma.lerp(targets.to(self.device), recipe.trust)
        return luma, chroma, target

    def soft_targets(self, pictures: list[Tensor], sizes: tuple[int, ...]) -> list[Tensor]:
        """The average's soft targets for whole photos; float16, on the CPU."""
        return [
            soft_targets(self.average, picture.to(self.device), sizes).half().cpu()
            for picture in pictures
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a run needs to go on, by name; the live tensors themselves."""
        tensors = {f"network.{k}": t for k, t in self.network.state_dict().items()}
        tensors |= {f"average.{k}": t for k, t in self.average.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer{number}.{index}.{k}": t for k, t in state.items()}
        return tensors

    def save(self, path: Path) -> None:
        tensors = {k: t.cpu().contiguous() for k, t in self.tensors().items()}
        part = path.with_suffix(".part")
        # Not save_file, whose files only their owner may read.
        part.write_bytes(save(tensors, metadata={"step": str(self.step)}))
        os.replace(part, path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, with this trainer's recipe."""
        with safe_open(path, framework="pt", device=self.device) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            self.step = int(file.metadata()["step"])
        for name, network in (("network", self.network), ("average", self.average)):
            network.load_state_dict({k: tensors[f"{name}.{k}"] for k in network.state_dict()})
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in tensors.items():
                owner, _, rest = key.partition(".")
                if owner == f"optimizer{number}":
                    index, name = rest.split(".")
                    state.setdefault(int(index), {})[name] = tensor
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})


def student(recipe: Recipe, start: Path | None = None) -> ColorizationNet:
    """The network as it works on one pixel parity, with dropout before its last layer.

    Without ``start`` it has He's initialization, and a last layer so small that it begins at grey.
    """
    torch.manual_seed(recipe.seed)
    network = undilated(load_model(start).requires_grad_() if start else ColorizationNet())
    if not start:
        for layer in (network.conv1, network.conv2, network.conv3):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.normal_(network.conv4.weight, std=0.3 / math.sqrt(network.conv4.weight[0].numel()))
        nn.init.zeros_(network.conv4.bias)

    def drop(layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return F.dropout2d(inputs[0], recipe.dropout, training=layer.training)

    network.conv4.register_forward_pre_hook(drop)
    return network


def undilated(network: ColorizationNet) -> ColorizationNet:
    """The same network as it works on one pixel parity."""
    for layer in (network.conv1, network.conv2, network.conv3, network.conv4):
        layer.dilation, layer.padding = (1, 1), (2, 2)
    return network


def teacher_recipe(students: Recipe, steps: int, number: int) -> Recipe:
    return replace(
        students,
        steps=steps,
        sizes=(TEACHERS_SIZE,),
        degraded=0.3,
        smallest_crop=0.4,
        stretch=1.3,
        seed=10 * students.seed + number + 1,
    )


def second_recipe(first: Recipe) -> Recipe:
    return replace(
        first,
        trust=0.6,
        muon_lr=first.muon_lr / 2,
        adam_lr=first.adam_lr / 2,
        seed=10 * first.seed + FOLDS + 1,
    )


class Report(NamedTuple):
    text: str
    samples: Tensor  # grey, network, truth, as one RGB picture (3, H, W)


def fit(
    trainer: Trainer, photos: Photos, validation: Photos, checkpoint: Path, every: int
) -> Iterator[Report]:
    """Train to the recipe's end, from ``checkpoint`` if it is there; each report renews it."""
    if checkpoint.is_file():
        trainer.resume(checkpoint)
    recipe, explained = trainer.recipe, []
    while trainer.step < recipe.steps:
        explained.append(trainer.train(photos))
        if trainer.step % every and trainer.step != recipe.steps:
            continue
        size = recipe.size(trainer.step)
        score, samples = validate(trainer.average, validation, size, trainer.device)
        mean = sum(explained) / len(explained)
        yield Report(
            f"step {trainer.step} of {recipe.steps}: explained {mean:.3f} in training, "
            f"{score.explained:.3f} in validation, corr {score.corr:.3f}",
            samples,
        )
        trainer.save(checkpoint)  # not before: who is killed while writing the weights writes again
        explained.clear()


@torch.no_grad()
def validate(network: nn.Module, photos: Photos, size: int, device: str):
    """Score on clean, whole validation pictures, and a sheet: grey, network, truth."""
    score, rows = ChromaScore(), []
    for picture in photos.pictures:
        height, width = picture.shape[1:]
        scale = size / min(height, width)
        small = (round(scale * height), round(scale * width))
        rgb = F.interpolate(
            picture[None].to(device).float() / 255, small, mode="bicubic", antialias=True
        ).clamp_(0, 1)
        luma = rgb_to_luma(rgb)
        chroma = rgb_to_chroma(network(luma))
        score.add(chroma[0], rgb_to_chroma(rgb)[0])
        if len(rows) < 24:
            rows.append(_sample(picture.to(device), chroma))
    return score, make_grid(torch.cat(rows), nrow=12, padding=1)


def _sample(picture: Tensor, chroma: Tensor) -> Tensor:
    side = 128
    rgb = F.interpolate(picture[None].float() / 255, (side, side), mode="bilinear", antialias=True)
    luma = rgb_to_luma(rgb)
    color = merge(luma, F.interpolate(chroma, (side, side), mode="bicubic"))
    return torch.cat((luma.expand(-1, 3, -1, -1), color, rgb))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m colorizationnet.training.train", description=__doc__.partition("\n")[0]
    )
    default = Recipe()
    parser.add_argument("photos", type=Path, help="folder of photos, with MANIFEST.tsv or without")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors file")
    parser.add_argument(
        "--teacher-steps",
        type=int,
        default=700,
        metavar="STEPS",
        help="length of each teacher's training; 0: learn from the photos alone",
    )
    parser.add_argument("--start", type=Path, help="weights to begin with, in place of noise")
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--batch", type=int, default=default.batch)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=default.sizes,
        metavar="PX",
        help="short side of the training pictures, half the render size; several "
        "are taken in turn, each for an equal part of the steps",
    )
    parser.add_argument(
        "--emphasis",
        type=float,
        nargs=3,
        default=default.emphasis,
        metavar=("FOLIAGE", "SKY", "SKIN"),
        help="how much oftener pictures with enough of each are shown",
    )
    parser.add_argument(
        "--degraded",
        type=float,
        default=default.degraded,
        help="share of the pictures that look like old material",
    )
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--report-every", type=int, default=250, metavar="STEPS")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    recipe = Recipe(
        args.steps,
        args.batch,
        tuple(args.sizes),
        degraded=args.degraded,
        emphasis=tuple(args.emphasis),
        seed=args.seed,
    )
    side = 3 * 2 * max(*recipe.sizes, TEACHERS_SIZE)  # room for crops of a third
    parts = [read_photos(paths, side) for paths in folds(args.photos)]
    weights = [weigh(part, recipe.emphasis) for part in parts]
    pictures = sum(parts, [])
    validation = Photos(read_photos(split(args.photos)[1], side))
    log.info(
        "%d photos for training, %d for validation, on %s",
        len(pictures),
        len(validation),
        args.device,
    )

    targets: list[Tensor] = []
    for number, part in enumerate(parts if args.teacher_steps else []):
        teachers_recipe = teacher_recipe(recipe, args.teacher_steps, number)
        torch.manual_seed(teachers_recipe.seed)
        trainer = Trainer(Teacher(), teachers_recipe, args.device)
        others = [other for other in range(len(parts)) if other != number]
        seen = Photos(sum((parts[i] for i in others), []), torch.cat([weights[i] for i in others]))
        checkpoint = args.output.with_suffix(f".teacher{number}.safetensors")
        for report in fit(trainer, seen, validation, checkpoint, args.report_every):
            log.info("teacher %d of %d: %s", number + 1, len(parts), report.text)
        targets += trainer.soft_targets(part, TEACHER_TTA_SIZES)

    photos = Photos(pictures, torch.cat(weights), targets or None)

    def learn(trainer: Trainer, number: int) -> None:
        checkpoint = args.output.with_suffix(f".round{number}.safetensors")
        for report in fit(trainer, photos, validation, checkpoint, args.report_every):
            log.info("round %d: %s", number, report.text)
            save_image(report.samples, args.output.with_suffix(".samples.jpg"))
            metadata = {"recipe": str(trainer.recipe), "validation": report.text}
            save_model(trainer.average, args.output, metadata)

    trainer = Trainer(student(recipe, args.start), recipe, args.device)
    learn(trainer, 1)
    if photos.targets:
        # The mean over sizes and mirrors knows more than one prediction: the network learns it.
        own_targets = trainer.soft_targets(pictures, TTA_SIZES)
        for teachers, own in zip(photos.targets, own_targets, strict=True):
            teachers.lerp_(own, OWN_SHARE)
        learn(Trainer(trainer.average.requires_grad_(), second_recipe(recipe), args.device), 2)


if __name__ == "__main__":
    main()
