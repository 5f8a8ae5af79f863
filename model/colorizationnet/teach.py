"""Teaching: coloured frames in, a network that gives their colours to the rest of the shot.

The network sees 33 pixels, so it is taught and used at a small render size, where that is half of
the picture. Filters descend on the squared error of chroma, the inner ones by Muon, on randomly
scaled, lightened and darkened references. Blocks of the references are held out, to go on from the
weights that did best on them; then a few last, small steps take them in as well. Where only strokes
are painted, the colours of neighbours with like luma are drawn together.
"""

import copy
import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ...callbacks import Check, OnProgress
from ...options import TeachOptions
from ..color import rgb_to_chroma, rgb_to_luma
from .muon import Muon
from .network import ColorizationNet
from .reference_set import COLOURLESS, ReferenceSet, View

DEFAULTS = TeachOptions()

TEACHING = 1  # to be raised when the same references give another network than before
VALIDATIONS = 12  # measurements on held-out blocks in a full run
MUON_RATE = 0.05
ADAM_RATE = 2e-3
WARM_UP = 10  # steps
AVERAGE = 0.97  # of the averaged weights kept a step
LUMA_SHARE = 0.1  # weight of the error in luma, which only the network's own RGB shows
TONES = 0.1  # how far exposure and contrast are varied
SPREAD = 0.3  # weight of the smoothness of colour where nothing is painted
EDGE = 0.03  # difference in luma that counts as an edge between colours
REFIT = 0.25  # of the steps are the last ones
DIVERGED = 2.0  # times the error at the start


def teach(
    network: ColorizationNet,
    references: Sequence[Tensor],
    options: TeachOptions = DEFAULTS,
    *,
    masks: Sequence[Tensor | None] | None = None,
    device: torch.device | str | None = None,
    on_progress: OnProgress | None = None,
    check: Check | None = None,
) -> ColorizationNet:
    """A copy of ``network`` that has learned the colours of ``references``.

    ``references``: images ``(H, W, 3)`` in [0, 1], of any sizes. ``masks``: for each of them
    ``None`` or ``(H, W)`` in [0, 1], 1 where it counts, as painted strokes on a grey frame.
    ``options``: steps, seed, and the short side at which the network is taught, and at which it
    should be used: the result's ``metadata`` has it. ``device``: where to work; the network's own
    by default, and where the result is. ``on_progress`` and ``check`` are called after every step.

    The same arguments give the same result on the same machine. On blocks of the references that
    are held out the result is never worse than ``network``, which stays as it was.
    Raises ``ValueError`` for references that cannot teach.
    """
    masks = [None] * len(references) if masks is None else masks
    _check(references, masks)
    device = torch.device(device or network.conv1.weight.device)
    # A host may run its nodes in inference mode, in which nothing can be trained.
    with torch.inference_mode(False), torch.enable_grad():
        random = torch.Generator().manual_seed(options.seed)
        reference_set = ReferenceSet(references, masks, options.render_size, device, random)
        tuner = FineTuner(network, device)
        taught = _descend(tuner, reference_set, options.steps, random, on_progress, check)
    taught.metadata = {
        "recipe": f"taught by {len(references)} references in {options.steps} steps, "
        f"seed {options.seed}",
        "render_size": str(options.render_size),
        "saturation": "1.0",
        "references": " ".join(_digest(reference) for reference in references),
    }
    return taught


class FineTuner:
    """A network that learns: its parameters, their running average, and the best average yet."""

    def __init__(self, network: ColorizationNet, device: torch.device) -> None:
        # Parameters made in inference mode cannot be trained, but copies of them can.
        self.network = ColorizationNet().to(device)
        self.network.load_state_dict({k: v.clone() for k, v in network.state_dict().items()})
        self.start = copy.deepcopy(self.network)
        self.best, self.best_error = self.start, math.inf
        self.restart(1.0)

    def restart(self, rate: float) -> None:
        """Go on from the best weights with fresh optimizers, at ``rate`` of the usual step."""
        self.network.load_state_dict(self.best.state_dict())
        self.average = copy.deepcopy(self.network)
        inner = [self.network.conv2.weight, self.network.conv3.weight]
        outer = [p for p in self.network.parameters() if all(p is not bank for bank in inner)]
        self.optimizers = [
            (Muon(inner, MUON_RATE), MUON_RATE * rate),
            (torch.optim.Adam(outer, ADAM_RATE, betas=(0.9, 0.99)), ADAM_RATE * rate),
        ]
        self.age = 0

    def training_step(self, view: View, luma: Tensor, weight: Tensor, pace: float) -> None:
        """One step on ``view``, seen as ``luma``, with so much weight for each pixel."""
        rgb = predict_parity(self.network, luma)
        chroma = rgb_to_chroma(rgb)
        error = (chroma - view.chroma).square().sum(1, keepdim=True)
        error = error + LUMA_SHARE * (rgb_to_luma(rgb) - view.luma).square()
        loss = (error * weight).sum() / weight.sum().clamp_min(1.0)
        if view.in_part:
            loss = loss + SPREAD * roughness(chroma, view.luma)
        self.network.zero_grad()
        loss.backward()
        self.age += 1
        for optimizer, rate in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate * pace * min(1.0, self.age / WARM_UP)
            optimizer.step()
        keep = min(AVERAGE, self.age / (self.age + 10))
        with torch.no_grad():
            parameters = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for average, parameter in parameters:
                average.lerp_(parameter, 1 - keep)

    def validate(self, views: list[View]) -> float:
        """The averaged network's error on held-out blocks; the best so far is kept."""
        error = held_out_error(self.average, views)
        if error < self.best_error:
            self.best, self.best_error = copy.deepcopy(self.average), error
        return error


def _descend(
    tuner: FineTuner,
    references: ReferenceSet,
    steps: int,
    random: torch.Generator,
    on_progress: OnProgress | None,
    check: Check | None,
) -> ColorizationNet:
    validation_views = references.validation_views()
    first = tuner.validate(validation_views)
    rate, refitting = 1.0, False
    interval = max(1, steps // VALIDATIONS)
    for step in range(1, steps + 1):
        done = (step - 1) / steps
        if not refitting and done >= 1 - REFIT:
            tuner.validate(validation_views)
            if tuner.best is tuner.start:
                break
            tuner.restart(rate)
            refitting = True
        view = references.sample(random)
        weight = view.weight if refitting else view.weight * (1 - view.held_out)
        tuner.training_step(view, augment_tones(view.luma, random), weight, 1 - done)
        # Written so that not-a-number counts as diverged.
        diverged = (
            not refitting
            and step % interval == 0
            and not (tuner.validate(validation_views) < DIVERGED * first)
        )
        if diverged:
            rate /= 4
            tuner.restart(rate)
        if check is not None:
            check()
        if on_progress is not None:
            on_progress(step, steps)
    tuner.validate(validation_views)
    return tuner.best.eval().requires_grad_(False)


def predict_parity(network: ColorizationNet, parity: Tensor) -> Tensor:
    """The network's RGB of one pixel parity: four plain 5x5 convolutions, without dilation."""
    x = parity
    for conv in (network.conv1, network.conv2, network.conv3):
        x = torch.relu(conv2d(x, conv.weight, conv.bias, padding=2))
    return torch.sigmoid(conv2d(x, network.conv4.weight, network.conv4.bias, padding=2))


def roughness(chroma: Tensor, luma: Tensor) -> Tensor:
    """How much neighbours of like luma differ in chroma.

    What lets strokes spread up to the edges of things: the cost of Levin, Lischinski and Weiss,
    "Colorization using optimization" (SIGGRAPH 2004), over pixels one and two apart.
    """
    total = chroma.new_zeros(())
    for axis in (2, 3):
        for distance in (1, 2):
            apart = chroma.shape[axis] - distance
            if apart < 1:
                continue
            step_in_luma, step_in_chroma = (
                x.narrow(axis, distance, apart) - x.narrow(axis, 0, apart) for x in (luma, chroma)
            )
            alike = torch.exp(-0.5 * (step_in_luma / EDGE).square())
            total = total + (alike * step_in_chroma.square().sum(1, keepdim=True)).mean()
    return total


def augment_tones(luma: Tensor, random: torch.Generator) -> Tensor:
    """``luma`` under another exposure and contrast, as other frames may have it."""
    gamma, contrast, lift = (torch.rand(3, generator=random) * 2 - 1).mul_(TONES).tolist()
    luma = luma.clamp_min(1e-4) ** math.exp(gamma)
    return ((luma - 0.5) * math.exp(contrast / 2) + 0.5 + lift / 4).clamp_(0, 1)


@torch.no_grad()
def held_out_error(network: ColorizationNet, views: list[View]) -> float:
    """Root mean square of the error in chroma on the held-out blocks."""
    total = count = 0.0
    for view in views:
        weight = view.weight * view.held_out
        error = (
            (rgb_to_chroma(predict_parity(network, view.luma)) - view.chroma)
            .square()
            .sum(1, keepdim=True)
        )
        total += float((error * weight).sum())
        count += float(weight.sum())
    return math.sqrt(total / max(count, 1e-6))


def _check(references: Sequence[Tensor], masks: Sequence[Tensor | None]) -> None:
    if len(references) == 0:
        raise ValueError("There is no reference image to learn from; give at least one in colour.")
    if len(masks) != len(references):
        raise ValueError(
            f"There are {len(masks)} masks for {len(references)} reference images; "
            "give one for each."
        )
    coloured = False
    for number, (image, mask) in enumerate(zip(references, masks, strict=True), 1):
        if image.ndim != 3 or image.shape[-1] != 3:
            raise ValueError(
                f"Reference {number} has shape {tuple(image.shape)}; it must be "
                "(height, width, 3): make grey or transparent pictures RGB first."
            )
        if min(image.shape[:2]) < 2:
            raise ValueError(f"Reference {number} is one pixel high or wide; use a larger one.")
        if not torch.isfinite(image).all():
            raise ValueError(f"Reference {number} holds NaN or infinity; make it anew.")
        if mask is not None and mask.shape != image.shape[:2]:
            raise ValueError(
                f"The mask of reference {number} is {_size(mask)} pixels and the image "
                f"{_size(image)}; make them the same size."
            )
        if mask is not None and not (mask > 0).any():
            raise ValueError(f"The mask of reference {number} is empty; paint what should count.")
        chroma = rgb_to_chroma(image.movedim(-1, 0).float()).abs().amax(0)
        coloured |= bool((chroma if mask is None else chroma * (mask > 0)).max() > COLOURLESS)
    if not coloured:
        raise ValueError(
            "The references have no colour to learn; give a coloured frame, or paint on it."
        )


def _size(image: Tensor) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _digest(image: Tensor) -> str:
    levels = image.mul(255).round().clamp(0, 255).to("cpu", torch.uint8)
    return hashlib.sha256(levels.contiguous().numpy().tobytes()).hexdigest()[:16]
