import pytest
import torch
from colorizationnet.model.colorizationnet.restraint import restrain


def chroma(*pixels):
    """Pixels (Cb, Cr) in a row as chroma ``(1, 2, 1, n)``."""
    return torch.tensor(pixels).T[None, :, None]


def test_a_tint_is_reduced_and_what_differs_from_it_stays():
    warm = chroma((-0.06, 0.04), (-0.10, 0.00), (-0.02, 0.08))  # mean (-0.06, 0.04)
    restrained = restrain(warm, 0.5)
    torch.testing.assert_close(restrained, warm - chroma((-0.03, 0.02)))


def test_grey_stays_grey_and_pale_keeps_its_hue():
    picture = chroma((0.0, 0.0), (-0.01, 0.01), (-0.2, 0.2))
    restrained = restrain(picture, 0.5)
    assert (restrained[..., 0] == 0).all()
    pale = restrained[0, :, 0, 1]
    assert pale[0] < 0 < pale[1] and pale.norm() < picture[0, :, 0, 1].norm()


def test_one_and_no_tint_leave_the_picture_and_its_batch_alone():
    random = torch.Generator().manual_seed(0)
    batch = 0.1 * torch.randn(3, 2, 5, 7, generator=random)
    assert torch.equal(restrain(batch, 1.0), batch)
    assert restrain(torch.zeros(1, 2, 4, 4), 0.3).eq(0).all()
    together = restrain(batch, 0.4)
    for index in range(3):
        alone = restrain(batch[index : index + 1], 0.4)
        assert torch.equal(together[index : index + 1], alone)


@pytest.mark.parametrize("tint", [0.0, 0.6])
def test_a_blue_sky_over_a_warm_scene_does_not_pale(tint):
    picture = chroma((0.08, -0.04), (-0.1, 0.08), (-0.1, 0.08), (-0.1, 0.08))
    sky = restrain(picture, tint)[0, :, 0, 0]
    assert sky[0] >= 0.08 and sky[1] <= -0.04
