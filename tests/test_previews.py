"""Whoever looks on is shown a small picture, made only when it is asked for."""

import torch
from colorizationnet.model import ColorizationNet
from colorizationnet.options import ColorOptions
from colorizationnet.pipeline import colorize_film, colorize_images, load_frames, stabilize_images
from torch.nn.functional import interpolate
from video_clips import make_clip


def check_preview(preview, image):
    """Whether it shows ``image`` ``(H, W, 3)``, with not all of its pixels."""
    assert preview.dtype == torch.float32 and preview.shape[1] <= 384
    assert preview.min() >= 0 and preview.max() <= 1
    small, large = (
        interpolate(picture.permute(2, 0, 1)[None], (6, 8), mode="area")
        for picture in (preview, image)
    )
    assert (small - large).abs().max() < 0.03


def smooth(count, height, width):
    torch.manual_seed(0)
    corners = torch.rand(count, 3, 4, 5)
    large = interpolate(corners, (height, width), mode="bilinear", align_corners=True)
    return large.permute(0, 2, 3, 1)


def test_pictures_are_shown_small():
    images, shown = smooth(2, 1200, 1900), []
    network = ColorizationNet().eval().requires_grad_(False)
    result = colorize_images(
        network,
        images,
        ColorOptions(render_size=16),
        on_progress=lambda done, total, preview: shown.append(preview()),
    )
    for preview, image in zip(shown, result, strict=True):
        check_preview(preview, image)


def test_steadied_frames_are_shown_small():
    images, shown = smooth(3, 400, 900).half(), []
    frames = list(
        stabilize_images([images], on_progress=lambda done, total, preview: shown.append(preview()))
    )
    for preview, image in zip(shown, frames, strict=True):
        check_preview(preview, image.float())


def test_clips_are_shown_small(tmp_path):
    clip, shown = make_clip(tmp_path / "a.mp4", size="1600x900", frames=3), []
    loaded = load_frames(
        clip, batch_size=2, on_progress=lambda done, total, preview: shown.append(preview())
    )
    for preview, batch in zip(shown, loaded.batches, strict=True):
        check_preview(preview, batch[-1])
    shown.clear()
    network = ColorizationNet().eval().requires_grad_(False)
    colorize_film(
        clip,
        tmp_path / "b.mp4",
        network,
        ColorOptions(saturation=0.0),
        on_progress=lambda done, total, preview: shown.append(preview()),
    )
    assert shown and all(preview.shape == (216, 384, 3) for preview in shown)
