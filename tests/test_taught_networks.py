"""Nothing is taught twice: the same references, masks, steps and base give what was kept."""

import logging

import pytest
import torch
from colorizationnet.options import ColorOptions, TeachOptions
from colorizationnet.pipeline import (
    ClipShots,
    Shot,
    TaughtNetworks,
    colorize_film,
    load_keyframes,
    load_model,
    teach,
)
from video_clips import make_clip

STEPS = TeachOptions(steps=6)


@pytest.fixture
def reference():
    ramp = torch.linspace(0, 1, 48).expand(48, 48)
    return torch.stack([ramp, ramp.T, 1 - ramp], dim=-1)


def steps_of(kept, references, options=STEPS, network=None, **more):
    """How often a teaching reports, and what it gives."""
    calls = []
    network = network or load_model()
    taught = teach(
        network,
        references,
        options,
        kept=kept,
        on_progress=lambda *done: calls.append(done),
        **more,
    )
    return len(calls), taught


def test_the_same_is_found_again_by_another_process(tmp_path, reference):
    count, first = steps_of(TaughtNetworks(tmp_path / "kept"), [reference])
    again, second = steps_of(TaughtNetworks(tmp_path / "kept"), [reference])
    assert count == STEPS.steps and again == 1
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert second.metadata.items() >= first.metadata.items()


def test_another_reference_mask_seed_number_of_steps_or_base_is_taught_anew(tmp_path, reference):
    kept = TaughtNetworks(tmp_path)
    _, base = steps_of(kept, [reference])
    mask = torch.ones(48, 48)
    mask[:24] = 0
    others = [
        ([reference.flip(0)], {}),
        ([reference], {"masks": [mask]}),
        ([reference], {"options": TeachOptions(steps=6, seed=1)}),
        ([reference], {"options": TeachOptions(steps=7)}),
        ([reference], {"network": base}),
    ]
    for references, more in others:
        assert steps_of(kept, references, **more)[0] > 1
        assert steps_of(kept, references, **more)[0] == 1


def test_the_folder_stays_within_its_bound_and_the_oldest_used_goes_first(tmp_path, reference):
    references = [[reference], [reference.flip(0)], [reference.flip(1)]]
    steps_of(TaughtNetworks(tmp_path), references[0])
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    kept = TaughtNetworks(tmp_path, max_bytes=int(2.5 * size))
    steps_of(kept, references[1])
    steps_of(kept, references[0])  # used again, so the other one is older now
    steps_of(kept, references[2])
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= kept.max_bytes
    assert steps_of(kept, references[0])[0] == 1
    assert steps_of(kept, references[2])[0] == 1
    assert steps_of(kept, references[1])[0] > 1


def test_a_damaged_file_and_a_folder_that_cannot_be_written_only_cost_time(
    tmp_path, reference, caplog
):
    kept = TaughtNetworks(tmp_path / "kept")
    steps_of(kept, [reference])
    (file,) = kept.folder.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert steps_of(kept, [reference])[0] == STEPS.steps
    assert steps_of(kept, [reference])[0] == 1
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert steps_of(TaughtNetworks(tmp_path / "file" / "kept"), [reference])[0] == STEPS.steps
    assert "not kept" in caplog.text


def test_a_film_teaches_only_the_shots_whose_keyframes_changed(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", "-vf", "hue=s=0", size="96x64", rate="10")
    shots = ClipShots(96, 64, 10, (Shot(0, (2,)), Shot(5, (7,))))
    grey = load_keyframes(clip, shots)
    keyframes = torch.stack([grey[..., 0], grey[..., 1] * 0.5, grey[..., 2] * 0.2], dim=-1)
    kept = TaughtNetworks(tmp_path / "kept")

    def taught(name, keyframes, color=ColorOptions()):  # noqa: B008, frozen
        before = len(list(kept.folder.glob("*")))
        seen = []
        colorize_film(
            clip,
            tmp_path / f"{name}.mkv",
            load_model(),
            color,
            shots=shots,
            keyframes=keyframes,
            teaching=STEPS,
            kept=kept,
            on_progress=lambda done, total, preview=None: seen.append((done, total, preview)),
        )
        assert seen[-1][0] == seen[-1][1] == 10 + 2 * STEPS.steps
        assert all(one[0] <= other[0] for one, other in zip(seen, seen[1:], strict=False))
        assert seen[0][2]().shape[-1] == 3  # the keyframe that is learned
        return len(list(kept.folder.glob("*"))) - before

    assert taught("first", keyframes) == 2
    assert taught("saturated", keyframes, ColorOptions(saturation=1.5)) == 0
    changed = keyframes.clone()
    changed[1, ..., 2] *= 0.5
    assert taught("changed", changed) == 1
