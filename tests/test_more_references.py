import torch
from colorizationnet.model.temporal.more_references import ReferenceAdvisor


def looks(*scenes: int) -> torch.Tensor:
    """A frame of each scene's picture, with grain."""
    frames = []
    for index, scene in enumerate(scenes):
        random = torch.Generator().manual_seed(scene)
        picture = torch.rand(1, 18, 32, generator=random)
        grain = torch.randn(1, 18, 32, generator=torch.Generator().manual_seed(1000 + index))
        frames.append((0.5 * picture + 0.25 + 0.005 * grain).clamp(0, 1))
    return torch.stack(frames)


def advised(scenes, confidence, references, count=1, batch=4):
    advisor = ReferenceAdvisor()
    known = torch.tensor(confidence).view(-1, 1, 1, 1)
    for luma, sure in zip(looks(*scenes).split(batch), known.split(batch), strict=True):
        advisor(luma, sure)
    return advisor.suggest(count, references)


def test_the_frame_that_tells_most_of_what_is_unknown_comes_first():
    scenes = [0] * 8 + [1] * 4 + [2] * 10
    confidence = [0.9] * 8 + [0.1] * 4 + [0.2] * 10
    (first, gain), (second, less) = advised(scenes, confidence, [3], count=2)
    assert 12 <= first < 22 and 8 <= second < 12
    assert gain > less > 0 and gain + less < 1


def test_what_is_well_known_needs_no_reference_however_different_it_looks():
    scenes = [0] * 6 + [1] * 20 + [2] * 6
    confidence = [0.9] * 6 + [0.99] * 20 + [0.1] * 6
    ((frame, _),) = advised(scenes, confidence, [0])
    assert frame >= 26


def test_a_reference_is_not_suggested_again():
    found = advised([0] * 6, [0.5] * 6, [2], count=6)
    frames = [frame for frame, _ in found]
    assert 2 not in frames and len(set(frames)) == len(frames)


def test_without_any_reference_the_frame_that_most_others_resemble_is_named():
    ((frame, _),) = advised([0] * 3 + [1] * 9, [0.0] * 12, [])
    assert frame >= 3


def test_no_frames_no_suggestions():
    assert ReferenceAdvisor().suggest(3, []) == []


def test_long_shots_are_thinned_out():
    advisor = ReferenceAdvisor()
    luma = looks(0, 1).repeat_interleave(600, 0)
    for part in luma.split(100):
        advisor(part, torch.full((len(part), 1, 1, 1), 0.3))
    assert len(advisor.frames.kept) <= 256
    ((frame, _),) = advisor.suggest(1, [100])
    assert 600 <= frame < 1200
