import pytest
import torch
from colorizationnet.model.clean import EDGE, REACH, clean


def two_surfaces(height: int = 24, width: int = 36) -> tuple[torch.Tensor, torch.Tensor]:
    """A dark left and a bright right half, and noisy chroma with a mean of its own in each."""
    luma = torch.full((1, 1, height, width), 0.3)
    luma[..., width // 2 :] = 0.7
    noise = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(0))
    chroma = 0.03 * noise
    chroma[:, 0, :, : width // 2] += 0.1
    chroma[:, 1, :, width // 2 :] += 0.1
    return luma, chroma


def exact(chroma: torch.Tensor, luma: torch.Tensor) -> torch.Tensor:
    """The weighted least squares by a dense solver, neighbour by neighbour."""
    height, width = luma.shape[2:]
    fidelity = 1 / (REACH * min(height, width)) ** 2
    system = fidelity * torch.eye(height * width, dtype=torch.float64)
    tones = luma.double().flatten()
    for i in range(height * width):
        neighbours = [i + 1] if (i + 1) % width else []
        neighbours += [i + width] if i + width < height * width else []
        for j in neighbours:
            weight = torch.exp(-(tones[i] - tones[j]).abs() / EDGE)
            system[i, i] += weight
            system[j, j] += weight
            system[i, j] -= weight
            system[j, i] -= weight
    right = fidelity * chroma.double().flatten(2)[0].T
    return torch.linalg.solve(system, right).T.view(chroma.shape).float()


def test_a_surface_gets_one_colour_and_its_neighbour_another():
    luma, chroma = two_surfaces()
    cleaned = clean(chroma, luma)
    for half in (slice(0, 18), slice(18, 36)):
        before, after = chroma[..., half], cleaned[..., half]
        assert (after.std((2, 3)) < 0.15 * before.std((2, 3))).all()
        torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)), atol=1e-3, rtol=0)


def test_is_the_weighted_least_squares_solution():
    luma, chroma = two_surfaces(16, 20)
    luma = luma + 0.02 * torch.rand(luma.shape, generator=torch.Generator().manual_seed(1))
    difference = clean(chroma, luma) - exact(chroma, luma)
    assert difference.square().mean().sqrt() < 0.03 * chroma.square().mean().sqrt()


def test_one_chroma_everywhere_stays_as_it_is():
    luma = torch.rand(2, 1, 20, 30, generator=torch.Generator().manual_seed(2))
    chroma = torch.tensor([0.1, -0.05]).view(1, 2, 1, 1).expand(2, 2, 20, 30)
    torch.testing.assert_close(clean(chroma, luma), chroma, atol=1e-6, rtol=0)


def test_a_batch_gives_what_its_pictures_give_one_by_one():
    random = torch.Generator().manual_seed(3)
    luma = torch.rand(3, 1, 17, 23, generator=random)
    chroma = 0.1 * torch.randn(3, 2, 17, 23, generator=random)
    together = clean(chroma, luma)
    for index in range(3):
        alone = clean(chroma[index : index + 1], luma[index : index + 1])
        assert torch.equal(together[index : index + 1], alone)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (300, 7)])
def test_any_size_and_its_input_is_left_alone(size):
    random = torch.Generator().manual_seed(4)
    luma, chroma = torch.rand(1, 1, *size, generator=random), torch.rand(1, 2, *size)
    before = luma.clone(), chroma.clone()
    cleaned = clean(chroma, luma)
    assert cleaned.shape == chroma.shape and cleaned.isfinite().all()
    assert cleaned.min() >= chroma.min() - 1e-2 and cleaned.max() <= chroma.max() + 1e-2
    assert torch.equal(luma, before[0]) and torch.equal(chroma, before[1])
