"""Teach ColorizationNet on the stand-in host."""

import pytest
import torch
from colorizationnet.host import current
from colorizationnet.model import load_model
from node_classes import node


def test_a_taught_model_is_kept_and_listed(model):
    reference = torch.rand(1, 24, 32, 3)
    taught = node("Teach").execute(model, reference, False, 3, filename="shot").args[0]
    assert "shot.safetensors" in current().model_names()
    kept = load_model(current().model_path("shot.safetensors"))
    assert torch.equal(kept.conv4.weight, taught.network.conv4.weight.cpu())
    assert kept.metadata["base"] == "own.safetensors"
    # The same again is no conflict, something else under the same name is.
    node("Teach").execute(model, reference, False, 3, filename="shot")
    with pytest.raises(FileExistsError, match="shot.safetensors"):
        node("Teach").execute(model, reference.flip(2), False, 3, filename="shot")


def test_a_changed_mask_under_a_kept_name_is_a_conflict(model):
    reference, mask = torch.rand(1, 24, 32, 3), torch.ones(1, 24, 32)
    teach = node("Teach").execute
    teach(model, reference, False, 2, mask=mask, filename="shot")
    teach(model, reference, False, 2, mask=mask, filename="shot")
    other = mask.clone()
    other[:, :12] = 0
    for changed in ({"mask": other}, {"mask": None}):
        with pytest.raises(FileExistsError, match="shot.safetensors"):
            teach(model, reference, False, 2, filename="shot", **changed)
    with pytest.raises(FileExistsError, match="shot.safetensors"):
        teach(model, reference, True, 2, mask=mask, filename="shot")


def test_the_name_of_the_shipped_weights_cannot_be_taken(model):
    for name in ("colorizationnet", "ColorizationNet.safetensors"):
        with pytest.raises(ValueError, match="shipped weights"):
            node("Teach").execute(model, torch.rand(1, 24, 32, 3), False, 2, filename=name)


@pytest.mark.parametrize("strokes", [False, True])
def test_masks_that_cannot_be_meant_are_refused(model, strokes):
    reference = torch.rand(1, 24, 32, 3)
    for mask, sentence in (
        (torch.zeros(1, 64, 64), r"mask \(64x64\) is empty.*unlink"),
        (torch.ones(1, 64, 64), "mask is 64x64 and the references are 32x24; unlink"),
    ):
        with pytest.raises(ValueError, match=sentence):
            node("Teach").execute(model, reference, strokes, 2, mask=mask)


def test_teaching_is_reason_enough_to_run():
    schema = node("Teach").GET_SCHEMA()
    assert schema.is_output_node
    assert [hidden.name for hidden in schema.hidden] == ["prompt", "extra_pnginfo"]


def test_a_taught_model_stays_in_the_models_folder(model):
    with pytest.raises(ValueError, match="plain file name"):
        node("Teach").execute(model, torch.rand(1, 24, 32, 3), False, 3, filename="../shot")
