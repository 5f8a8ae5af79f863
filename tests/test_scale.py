"""The simulation of a cluster, by cases that can be worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from colorizationnet.benchmarks.scale import __main__ as table
from colorizationnet.benchmarks.scale.cluster import NOTHING, Archive, Cluster, Driver, Times
from colorizationnet.benchmarks.scale.measure import loss
from colorizationnet.benchmarks.scale.measured import Measured
from colorizationnet.benchmarks.scale.simulation import simulate
from colorizationnet.benchmarks.scale.storage import SharedStorage
from colorizationnet.benchmarks.scale.validation import compared
from hypothesis import given, settings
from hypothesis import strategies as st

TEN = Times((10.0,))
FREE = Driver()


def films(segments, count=1, **options):
    """So many films of as many segments, each ten seconds of work and 0.01 hours."""
    hours = segments / 100
    return Archive(count * hours, hours, 0.01, **{"work": TEN, **options})


def test_equal_segments_without_failures_take_whole_rounds():
    outcome = simulate(Cluster(10), FREE, films(100))
    assert outcome.wall == pytest.approx(100)
    assert outcome.efficiency == pytest.approx(1)
    assert (outcome.lost, outcome.failures, outcome.attempts) == (0, 0, 1)
    assert outcome.bottleneck == "computing"
    assert simulate(Cluster(10), FREE, films(101)).wall == pytest.approx(110)


def test_fewer_segments_than_workers_leave_workers_free():
    outcome = simulate(Cluster(40), FREE, films(10))
    assert outcome.wall == pytest.approx(10) and outcome.efficiency == pytest.approx(1 / 4)
    assert outcome.bottleneck == "last segments"


def test_workers_of_a_node_count_as_nodes_do():
    several, many = (simulate(c, FREE, films(40)) for c in (Cluster(5, workers=4), Cluster(20)))
    assert several.wall == many.wall == pytest.approx(20)


def test_overhead_and_start_cost_efficiency():
    outcome = simulate(Cluster(10, start=5), FREE, films(100, overhead=Times((2.5,))))
    assert outcome.wall == pytest.approx(5 + 10 * 12.5)
    assert outcome.efficiency == pytest.approx(1000 / (10 * 130))


def test_one_slow_node_takes_as_much_as_it_can():
    # Three nodes at speed 1 and one at 1/4: 40 s for its segment, meanwhile 12 on the others.
    outcome = simulate(Cluster(4), FREE, films(13), speeds=(1, 1, 1, 0.25))
    assert outcome.wall == pytest.approx(40) and outcome.bottleneck == "computing"
    # One more waits for a fast one.
    assert simulate(Cluster(4), FREE, films(14), speeds=(1, 1, 1, 0.24)).wall == pytest.approx(50)
    late = simulate(Cluster(4), FREE, films(4), speeds=(1, 1, 1, 0.25))
    assert late.wall == pytest.approx(40) and late.bottleneck == "last segments"


def test_a_shared_storage_bounds_all_together():
    # 100 segments of 1000 bytes at 500 bytes a second: 200 s, however many nodes there are.
    for nodes in (50, 100):
        outcome = simulate(Cluster(nodes, bandwidth=500), FREE, films(100, bytes_in=1000))
        assert outcome.wall == pytest.approx(200) and outcome.bottleneck == "storage"
        assert outcome.bytes_moved == pytest.approx(100_000)


def test_a_link_bounds_each_worker():
    outcome = simulate(Cluster(10, link=40), FREE, films(20, bytes_in=800))
    assert outcome.wall == pytest.approx(40)
    # Twice ten seconds of computing where the link is fast enough.
    assert simulate(Cluster(10, link=80), FREE, films(20, bytes_in=800)).wall == pytest.approx(20)


def test_joining_reads_and_writes_a_film_after_its_last_segment():
    driver, archive = Driver(join_rate=100), films(10, count=4, bytes_out=100)
    # Of four films in rounds of ten segments, each joined in ten seconds: only the last is seen.
    assert simulate(Cluster(10), driver, archive).wall == pytest.approx(50)
    # All segments at once: four joins, one after the other, or two at a time.
    assert simulate(Cluster(40), driver, archive).wall == pytest.approx(10 + 40)
    two = simulate(Cluster(40), replace(driver, joiners=2), archive)
    assert two.wall == pytest.approx(10 + 20) and two.bottleneck == "joining"
    # At 100 bytes a second 4000 bytes are written by the nodes, then 8000 moved by joining.
    slow = simulate(Cluster(40, bandwidth=100), Driver(), archive)
    assert slow.wall == pytest.approx(120) and slow.bytes_moved == pytest.approx(12_000)


def test_the_driver_hands_out_one_segment_after_another():
    outcome = simulate(Cluster(1000), Driver(plan=50, dispatch=0.5), films(200, overhead=NOTHING))
    assert outcome.wall == pytest.approx(2 * 50 + 200 * 0.5 + 10)  # two hours to be planned
    assert outcome.bottleneck == "driver"


def test_shots_are_taught_before_a_film_is_coloured():
    archive = films(100, shots=5, teach=Times((30.0,)))  # five shots an hour of one hour
    assert simulate(Cluster(10), FREE, archive).wall == pytest.approx(30 + 100)
    assert simulate(Cluster(5), FREE, archive).wall == pytest.approx(30 + 200)
    assert simulate(Cluster(2), FREE, archive).wall == pytest.approx(90 + 500)


def test_a_node_that_fails_costs_its_segment_and_its_absence():
    """One node, one failure: the sum of what it lost, its repair and the work."""
    cluster = Cluster(1, failures=20, notice=3, repair=17, start=1)
    for seed in range(20):
        outcome = simulate(cluster, FREE, films(10), seed)
        if outcome.failures:
            away = outcome.failures * (17 + 1)
            assert outcome.wall == pytest.approx(1 + 100 + outcome.lost + away)
            assert outcome.lost <= 10 * outcome.failures
    assert any(simulate(cluster, FREE, films(10), seed).failures for seed in range(20))


def test_failures_cost_what_renewal_theory_says():
    """A segment of s seconds at failures of rate r takes (exp(r s) - 1) / r, begun again each."""
    rate, seconds, count = 1 / 50, 10.0, 4000
    outcome = simulate(Cluster(1, failures=3600 * rate), FREE, films(count))
    expected = count * math.expm1(rate * seconds) / rate
    assert outcome.wall == pytest.approx(expected, rel=0.03)
    assert outcome.failures == pytest.approx(rate * expected, rel=0.1)
    assert outcome.lost == pytest.approx(expected - count * seconds, rel=0.1)
    assert outcome.attempts > 1


def test_a_segment_that_is_never_done_is_said():
    with pytest.raises(RuntimeError, match="so often that a segment is never done"):
        simulate(Cluster(1, failures=36_000), FREE, films(3))


def test_segments_in_a_row_are_as_the_single_ones(monkeypatch):
    from colorizationnet.benchmarks.scale import simulation

    times = Times.lognormal(np.random.default_rng(1).lognormal(2, 0.4, 50))
    cluster = Cluster(
        20, spread=0.1, failures=1, repair=60, notice=5, bandwidth=4000, link=400, start=10
    )
    archive = films(400, count=20, work=times, bytes_in=1000, bytes_out=500)
    single = simulate(cluster, Driver(dispatch=0.001), archive)
    monkeypatch.setattr(simulation, "MOST_BLOCKS", 2000)
    rows = simulate(cluster, Driver(dispatch=0.001), archive)
    assert (single.block, rows.block) == (1, 4)
    assert rows.wall == pytest.approx(single.wall, rel=0.02)
    assert rows.lost == pytest.approx(single.lost, rel=0.4)
    assert rows.useful == pytest.approx(single.useful, rel=0.01)


@settings(max_examples=50)
@given(
    st.integers(1, 8),
    st.integers(1, 60),
    st.integers(1, 3),
    st.floats(0, 5),
    st.sampled_from([math.inf, 100, 10_000]),
    st.integers(0, 1000),
)
def test_no_run_is_faster_than_its_resources(nodes, segments, count, overhead, bandwidth, seed):
    archive = films(segments, count, overhead=Times((overhead,)), bytes_in=100, bytes_out=10)
    cluster = Cluster(nodes, spread=0.2, failures=5, repair=10, bandwidth=bandwidth)
    speeds = cluster.speeds(np.random.default_rng(seed))
    outcome = simulate(cluster, Driver(plan=1, dispatch=0.01), archive, seed, speeds)
    total = count * segments
    assert outcome.wall >= total * (10 + overhead) / speeds.sum() * (1 - 1e-9)
    assert outcome.wall >= total * 130 / bandwidth * (1 - 1e-9)  # 110, and joining reads and writes
    assert outcome.useful == pytest.approx(10 * total)
    assert sum(outcome.phases.values()) == pytest.approx(outcome.wall)
    assert simulate(cluster, Driver(plan=1, dispatch=0.01), archive, seed, speeds) == outcome


def test_a_shared_storage_is_fair():
    storage = SharedStorage(bandwidth=100, link=80)
    storage.begin(0.0, 1, 400)  # alone at 80 a second
    storage.begin(1.0, 2, 100)  # then both at 50
    assert storage.next_end() == pytest.approx(3) and storage.end(3.0) == 2
    assert storage.left(3.0, 1) == pytest.approx(220)
    storage.begin(3.0, 3, 1000)
    storage.drop(4.0, 3)  # moved 50 of it
    assert storage.next_end() == pytest.approx(4 + 170 / 80)
    assert storage.end(storage.next_end()) == 1 and storage.next_end() == math.inf
    assert storage.moved == pytest.approx(550)


def test_times_are_drawn_from_what_was_seen():
    rng = np.random.default_rng(0)
    seen = Times((1.0, 2.0, 6.0))
    assert set(seen.draw(rng, 100)) == {1.0, 2.0, 6.0} and seen.mean == 3
    assert seen.scaled(2).mean == 6
    true = rng.lognormal(1, 0.5, 4000)
    fit = Times.lognormal(true)
    assert fit.mean == pytest.approx(math.exp(1 + 0.125), rel=0.05)
    assert fit.draw(rng, 4000).std() == pytest.approx(true.std(), rel=0.1)


MEASURED = Measured(
    machine="a machine of this test",
    date="2000-01-01",
    width=640,
    height=360,
    fps=25,
    frames=3600,
    segment_frames=900,
    one_piece=360.0,  # 90 s a segment
    segments={"a": [99.0, 101.0], "b": [100.0, 100.0]},
    bytes_in=4e6,
    bytes_out=8e6,
    join=2.0,
)


def test_a_measurement_is_read_as_it_was_written(tmp_path):
    MEASURED.write(tmp_path / "m.json")
    assert Measured.read(tmp_path / "m.json") == MEASURED


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 1}'])
def test_what_is_no_measurement_is_said(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ValueError, match=r"m\.json is no measurement .*; make one with"):
        Measured.read(tmp_path / "m.json")


def test_what_a_segment_took_is_work_and_overhead():
    archive = MEASURED.archive(100, 2)
    assert archive.work.seen == (89, 91, 90, 90) and archive.overhead.seen == (10,)
    assert (archive.bytes_in, archive.bytes_out, archive.films) == (1e6, 2e6, 50)
    assert archive.segments == 200  # of 36 s in two hours
    longer = MEASURED.archive(100, 2, segment_frames=1800)
    assert longer.work.mean == 180 and longer.overhead.mean == 10 and longer.segments == 100
    assert longer.bytes_out == 4e6


def test_the_table_says_what_it_assumes(tmp_path, capsys):
    replace(MEASURED, segments={"a": [100.0]}).write(tmp_path / "m.json")
    options = [
        "--nodes",
        "10",
        "--hours",
        "4",
        "--film-hours",
        "2",
        "--spread",
        "0",
        "--slow-share",
        "0",
    ]
    exact = ["--failures", "0", "--start", "0", "--plan", "0", "--dispatch", "0", "--price", "2"]
    table.main([str(tmp_path / "m.json"), *options, *exact, "--speed", "2"])
    text = capsys.readouterr().out
    assert "a machine of this test, 2000-01-01" in text and "joins films at 4e+06 bytes" in text
    assert "(measured)" in text and "(assumed)" in text and "(given)" in text
    # Two films of 200 segments of 50 s on ten nodes; 400 MB of the last joined at 4 MB/s.
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert cells[:3] == ["4 h", "10", "35.0 min"] and cells[4] == "86%"
    assert cells[-2:] == ["5.8", "11.67"]


def test_the_table_goes_between_the_marks_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n")
    table.put(page, "new")
    assert page.read_text() == ("before\n<!-- figures -->\nnew\n<!-- end of figures -->\nafter\n")
    page.write_text("nothing")
    with pytest.raises(ValueError, match=r"page\.md has no <!-- figures -->"):
        table.put(page, "new")


def test_what_a_kill_cost_is_read_from_the_report():
    """Task 1 was killed at 50, its first segment done at 40; task 2 ran on another node."""
    report = {
        "attempts": [[1, "a", 7, 10.0], [2, "b", 8, 12.0], [1, "b", 8, 60.0], [3, "b", 8, 90.0]],
        "pieces": [
            {"task": 1, "time": 40.0},
            {"task": 2, "time": 55.0},
            {"task": 1, "time": 85.0},
            {"task": 3, "time": 99.0},
        ],
    }
    assert loss(report, 50.0) == {"lost": 10, "begun_again": 1, "again_after": 10}
    assert loss(report, 9.0) == {"lost": 0, "begun_again": 0, "again_after": 0}


def test_the_simulation_stands_beside_what_was_measured():
    run = {"nodes": 2, "seconds": 215.0, "start": 10.0}
    killed = run | {"lost": 12.0, "begun_again": 1, "again_after": 3.0, "killed_at": 100.0}
    lines = list(compared(replace(MEASURED, segments={"a": [100.0]}, runs=[run, killed])))
    # Two rounds of 100 s after the start, and two seconds of joining.
    assert lines[2].endswith("1.76 times as fast as one piece without it; simulated 212.0 s")
    assert "after 100.0 s: 12.0 s of work lost, 1 tasks begun again, after 3.0 s" in lines[3]
