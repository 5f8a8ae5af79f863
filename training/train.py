"""Train ColorizationNet on a folder of photos.

    python -m colorizationnet.training.train PHOTOS -o WEIGHTS.safetensors

Killed or stopped, the same command goes on where it was. Beside the weights lie a checkpoint
(``.checkpoint.safetensors``) and a picture of validation samples (``.samples.jpg``: grey, network,
truth), both renewed at every report.
"""

import argparse
import copy
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Generator, Tensor, nn
from torchvision.utils import make_grid, save_image

from ..model import ColorizationNet, load_model, save_model
from ..model.color import merge, rgb_to_chroma, rgb_to_luma
from ..model.muon import Muon
from .data import Photos, split
from .metrics import ChromaScore

log = logging.getLogger(__name__)

LUMA_WEIGHT = 0.1  # so that the network's own RGB is a picture too
EMA_STEPS = 200
WARM_UP, COOL_DOWN = 100, 0.9  # in steps; as a share of all steps


@dataclass
class Recipe:
    """``sizes``: short sides of the training pictures in pixels of one parity, in turn."""

    steps: int = 4000
    batch: int = 16
    sizes: tuple[int, ...] = (16, 16, 16, 24)
    muon_lr: float = 0.02
    adam_lr: float = 0.002
    degraded: float = 0.3
    smallest_crop: float = 0.6
    seed: int = 0

    def size(self, step: int) -> int:
        """The run's equal parts, one for each size."""
        return self.sizes[min(step * len(self.sizes) // self.steps, len(self.sizes) - 1)]

    def rate(self, step: int) -> float:
        """Share of the learning rate: a short rise, then a straight way down to 0."""
        left = (self.steps - step) / (self.steps * COOL_DOWN)
        return max(0.0, min(1.0, (step + 1) / WARM_UP, left))


class Trainer:
    """The network on pictures of half the render size, with the optimizers and the average of it.

    The dilated network is the same undilated network on each of the four pixel parities, so one
    parity without dilation trains it exactly, at a quarter of the cost.
    """

    def __init__(self, recipe: Recipe, device: str, start: Path | None = None) -> None:
        self.recipe, self.device, self.step = recipe, device, 0
        torch.manual_seed(recipe.seed)
        network = load_model(start).requires_grad_() if start else initialized()
        self.network = undilated(network).to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        layers = (self.network.conv1, self.network.conv2, self.network.conv3)
        banks = [layer.weight for layer in layers]
        others = [layer.bias for layer in layers] + list(self.network.conv4.parameters())
        self.optimizers = (
            Muon(banks, recipe.muon_lr),
            torch.optim.Adam(others, recipe.adam_lr, betas=(0.9, 0.99)),
        )

    def train(self, photos: Photos) -> float:
        """One step; gives the share of the batch's chroma that the network explained."""
        recipe = self.recipe
        # A generator a step: a run that goes on sees the pictures that it would have seen.
        generator = Generator().manual_seed(recipe.seed << 32 | self.step)
        luma, chroma = photos.batch(
            recipe.batch,
            recipe.size(self.step),
            generator,
            smallest_crop=recipe.smallest_crop,
            degraded=recipe.degraded,
            device=self.device,
        )
        for optimizer, rate in zip(
            self.optimizers, (recipe.muon_lr, recipe.adam_lr), strict=True
        ):
            optimizer.param_groups[0]["lr"] = rate * recipe.rate(self.step)
        rgb = self.network(luma.contiguous(memory_format=torch.channels_last))
        # Squared error: robust losses go for the median colour, which is grey.
        error = (rgb_to_chroma(rgb) - chroma).square().sum(1).mean()
        loss = error + LUMA_WEIGHT * (rgb_to_luma(rgb) - luma).square().mean()
        self.network.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        keep = min(1 - 1 / EMA_STEPS, self.step / (self.step + 10))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average.get_parameter(name).lerp_(parameter, 1 - keep)
        self.step += 1
        return 1 - error.item() / chroma.square().sum(1).mean().item()

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
        save_file(tensors, part, metadata={"step": str(self.step)})
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


def initialized() -> ColorizationNet:
    """He initialization; a last layer so small that the network begins at grey."""
    network = ColorizationNet()
    for layer in (network.conv1, network.conv2, network.conv3):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    nn.init.normal_(network.conv4.weight, std=0.3 / math.sqrt(network.conv4.weight[0].numel()))
    nn.init.zeros_(network.conv4.bias)
    return network


def undilated(network: ColorizationNet) -> ColorizationNet:
    """The same network as it works on one pixel parity."""
    for layer in (network.conv1, network.conv2, network.conv3, network.conv4):
        layer.dilation, layer.padding = (1, 1), (2, 2)
    return network


@torch.no_grad()
def validate(network: ColorizationNet, photos: Photos, size: int, device: str):
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
    parser.add_argument("--start", type=Path, help="weights to begin with, in place of noise")
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--batch", type=int, default=default.batch)
    parser.add_argument("--sizes", type=int, nargs="+", default=default.sizes, metavar="PX",
                        help="short side of the training pictures, half the render size; several "
                             "are taken in turn, each for an equal part of the steps")
    parser.add_argument("--degraded", type=float, default=default.degraded,
                        help="share of the pictures that look like old material")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--report-every", type=int, default=250, metavar="STEPS")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    recipe = Recipe(args.steps, args.batch, tuple(args.sizes), degraded=args.degraded,
                    seed=args.seed)
    training, validation = split(args.photos)
    # Twice the largest training picture, and room for crops.
    side = 4 * max(recipe.sizes)
    training, validation = Photos(training, side), Photos(validation, side)
    trainer = Trainer(recipe, args.device, args.start)
    checkpoint = args.output.with_suffix(".checkpoint.safetensors")
    if checkpoint.is_file():
        trainer.resume(checkpoint)
    log.info("%d photos for training, %d for validation, step %d of %d on %s",
             len(training), len(validation), trainer.step, recipe.steps, args.device)

    explained = []
    while trainer.step < recipe.steps:
        explained.append(trainer.train(training))
        if trainer.step % args.report_every and trainer.step != recipe.steps:
            continue
        score, sheet = validate(
            trainer.average, validation, recipe.size(trainer.step), args.device
        )
        log.info("step %d: explained %.3f in training, %.3f in validation, corr %.3f",
                 trainer.step, sum(explained) / len(explained), score.explained, score.corr)
        explained.clear()
        trainer.save(checkpoint)
        save_image(sheet, args.output.with_suffix(".samples.jpg"))
        save_model(trainer.average, args.output, {
            "recipe": str(recipe),
            "step": str(trainer.step),
            "validation": f"explained {score.explained:.3f}, corr {score.corr:.3f}",
        })


if __name__ == "__main__":
    main()
