"""What a user hears of how well a film's colours are known, and strokes as keyframes of a film."""

import json

import numpy as np
import pytest
import torch
from colorizationnet.headless.standin.clip import VideoFromFile
from colorizationnet.headless.standin.host import StandInHost
from colorizationnet.host import use
from colorizationnet.model import load_model, rgb_to_chroma
from colorizationnet.nodes import NODES
from colorizationnet.options import EncodeOptions, TeachOptions
from colorizationnet.pipeline import (
    ClipShots,
    FilmConfidence,
    Shot,
    colorize_film,
    find_shots,
    match_keyframes,
    probe,
    with_keyframes,
)
from colorizationnet.video import FrameWriter, read_frames

FRAMES, HEIGHT, WIDTH = 18, 64, 96
LOSSLESS = EncodeOptions("ffv1")
QUICK = TeachOptions(3)


def picture(seed):
    """A grey scene of soft blobs, in levels."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.random((1, 1, 8, 12), dtype=np.float32))
    fine = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic")
    return (fine[0, 0].clamp(0, 1).numpy() * 160 + 40).astype(np.uint8)


@pytest.fixture
def clip(tmp_path):
    """One shot: a still scene whose right half is another one in the last third."""
    path = tmp_path / "clip.mkv"
    frames = np.repeat(picture(1)[None], FRAMES, 0)
    frames[12:, :, 48:] = picture(2)[:, 48:]
    with FrameWriter(path, WIDTH, HEIGHT, 25, LOSSLESS) as writer:
        writer.write(np.repeat(frames[..., None], 3, axis=3))
    return path


def one_shot(*keyframes):
    return ClipShots(WIDTH, HEIGHT, FRAMES, (Shot(0, keyframes),))


def green(clip, frame):
    """That frame in green."""
    (image,) = next(read_frames(clip, start_frame=frame, frame_count=1, alpha=False))
    image = torch.from_numpy(image).float() / 255
    return (image + torch.tensor([-0.12, 0.1, -0.12])).clamp(0, 1)


def test_scores_and_maps_tell_what_no_keyframe_shows(clip, tmp_path):
    heard = FilmConfidence(FRAMES)
    colorize_film(
        clip,
        tmp_path / "film.mkv",
        load_model(),
        encode=LOSSLESS,
        shots=one_shot(3),
        keyframes=green(clip, 3)[None],
        teaching=QUICK,
        on_confidence=heard.hear,
    )
    scores = np.array(heard.scores)
    assert len(scores) == FRAMES and scores.argmax() == 3
    assert scores[:12].min() > scores[12:].max() + 0.1
    assert heard.mean == pytest.approx(scores.mean())
    maps = heard.pictures(probe(clip), range(FRAMES))
    assert maps.shape == (6, HEIGHT, WIDTH, 3) and 0 <= maps.min() <= maps.max() <= 1
    orange = maps[..., 0] - maps[..., 2]
    assert orange[:4].mean() < 0.5 * orange[-1, :, 60:].mean()
    assert orange[-1, :, :36].mean() < 0.5 * orange[-1, :, 60:].mean()
    assert heard.errors[3] == min(heard.errors) and 2 * max(heard.errors[:12]) < heard.errors[-1]
    assert f"off by {np.mean(heard.errors):.1f} levels" in heard.summary
    heard.write(tmp_path / "score.json", probe(clip))
    assert json.loads((tmp_path / "score.json").read_text()) == {
        "clip": "clip.mkv",
        "confidence": heard.scores,
        "error": heard.errors,
    }


def test_the_maps_of_a_part_are_of_that_part(clip):
    heard = FilmConfidence(4)
    for frame in range(4):
        known = torch.full((8, 12), 1.0 if frame < 3 else 0.0)
        heard.hear(frame, known, (1 - known) / 5)
    assert heard.errors == [0, 0, 0, pytest.approx(51)]
    early, late = (heard.pictures(probe(clip), range(k, k + 4))[-1] for k in (0, 12))
    assert (early[:, 60:] - late[:, 60:]).abs().mean() > 0.02
    assert torch.equal(early[:, :36], late[:, :36])


@pytest.fixture
def nodes(tmp_path):
    with use(StandInHost(tmp_path, tmp_path / "output", tmp_path / "models")):
        yield {node.GET_SCHEMA().node_id.removeprefix("ColorizationNet"): node for node in NODES}


def test_the_node_writes_the_score_when_it_is_asked(nodes, clip, tmp_path):
    model = nodes["LoadModel"].execute("colorizationnet.safetensors", "auto")[0]
    keyed = {"keyframes": green(clip, 3)[None], "shots": one_shot(3), "teach_steps": 3}

    def colorize(**given):
        given |= {"model": model, "video": VideoFromFile(clip), "stability": 0.5}
        given |= {"render_size": -1, "strength": 1.0, "saturation": 1.0}
        return nodes["ColorizeVideo"].execute(**{name: [value] for name, value in given.items()})

    colorize(score_prefix="scores/film", **keyed)
    (path,) = (tmp_path / "output" / "scores").iterdir()
    assert path.name == "film_00001_.json"
    assert len(json.loads(path.read_text())["confidence"]) == FRAMES
    with pytest.raises(ValueError, match="link those, or empty score_prefix"):
        colorize(score_prefix="film")
    with pytest.raises(ValueError, match="outside"):
        colorize(score_prefix="../film", **keyed)
    assert colorize().ui is None


def test_shot_keyframes_adds_the_frames_that_help_most(nodes, clip):
    execute, video = nodes["ShotKeyframes"].execute, VideoFromFile(clip)
    images, shots, *_ = execute(video, 1, 0.0).args
    (first,) = shots.keyframes
    more, extended, *_ = execute(video, 1, 0.0, more=1).args
    assert first in extended.keyframes and len(more) == len(extended.keyframes) == 2
    (added,) = set(extended.keyframes) - {first}
    assert (added >= 12) != (first >= 12)  # the scene that the first does not show
    assert torch.equal(more[extended.keyframes.index(first)], images[0])
    one, _ = match_keyframes(extended, [more[1]])  # by what it shows, and not all of them
    assert one.keyframes == extended.keyframes[1:]


def painted(clip, frame, rows, columns):
    """That frame, grey, with a red stroke."""
    (image,) = next(read_frames(clip, start_frame=frame, frame_count=1, alpha=False))
    image = torch.from_numpy(image).float() / 255
    image[rows, columns] = torch.tensor([0.8, 0.2, 0.2])
    return image


def test_strokes_colour_their_pixels_and_unpainted_keyframes_do_not_count(clip, tmp_path):
    rows, columns = slice(8, 56), slice(8, 28)
    keyframes = torch.stack([painted(clip, 2, rows, columns), painted(clip, 9, slice(0), slice(0))])
    colorize_film(
        clip,
        tmp_path / "film.mkv",
        load_model(),
        encode=LOSSLESS,
        shots=one_shot(2, 9),
        keyframes=keyframes,
        strokes=True,
        teaching=QUICK,
    )
    frames = np.concatenate(list(read_frames(tmp_path / "film.mkv", alpha=False)))
    chroma = rgb_to_chroma(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)
    stroke = rgb_to_chroma(torch.tensor([0.8, 0.2, 0.2]).view(3, 1, 1))
    inner = chroma[..., 14:50, 12:24]
    assert (inner[2] - stroke).abs().mean() < 0.03  # also where the frame is a keyframe in grey
    assert (inner[9] - stroke).abs().mean() < 0.06


def test_keyframes_on_which_nothing_is_painted_are_refused(clip, tmp_path):
    grey = painted(clip, 2, slice(0), slice(0))[None]
    with pytest.raises(ValueError, match="None of the keyframes has any colour"):
        colorize_film(
            clip,
            tmp_path / "film.mkv",
            load_model(),
            shots=with_keyframes(find_shots(clip), [2]),
            keyframes=grey,
            strokes=True,
        )
    assert not (tmp_path / "film.mkv").exists()
