import threading
import time

import pytest
import torch
from colorizationnet.model.parallel import (
    in_pieces,
    limited_threads,
    parallel_map,
    pieces_at_once,
    run_single_threaded,
)


@pytest.fixture(autouse=True)
def threads():
    """Four threads for torch, however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def pool_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("colorization")}


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_pieces(count):
    with limited_threads(count):
        assert parallel_map(lambda n: (time.sleep((7 - n) / 500), n)[1] ** 2, range(7)) == [
            n**2 for n in range(7)
        ]


def test_each_piece_has_one_thread():
    def work(_) -> int:
        torch.rand(1000, 1000).exp()  # enough for torch to use more
        return torch.get_num_threads()

    assert parallel_map(work, range(8)) == [1] * 8
    assert run_single_threaded(lambda: work(None)) == 1
    assert torch.get_num_threads() == 4


def test_in_pieces_only_the_pieces_are_shared_among_threads():
    both = threading.Barrier(2, timeout=10)  # passed only by two at a time
    for _ in range(2):
        with in_pieces(), in_pieces():
            assert torch.get_num_threads() == 1 and pieces_at_once() == 4
            parallel_map(lambda _: both.wait(), range(2))
            inside = parallel_map(lambda _: (torch.get_num_threads(), pieces_at_once()), range(4))
            assert inside == [(1, 1)] * 4
            with limited_threads(3):
                assert torch.get_num_threads() == 1 and pieces_at_once() == 3
        assert torch.get_num_threads() == pieces_at_once() == 4


def test_with_one_thread_the_caller_does_the_work():
    order = []
    with limited_threads(1):
        before = pool_threads()
        found = parallel_map(
            lambda n: (order.append(n), threading.current_thread())[1],
            range(3),
            lambda: order.append("check"),
        )
        assert pool_threads() == before
    assert found == [threading.current_thread()] * 3
    assert order == [0, "check", 1, "check", 2, "check"]


def test_work_within_work_is_done_in_its_thread():
    def outer(n: int) -> list[threading.Thread]:
        return [threading.current_thread(), run_single_threaded(threading.current_thread)]

    for outside, inside in parallel_map(outer, range(8)):
        assert outside is inside


@pytest.mark.parametrize("count", [1, 4])
def test_check_and_work_can_end_it(count):
    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    done = []
    with limited_threads(count), pytest.raises(Stop):
        parallel_map(lambda n: (time.sleep(0.01), done.append(n)), range(200), stop)
    assert 0 < len(done) < 200
    with limited_threads(count), pytest.raises(Stop):
        parallel_map(stop, range(3))


@pytest.mark.parametrize("count", [1, 4])
def test_the_callers_modes_hold_in_every_piece(count):
    with limited_threads(count):
        for mode in (torch.inference_mode(), torch.no_grad(), torch.enable_grad()):
            with mode:
                modes = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
                assert (
                    parallel_map(
                        lambda _: (torch.is_inference_mode_enabled(), torch.is_grad_enabled()),
                        range(4),
                    )
                    == [modes] * 4
                )


def test_pools_of_several_sizes_live_side_by_side():
    """Film takes fewer threads for the planes than for what is done in one of them."""
    both = threading.Barrier(2, timeout=10)

    def meet(_) -> int:
        both.wait()
        return torch.get_num_threads()

    def limited() -> list[int]:
        with limited_threads(3):
            return parallel_map(meet, [0])

    parallel_map(str, range(4))
    limited_first = threading.Thread(target=lambda: found.extend(limited()))
    found: list[int] = []
    limited_first.start()
    assert parallel_map(meet, [0]) == [1]
    limited_first.join()
    assert found == [1]
    threads = pool_threads()
    for _ in range(3):
        parallel_map(str, range(4))
        with limited_threads(3):
            parallel_map(str, range(4))
    assert pool_threads() == threads


def test_threads_are_limited_for_a_while():
    with limited_threads(2):
        assert torch.get_num_threads() == 2
        with limited_threads(3):
            assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 4
    with pytest.raises(KeyError), limited_threads(1):
        raise KeyError
    assert torch.get_num_threads() == 4
