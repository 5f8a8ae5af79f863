"""The engine gives the plain network's numbers."""

import pytest
import torch
from colorizationnet.model import ColorizationNet
from colorizationnet.model.engine import Engine
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

SIDES = st.integers(1, 70)


def network(seed=0):
    torch.manual_seed(seed)
    return ColorizationNet().eval().requires_grad_(False)


def undilated(net, x):
    for conv in list(net.children())[:3]:
        x = conv2d(x, conv.weight, conv.bias, padding=2).relu()
    return conv2d(x, net.conv4.weight, net.conv4.bias, padding=2).sigmoid()


def test_the_network_is_the_one_agreed():
    net = network()
    assert sum(weight.numel() for weight in net.parameters()) == 318_659
    assert [tuple(conv.weight.shape) for conv in net.children()] == [
        (64, 1, 5, 5),
        (64, 64, 5, 5),
        (128, 64, 5, 5),
        (3, 128, 5, 5),
    ]
    luma = torch.rand(1, 1, 80, 80)
    changed = luma.clone()
    changed[..., 40, 40] = 1 - changed[..., 40, 40]
    rows, columns = (net(luma) - net(changed)).abs().amax((0, 1)).nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 56, 24, 56)


@settings(max_examples=20, deadline=None)
@given(height=SIDES, width=SIDES, batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_full_equals_the_plain_network(height, width, batch, seed):
    net = network(seed)
    luma = torch.rand(batch, 1, height, width)
    assert (Engine(net).full(luma) - net(luma)).abs().max() < 1e-5


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 150), whole=st.booleans())
def test_tiles_do_not_show(height, width, whole):
    net = network()
    luma = torch.rand(1, 1, height, width)
    engine = Engine(net, memory=1)
    found = engine.full(luma) if whole else engine.parity(luma)
    expected = net(luma) if whole else undilated(net, luma)
    assert (found - expected).abs().max() < 1e-5


@settings(max_examples=10, deadline=None)
@given(height=SIDES, width=SIDES)
def test_parity_is_the_network_without_dilation(height, width):
    net = network()
    luma = torch.rand(1, 1, height, width)
    assert (Engine(net).parity(luma) - undilated(net, luma)).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_stays_near(dtype):
    net = network()
    luma = torch.rand(1, 1, 48, 64)
    assert (Engine(net, dtype=dtype).full(luma) - net(luma)).abs().max() < 1.5 / 255


def test_same_input_same_output():
    luma = torch.rand(2, 1, 61, 47)
    assert torch.equal(Engine(network()).full(luma), Engine(network()).full(luma))
