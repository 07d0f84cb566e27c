"""The benchmark suite of the mesh."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from loadtests.bench import Direction, Figure, Run, mesh
from loadtests.bench.mesh_load import closed_loop, one_by_one, open_loop, p99
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.servers import cpu_s

COUNTS = ("1 caller", "64 callers", "256 callers")
CARRIERS = ("stream", "unix", "tls")
FULL_RATE, BARE_RATE = [6.0, 12.0, 12.0], [10.0, 18.0, 18.0]
CPU, LATENCY, TAIL = [0.10, 0.05, 0.05], [0.9, 0.25, 0.25], [0.5] * 3
CHAIN, PAYLOADS, FAIRNESS = [6.0, 8.0], [1.0] * 12, [2.0] * 6


def short(pairs: int = 2) -> Run:
    """A run whose stretches are too short to mean anything."""
    run = Run(quick=True)
    run.stretch_s, run.pairs = 0.02, pairs
    return run


@pytest.fixture(scope="module")
def measured() -> list[Figure]:
    """The whole suite, once."""
    return list(mesh.figures(short()))


@pytest.mark.slow
def test_every_figure_is_measured(measured: list[Figure]) -> None:
    """Each bar over each carrier, in the order of the parts."""
    bars = [figure.bar for figure in measured if figure.bar is not None]

    assert bars == [*FULL_RATE, *BARE_RATE, *CPU * 2, *LATENCY, *TAIL, *CHAIN, *PAYLOADS, *FAIRNESS]
    assert len({figure.name for figure in measured}) == len(measured)


@pytest.mark.slow
def test_every_carrier_has_its_rates(measured: list[Figure]) -> None:
    """With one caller, with 64 and with 256, beside plain gRPC."""
    names = {figure.name for figure in measured if figure.value > 0}

    for path in ("plain", *(f"full, {carrier}" for carrier in CARRIERS)):
        assert {f"calls/s, {callers}, {path}" for callers in COUNTS} <= names
        assert f"CPU a call, both sides, {path}" in names


async def test_callers_wait_for_their_answers() -> None:
    """As many calls are under way as there are callers, and each is counted."""
    under_way, most, done = 0, 0, 0

    async def call() -> None:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done += 1

    flow = await closed_loop(call, os.getpid(), callers=7, seconds=0.01)

    assert most == 7
    assert done > 7
    assert flow.rate > 0
    assert flow.cpu_us > 0


async def test_every_caller_calls_at_least_once() -> None:
    """However short the stretch, or busy the machine: there is a rate."""
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1

    flow = await closed_loop(call, os.getpid(), callers=3, seconds=-1.0)

    assert calls == 3
    assert flow.rate > 0


async def test_one_caller_makes_one_call_at_a_time() -> None:
    """Each call has its own time."""
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)

    took = await one_by_one(call, 0.001)

    assert len(took) == calls > 0


async def test_calls_at_fixed_times_do_not_wait_for_one_another() -> None:
    """All are begun though none is answered."""
    begun, answer = 0, asyncio.Event()

    async def call() -> None:
        nonlocal begun
        begun += 1
        if begun == 5:
            answer.set()
        await answer.wait()

    assert len(await open_loop([call], rate=1_000, seconds=0.005)) == 5


async def test_the_clock_of_a_call_runs_from_its_scheduled_time() -> None:
    """A call that could not be begun in time was late already: omission is not rewarded."""
    begun = 0

    async def call() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            hold(0.006)  # beyond the times of all

    took = await open_loop([call], rate=1_000, seconds=0.003)

    assert len(took) == 3
    assert min(took) >= 0.004


async def test_calls_take_turns_over_the_callers() -> None:
    """The first call is the first caller's."""
    called: list[str] = []

    async def one() -> None:
        called.append("one")

    async def other() -> None:
        called.append("other")

    await open_loop([one, other], rate=1_000, seconds=0.004)

    assert called == ["one", "other", "one", "other"]


def hold(seconds: float) -> None:
    """Keep the processor busy."""
    until = cpu_s(os.getpid()) + seconds
    while cpu_s(os.getpid()) < until:
        pass


def test_a_percentile_is_of_all_calls() -> None:
    """One call in a hundred may be as slow as it likes."""
    assert p99([*range(1, 101), 1_000_000]) == 100


def test_the_processor_time_of_a_process_is_of_all_its_threads() -> None:
    """It grows with the work that is done."""
    before = cpu_s(os.getpid())

    hold(0.01)

    assert cpu_s(os.getpid()) - before >= 0.01


def rounds(**found: list[float]) -> Rounds[float]:
    """Rounds in which these values are found, after a round that does not count."""
    readings: dict[str, Iterator[float]] = {
        name: iter([1_000.0, *values]) for name, values in found.items()
    }
    run = Run()
    run.pairs = min(map(len, found.values()))
    return Rounds(run, {name: readings[name].__next__ for name in readings})


def test_a_round_measures_all_in_turn() -> None:
    """So that whatever the machine does meets all of them; the first round is for warming up."""
    order: list[str] = []
    run = short()

    def noted(name: str) -> float:
        order.append(name)
        return 1.0

    Rounds(run, {"peer": lambda: noted("peer"), "ours": lambda: noted("ours")})

    assert order == ["peer", "ours"] * 3


def test_a_ratio_is_of_the_same_round() -> None:
    """As in a pair: what was fast in the same moment counts together."""
    figure = rounds(ours=[2, 4, 6], peer=[1, 2, 3]).ratio(
        "x", "ours", "peer", of=float, against="peer"
    )

    assert (figure.value, figure.quartiles) == (2, (2, 2))


def test_one_stretch_serves_several_figures() -> None:
    """Reading one leaves it to the next."""
    found = rounds(ours=[2, 2], peer=[1, 1])

    first, second = (found.ratio("x", "ours", "peer", of=float, against="peer") for _ in range(2))

    assert first == second


def test_what_is_added_is_the_difference_within_a_round() -> None:
    """Judged by its worse quartile, like every absolute figure."""
    found = rounds(more=[10, 11, 12], less=[7, 8, 9])

    figure = found.added("x", "more", "less", of=float, unit="µs", bar=3.0)

    assert (figure.value, figure.holds, figure.direction) == (3, True, Direction.AT_MOST)


def test_a_difference_above_its_bar_on_a_machine_that_moved_is_noisy() -> None:
    """Nothing is claimed then."""
    found = rounds(more=[10, 15, 20], less=[6, 8, 12])

    assert found.added("x", "more", "less", of=float, unit="µs", bar=1.0).holds is None


def test_the_middle_leaves_out_the_first_round() -> None:
    """It was for warming up."""
    assert rounds(ours=[1, 2, 3]).middle("ours", float) == 2
