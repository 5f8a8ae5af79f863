"""The engine gives the plain network's numbers."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from colorizationnet.model import ColorizationNet
from colorizationnet.model.colorizationnet.engine import Engine, choose_dtype, memory_used
from colorizationnet.model.parallel import parallel_map
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
    assert (Engine(net.layers).full(luma) - net(luma)).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(3, 5), (61, 90)])
def test_it_does_without_packed_convolutions(size, monkeypatch):
    """As on processors and in builds of torch that have none."""
    net, luma = network(), torch.rand(1, 1, *size)
    packed = Engine(net.layers).full(luma)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    found = Engine(net.layers).full(luma)
    assert (found - net(luma)).abs().max() < 1e-5
    assert (found - packed).abs().max() < 1e-5


@torch.no_grad()
def test_weights_that_have_changed_count():
    net, luma = network(), torch.rand(1, 1, 20, 30)
    for change in (
        lambda: net.conv2.weight.mul_(0.5),
        lambda: net.load_state_dict(network(1).state_dict()),
        lambda: setattr(net.conv3, "bias", torch.nn.Parameter(torch.rand(128))),
    ):
        before = Engine(net.layers).full(luma)
        assert (before - net(luma)).abs().max() < 1e-5
        change()
        after = Engine(net.layers).full(luma)
        assert (after - net(luma)).abs().max() < 1e-5
        assert (after - before).abs().max() > 1e-3


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_strong_weights_and_hard_edges_stay_exact(gain):
    """At a gain of 3 the last layer's sums reach 5, where colours saturate."""
    net = network(3)
    for conv in net.children():
        conv.weight.mul_(gain)
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(81.0), indexing="ij")
    rings = (((rows - 20) ** 2 + (columns - 40) ** 2).sqrt() % 20 > 10).float()
    for luma in (rings, rings * 0.02 + 0.9, (rows * columns / 4500).clamp(0, 1)):
        expected = copy.deepcopy(net).double()(luma[None, None].double())
        assert (Engine(net.layers).full(luma[None, None]) - expected).abs().max() < 1e-5


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 150), whole=st.booleans())
def test_tiles_do_not_show(height, width, whole):
    net = network()
    luma = torch.rand(1, 1, height, width)
    engine = Engine(net.layers, memory=1)
    found = engine.full(luma) if whole else engine.parity(luma)
    expected = net(luma) if whole else undilated(net, luma)
    assert (found - expected).abs().max() < 1e-5


@settings(max_examples=10, deadline=None)
@given(height=SIDES, width=SIDES)
def test_parity_is_the_network_without_dilation(height, width):
    net = network()
    luma = torch.rand(1, 1, height, width)
    assert (Engine(net.layers).parity(luma) - undilated(net, luma)).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_stays_near(dtype):
    net = network()
    luma = torch.rand(1, 1, 48, 64)
    assert (Engine(net.layers, dtype=dtype).full(luma) - net(luma)).abs().max() < 1.5 / 255


def test_a_larger_batch_than_goes_at_once(monkeypatch):
    monkeypatch.setattr("colorizationnet.model.colorizationnet.engine.LARGEST_BATCH", 2)
    net = network()
    luma = torch.rand(5, 1, 20, 30)
    assert (Engine(net.layers).full(luma) - net(luma)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float32, (200, 300)), (torch.bfloat16, (60, 100))]
)
def test_out_of_memory_halves_and_goes_on(dtype, size):
    engine = Engine(network().layers, dtype=dtype)
    luma = torch.rand(3, 1, *size)
    expected = engine.full(luma)
    backend, sizes = engine.backend, []

    class Scarce:
        bytes_per_pixel = backend.bytes_per_pixel

        def __call__(self, seen):
            sizes.append(seen.numel())
            if seen.numel() > 4000:
                raise RuntimeError("MPS backend out of memory")
            return backend(seen)

    engine.backend = Scarce()
    assert (engine.full(luma) - expected).abs().max() < (1e-5 if dtype == torch.float32 else 1e-2)
    assert max(sizes) > 4000
    sizes.clear()
    engine.full(luma)
    assert max(sizes) <= 4000


def test_no_memory_at_all_is_an_error():
    engine = Engine(network().layers)

    def fail(seen):
        raise RuntimeError("not enough memory: you tried to allocate 1 byte")

    fail.bytes_per_pixel = 1
    engine.backend = fail
    with pytest.raises(RuntimeError, match="not enough memory"):
        engine.full(torch.rand(1, 1, 20, 20))


def test_other_faults_are_not_hidden():
    engine = Engine(network().layers)

    def fail(seen):
        raise RuntimeError("device lost")

    fail.bytes_per_pixel = 1
    engine.backend = fail
    with pytest.raises(RuntimeError, match="device lost"):
        engine.full(torch.rand(1, 1, 20, 20))


@pytest.mark.parametrize("shape", [(8, 200, 300), (1, 2000, 30), (3, 700, 700)])
def test_the_work_fits_the_memory_given(shape):
    memory = 40_000_000
    engine = Engine(network().layers, dtype=torch.bfloat16, memory=memory)
    seen = []

    class Record:
        bytes_per_pixel = engine.backend.bytes_per_pixel

        def __call__(self, luma):
            seen.append(luma.numel() * self.bytes_per_pixel)
            return torch.zeros(len(luma), 3, *luma.shape[2:])

    engine.backend = Record()
    engine.full(torch.zeros(shape[0], 1, *shape[1:]))
    assert max(seen) <= memory


def test_a_host_is_told_what_the_network_takes():
    one = memory_used(1, 224, 398, torch.float16)
    assert 10_000_000 < one < 100_000_000
    assert memory_used(8, 224, 398, torch.float16) == 8 * one
    assert memory_used(1, 224, 398, torch.float32) > 1.5 * one
    whole, frame = memory_used(1, 16384, 16384, torch.float16), 16384 * 16384 * 16
    assert frame < whole < frame + 1_000_000_000


def test_a_check_can_end_the_work():
    class Cancelled(Exception):
        pass

    def check():
        raise Cancelled

    with pytest.raises(Cancelled):
        Engine(network().layers).full(torch.rand(1, 1, 600, 600), check)


def test_threads_keep_their_number():
    before = torch.get_num_threads()
    Engine(network().layers).full(torch.rand(1, 1, 40, 40))
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == before


def test_same_input_same_output():
    luma = torch.rand(2, 1, 61, 47)
    assert torch.equal(Engine(network().layers).full(luma), Engine(network().layers).full(luma))


def test_each_piece_has_one_thread():
    before, seen = torch.get_num_threads(), []

    def work(_) -> None:
        torch.rand(1000, 1000).exp()  # enough for torch to spread
        seen.append(torch.get_num_threads())

    parallel_map(work, range(4))
    assert seen == [1] * 4 and torch.get_num_threads() == before


def test_auto_is_float32_on_every_cpu(monkeypatch):
    for query in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, query, lambda: True, raising=False)
    assert choose_dtype("auto", torch.device("cpu")) == torch.float32
