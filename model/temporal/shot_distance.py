"""How unlike two thumbnails of a film are, whatever moved or changed its light between them."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from .operations import box_mean

THUMBNAIL = (24, 32)  # rows, columns
MAX_SHIFT = 3  # thumbnail pixels that a block may have moved from one frame to the next
REFERENCE_CONTRAST = 0.18  # standard deviation of luma to which thumbnails are brought
MAX_CONTRAST_GAIN = 3  # times; what is flatter stays flatter
TEXTURE_WINDOW = 7  # pixels of a side of the window whose mean is no texture
MIN_TEXTURE = 0.003  # deviation of luma that counts as texture beside the picture's own
MATCH_WINDOW = 3  # pixels of a side of a block
MIN_VARIANCE = 4e-4  # variance of luma that counts as explained, beside the picture's own


def thumbnails(luma: Tensor) -> Tensor:
    """``luma`` ``(n, 1, h, w)`` as ``(n, 1, *THUMBNAIL)``."""
    return adaptive_avg_pool2d(luma, THUMBNAIL)


def shot_distance(current: Tensor, previous: Tensor, threshold: float) -> Tensor:
    """How unlike thumbnails ``(n, 1, h, w)`` are: 0 (the same scene) to about 0.5, one a pair.

    The product of two measures that err in different places: the mean difference at one contrast,
    and the share of the current picture's variance that the previous one, motion-compensated and
    its exposure matched, leaves unexplained. (A flash raises the first, fast motion the second, a
    cut both.) The second is at most 1 and costs more: it is taken as 1 where the first is below
    ``threshold`` already.
    """
    distance = (normalize_exposure(current) - normalize_exposure(previous)).abs().mean((1, 2, 3))
    doubtful = (distance > threshold).nonzero().flatten()
    if len(doubtful):
        distance[doubtful] *= _unexplained_variance(current[doubtful], previous[doubtful])
    return distance


def normalize_exposure(pictures: Tensor) -> Tensor:
    """``pictures`` with mean 0 and one contrast, so that the end of a fade counts in full."""
    deviation = pictures.flatten(1).std(1).view(-1, 1, 1, 1)
    lowest = REFERENCE_CONTRAST / MAX_CONTRAST_GAIN
    return (pictures - pictures.mean((1, 2, 3), keepdim=True)) * (
        REFERENCE_CONTRAST / deviation.clamp(min=lowest)
    )


def align_translation(pictures: Tensor, targets: Tensor) -> Tensor:
    """Each picture shifted as a whole, up to `MAX_SHIFT` pixels, to correlate best with its target.

    ``(n, 1, h, w)`` both.
    """
    shifted = _shifts(pictures)
    centred = (shifted - shifted.mean((2, 3), keepdim=True)).flatten(2)
    products = (centred @ targets.flatten(1).unsqueeze(2)).squeeze(2)
    correlation = products / (centred.norm(dim=2) + 1e-6)
    return shifted[torch.arange(len(shifted)), correlation.argmax(1)].unsqueeze(1)


def _unexplained_variance(current: Tensor, previous: Tensor) -> Tensor:
    """The share of ``current``'s variance that block matching and linear regression leave."""
    errors = (_shifts(_texture(previous)) - _texture(current)).square()
    best = box_mean(errors, MATCH_WINDOW).argmin(1, keepdim=True)
    moved = _shifts(previous).gather(1, best).flatten(1)
    target = current.flatten(1)
    moved, target = moved - moved.mean(1, keepdim=True), target - target.mean(1, keepdim=True)
    variance = target.square().mean(1)
    covariance = (moved * target).mean(1).clamp(min=0)
    explained = covariance.square() / (moved.square().mean(1) + 1e-6)
    return (variance - explained) / (variance + MIN_VARIANCE)


def _texture(pictures: Tensor) -> Tensor:
    detail = pictures - box_mean(pictures, TEXTURE_WINDOW)
    return detail / (detail.square().mean((1, 2, 3), keepdim=True).sqrt() + MIN_TEXTURE)


def _shifts(pictures: Tensor) -> Tensor:
    """Pictures ``(n, 1, h, w)`` shifted by up to `MAX_SHIFT` each way: ``(n, shifts, h, w)``."""
    height, width = pictures.shape[2:]
    wide = pad(pictures, (MAX_SHIFT,) * 4, mode="replicate")[:, 0]
    return wide.unfold(1, height, 1).unfold(2, width, 1).flatten(1, 2)
