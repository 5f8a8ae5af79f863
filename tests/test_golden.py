"""The look of the shipped weights: a photo, a film's frame, a taught frame, held against pictures.

Made anew with ``python tests/test_golden.py`` when the look is meant to change; open them then.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from colorizationnet.options import EncodeOptions, TeachOptions
from colorizationnet.pipeline import (
    colorize_film,
    colorize_images,
    load_model,
    read_photo,
    teach,
)
from colorizationnet.video import read_frames
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "workflows" / "samples"
GOLDEN = Path(__file__).parent / "golden"
# Levels of 255. Another CPU or torch rounds otherwise, and teaching multiplies that.
MOST, MEAN = {"photo": 2, "film": 2, "taught": 12}, {"photo": 0.1, "film": 0.1, "taught": 1.0}


def photo(_):
    image = read_photo(SAMPLES / "colorizationnet_tower.png").image[None]
    return colorize_images(load_model(), image)[0]


def film(folder):
    colorize_film(
        SAMPLES / "colorizationnet_meadow.mp4",
        folder / "film.mkv",
        load_model(),
        encode=EncodeOptions("ffv1"),
        frames=range(20),
    )
    frame = next(read_frames(folder / "film.mkv", start_frame=15, frame_count=1))[0]
    return torch.from_numpy(frame).float() / 255


def taught(_):
    network = teach(
        load_model(),
        [read_photo(SAMPLES / "colorizationnet_meadow_frame.png").image],
        TeachOptions(steps=40),
    )
    frame = next(
        read_frames(SAMPLES / "colorizationnet_meadow.mp4", start_frame=60, frame_count=1)
    )[0]
    return colorize_images(network, torch.from_numpy(frame)[None].float() / 255)[0]


WAYS = {"photo": photo, "film": film, "taught": taught}


def levels(image):
    picture = Image.fromarray(image.mul(255).round().byte().numpy())
    picture.thumbnail((320, 320), Image.Resampling.BOX)
    return np.asarray(picture)


@pytest.mark.parametrize("name", WAYS)
def test_the_look_is_the_one_shown(name, tmp_path):
    found = levels(WAYS[name](tmp_path)).astype(float)
    golden = np.asarray(Image.open(GOLDEN / f"{name}.png")).astype(float)
    difference = np.abs(found - golden)
    assert difference.max() <= MOST[name] and difference.mean() <= MEAN[name]


if __name__ == "__main__":
    import tempfile

    GOLDEN.mkdir(exist_ok=True)
    for way in sys.argv[1:] or WAYS:
        with tempfile.TemporaryDirectory() as scratch:
            Image.fromarray(levels(WAYS[way](Path(scratch)))).save(GOLDEN / f"{way}.png")
