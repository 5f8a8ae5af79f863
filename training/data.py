"""Photos in memory, and batches of them as a network sees them."""

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Generator, Tensor
from torchvision.transforms.functional import pil_to_tensor

from ..model.color import rgb_to_chroma
from .degrade import degrade

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
VALIDATION_SHARE = 0.06

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
        with Image.open(path) as image:
            picture = image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} is not a readable picture; remove or replace it.") from error
    if short_side and min(picture.size) > short_side:
        scale = short_side / min(picture.size)
        size = [round(scale * side) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BOX, reducing_gap=None)
    return pil_to_tensor(picture)


def split(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folder's photos for training and for validation.

    ``MANIFEST.tsv``, where there is one, says which files are crops of one photo (same
    ``source`` and ``origin``); they stay on the same side. The side depends on the photo's name
    alone, so it never changes when photos are added. Raises ``ValueError`` when a side is empty.
    """
    folder = Path(folder)
    manifest = folder / "MANIFEST.tsv"
    origins = {}
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                origins[row["file"]] = f"{row['source']}/{row['origin']}"
    training, validation = [], []
    for path in find_photos(folder):
        name = path.relative_to(folder).as_posix()
        digest = hashlib.sha256(origins.get(name, name).encode()).digest()
        held_out = int.from_bytes(digest[:4], "big") < VALIDATION_SHARE * 2**32
        (validation if held_out else training).append(path)
    if not training or not validation:
        raise ValueError(
            f"{folder} has too few photos to hold some out for validation; add different ones."
        )
    return training, validation


class Photos:
    """Photos kept in memory as uint8, and random batches of them.

    A batch shows whole or nearly whole pictures, because where the border lies and how a picture
    is composed are most of what a network with a small field of view can know.
    """

    def __init__(self, paths: list[Path], short_side: int) -> None:
        with ThreadPoolExecutor() as pool:
            self.pictures = list(pool.map(lambda path: read_photo(path, short_side), paths))
        aspects = torch.tensor([p.shape[2] / p.shape[1] for p in self.pictures]).log()
        targets = torch.tensor([width / height for height, width in SHAPES]).log()
        nearest = (aspects[:, None] - targets).abs().argmin(1)
        groups = [(nearest == i).nonzero().flatten().tolist() for i in range(len(SHAPES))]
        self.groups = [pair for pair in zip(SHAPES, groups, strict=True) if pair[1]]

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(
        self,
        count: int,
        short_side: int,
        generator: Generator,
        *,
        smallest_crop: float = 0.6,
        degraded: float = 0.5,
        device: str = "cpu",
    ) -> tuple[Tensor, Tensor]:
        """Luma ``(count, 1, h, w)`` and true chroma ``(count, 2, h, w)``.

        The luma is one random pixel parity of a picture twice as large, because that is what each
        quarter of the dilated network sees; the chroma is the mean over the parities. A share
        ``degraded`` of the lumas looks like old material, the others are clean.
        """
        weights = torch.tensor([float(len(group)) for _, group in self.groups])
        (tall, wide), group = self.groups[torch.multinomial(weights, 1, generator=generator)]
        height, width = round(tall * short_side), round(wide * short_side)
        chosen = torch.randint(len(group), (count,), generator=generator).tolist()
        rgb = torch.stack([
            _random_view(self.pictures[group[i]], 2 * height, 2 * width, smallest_crop, generator)
            for i in chosen
        ]).to(device)
        luma = degrade(rgb, degraded, generator)
        row, column = torch.randint(2, (2,), generator=generator).tolist()
        return luma[..., row::2, column::2].contiguous(), F.avg_pool2d(rgb_to_chroma(rgb), 2)


def _random_view(
    picture: Tensor, height: int, width: int, smallest_crop: float, generator: Generator
) -> Tensor:
    """A crop of about this aspect, mirrored half of the time, as float RGB of exactly this size."""
    scale, stretch, down, across, mirror = torch.rand(5, generator=generator).tolist()
    full_height, full_width = picture.shape[1:]
    aspect = width / height * 1.2 ** (2 * stretch - 1)
    crop_height = min(full_height, full_width / aspect) * (1 - scale * (1 - smallest_crop))
    crop_width = round(crop_height * aspect)
    crop_height = round(crop_height)
    top = int(down * (full_height - crop_height + 1))
    left = int(across * (full_width - crop_width + 1))
    crop = picture[:, top : top + crop_height, left : left + crop_width]
    if mirror < 0.5:
        crop = crop.flip(2)
    return F.interpolate(
        crop[None].float() / 255, (height, width), mode="bilinear", antialias=True
    ).clamp_(0, 1)[0]
