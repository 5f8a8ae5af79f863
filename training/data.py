"""Photos in memory, and batches of them as a network sees them."""

import csv
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor
from torchvision.transforms.functional import pil_to_tensor

from ..model import rgb_to_chroma
from ..pipeline import photo as photos
from .degrade import degrade

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
VALIDATION_SHARE = 0.06
FOLDS = 4

# Height and width of a training picture, in units of its short side.
SHAPES = ((1, 1.5), (1.5, 1), (1, 1.25))


def find_photos(folder: Path) -> list[Path]:
    """Every picture under ``folder``, sorted; raises ``FileNotFoundError`` when there is none."""
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"There are no pictures in {folder}; name a folder of photos.")
    return paths


def read_photo(path: Path, short_side: int | None = None) -> Tensor:
    """One picture as uint8 RGB ``(3, height, width)``, reduced to ``short_side`` if it is larger.

    Raises ``ValueError`` naming the file when it is not a picture.
    """
    try:
        photo = photos.read_photo(path)
    except (photos.PhotoError, OSError) as error:
        raise ValueError(f"{path} is not a readable picture; remove or replace it.") from error
    picture = Image.fromarray(photo.image.mul(255).round_().byte().numpy())
    if short_side and min(picture.size) > short_side:
        scale = short_side / min(picture.size)
        size = [round(scale * side) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BOX, reducing_gap=None)
    return pil_to_tensor(picture)


def read_photos(paths: list[Path], short_side: int) -> list[Tensor]:
    """Many pictures, as `read_photo` reads one."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda path: read_photo(path, short_side), paths))


def split(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folder's photos for training and for validation.

    ``MANIFEST.tsv``, where there is one, says which files are crops of one photo (same
    ``source`` and ``origin``); they stay on the same side. The side depends on the photo's name
    alone, so it never changes when photos are added. Raises ``ValueError`` when a side is empty.
    """
    digests = _digests(folder)
    training, validation = [], []
    for path, digest in digests.items():
        held_out = int.from_bytes(digest[:4], "big") < VALIDATION_SHARE * 2**32
        (validation if held_out else training).append(path)
    if not training or not validation:
        raise ValueError(
            f"{folder} has too few photos to hold some out for validation; add different ones."
        )
    return training, validation


def folds(folder: Path) -> list[list[Path]]:
    """The training photos in ``FOLDS`` parts; crops of one photo are in the same part.

    Raises ``ValueError`` when a part is empty.
    """
    training, _ = split(folder)
    digests = _digests(folder)
    parts: list[list[Path]] = [[] for _ in range(FOLDS)]
    for path in training:
        parts[int.from_bytes(digests[path][4:8], "big") % FOLDS].append(path)
    if not all(parts):
        raise ValueError(f"{folder} has too few photos for {FOLDS} parts; add different ones.")
    return parts


def _digests(folder: Path) -> dict[Path, bytes]:
    """A hash of what each file is a crop of, or of its name."""
    folder = Path(folder)
    manifest = folder / "MANIFEST.tsv"
    origins = {}
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                origins[row["file"]] = f"{row['source']}/{row['origin']}"
    names = {path: path.relative_to(folder).as_posix() for path in find_photos(folder)}
    return {
        path: hashlib.sha256(origins.get(name, name).encode()).digest()
        for path, name in names.items()
    }


class Photos:
    """Photos in memory, ``(3, height, width)`` uint8 each, and random views of them.

    A view is a whole picture or a large part of one, because where the border lies and how a
    picture is composed are most of what a network with a small field of view can know. Pictures
    are seen in proportion to ``weights``, all alike without. ``targets`` holds the chroma that a
    network guesses for each, ``(2, height / 2, width / 2)``, odd sides rounded up.
    """

    def __init__(
        self,
        pictures: list[Tensor],
        weights: Tensor | None = None,
        targets: list[Tensor] | None = None,
    ) -> None:
        self.pictures, self.targets = pictures, targets
        self.weights = torch.ones(len(pictures)) if weights is None else weights
        aspects = torch.tensor([p.shape[2] / p.shape[1] for p in self.pictures]).log()
        shapes = torch.tensor([width / height for height, width in SHAPES]).log()
        nearest = (aspects[:, None] - shapes).abs().argmin(1)
        groups = [(nearest == i).nonzero().flatten().tolist() for i in range(len(SHAPES))]
        self.groups = [pair for pair in zip(SHAPES, groups, strict=True) if pair[1]]

    def __len__(self) -> int:
        return len(self.pictures)

    def views(
        self,
        count: int,
        short_side: int,
        generator: Generator,
        *,
        smallest_crop: float = 0.6,
        stretch: float = 1.2,
    ) -> tuple[Tensor, Tensor | None]:
        """RGB ``(count, 3, 2 h, 2 w)`` in [0, 1] and its soft targets, ``(count, 2, h, w)``.

        All are of one shape, ``short_side`` (even) of the RGB, and half of them mirrored. Each
        shows ``smallest_crop`` to all of its picture's height, with an aspect wrong by up to a
        factor of ``stretch``. Without ``targets`` the second is ``None``.
        """
        shares = torch.stack([self.weights[group].sum() for _, group in self.groups])
        (tall, wide), group = self.groups[torch.multinomial(shares, 1, generator=generator)]
        size = round(tall * short_side / 2), round(wide * short_side / 2)
        chosen = torch.multinomial(self.weights[group], count, True, generator=generator)
        rgb, targets = [], []
        for index in (group[i] for i in chosen.tolist()):
            picture = self.pictures[index]
            crop = _random_crop(picture.shape[1:], size, smallest_crop, stretch, generator)
            rgb.append(_view(picture, crop, 2, size))
            if self.targets is not None:
                targets.append(_view(self.targets[index], crop, 1, size))
        rgb = torch.stack(rgb).div_(255).clamp_(0, 1)
        return rgb, torch.stack(targets) if targets else None


def as_seen(rgb: Tensor, degraded: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Luma ``(B, 1, h, w)`` and true chroma ``(B, 2, h, w)`` of RGB ``(B, 3, 2 h, 2 w)``.

    The luma is one random pixel parity, because that is what each quarter of the dilated network
    sees; the chroma is the mean over the parities. A share ``degraded`` of the lumas looks like
    old material, the others are clean.
    """
    luma = degrade(rgb, degraded, generator)
    row, column = torch.randint(2, (2,), generator=generator).tolist()
    return luma[..., row::2, column::2].contiguous(), F.avg_pool2d(rgb_to_chroma(rgb), 2)


class _CropSpec(NamedTuple):
    """A part of a picture on a grid of 2x2 pixels, on which its soft targets lie."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    mirrored: bool


def _random_crop(
    shape: Sequence[int],
    size: tuple[int, int],
    smallest_crop: float,
    most_stretch: float,
    generator: Generator,
) -> _CropSpec:
    scale, stretch, down, across, mirror = torch.rand(5, generator=generator).tolist()
    full_height, full_width = ((side + 1) // 2 for side in shape)
    aspect = size[1] / size[0] * most_stretch ** (2 * stretch - 1)
    height = min(full_height, full_width / aspect) * (1 - scale * (1 - smallest_crop))
    width = max(1, min(full_width, round(height * aspect)))
    height = max(1, min(full_height, round(height)))
    top = int(down * (full_height - height + 1))
    left = int(across * (full_width - width + 1))
    return _CropSpec((top, top + height), (left, left + width), mirror < 0.5)


def _view(planes: Tensor, crop: _CropSpec, unit: int, size: tuple[int, int]) -> Tensor:
    """What ``crop`` shows of ``planes``, which have ``unit`` pixels a step of its grid."""
    rows, columns = (slice(unit * start, unit * end) for start, end in crop[:2])
    part = planes[None, :, rows, columns].float()
    if crop.mirrored:
        part = part.flip(3)
    shape = [unit * side for side in size]
    return F.interpolate(part, shape, mode="bilinear", antialias=True)[0]
