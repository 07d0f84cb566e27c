"""Who is ejected, for how long, and how many at most."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mesh.resilience import Counts, Ejector, Health, Outliers
from mesh.resilience.ejection import NEVER
from mesh.telemetry import Meters

PATH = "/t.T/Do"


class Bench:
    """Some endpoints, and a clock that a test sets."""

    def __init__(self, endpoints: int, options: Outliers | None = None) -> None:
        self.now = 0.0
        self.meters = Meters()
        self.all = [Health(lambda: self.now) for _ in range(endpoints)]
        self.ejector = Ejector(options or Outliers(), Counts(self.meters))

    def fail(self, number: int, times: int = 1) -> None:
        for _ in range(times):
            self.all[number].breaker(PATH).failed(self.now)
            self.ejector.failed(self.all[number], self.all, self.now)

    def succeed(self, number: int, times: int = 1) -> None:
        for _ in range(times):
            self.all[number].breaker(PATH).answered()

    def wait(self, seconds: float) -> None:
        """Let time pass, and look whenever it is due."""
        until = self.now + seconds
        while self.ejector.due <= until:
            self.now = max(self.now, self.ejector.due)
            self.ejector.look(self.all, self.now)
        self.now = until

    @property
    def ejected(self) -> set[int]:
        return {number for number, health in enumerate(self.all) if health.ejected_until}


def test_five_failures_in_a_row_eject() -> None:
    """A success between them begins the row anew."""
    bench = Bench(4)
    bench.fail(0, times=4)
    bench.succeed(0)
    bench.fail(0, times=4)
    assert not bench.ejected
    bench.fail(0)
    assert bench.ejected == {0}
    assert bench.meters.counter("mesh.ejections").value == 1


def test_an_ejection_lasts_longer_each_time_up_to_a_bound() -> None:
    """5 s, 10 s, 15 s, and at most half a minute."""
    bench, lasted = Bench(4), []
    for _ in range(12):
        bench.fail(0, times=5)
        lasted.append(bench.all[0].ejected_until - bench.now)
        bench.now = bench.all[0].ejected_until  # no interval ends in which it behaves
        bench.ejector.look(bench.all, bench.now)
        bench.all[0].times_ejected = len(lasted)
    assert lasted[:3] == [5.0, 10.0, 15.0]
    assert lasted[-1] == 30.0


def test_an_ejection_is_forgiven_by_and_by() -> None:
    """An interval without a further one makes the next shorter; at last nothing is due."""
    bench = Bench(4)
    bench.fail(0, times=5)
    bench.wait(5.0)
    assert not bench.ejected
    bench.wait(5.0)
    assert bench.all[0].times_ejected == 0
    assert bench.ejector.due == NEVER


def test_the_only_endpoint_is_never_ejected() -> None:
    """There would be nobody to call."""
    bench = Bench(1)
    bench.fail(0, times=100)
    assert not bench.ejected


def test_ejection_can_be_switched_off() -> None:
    """A share of nothing is none."""
    bench = Bench(10, Outliers(max_percent=0))
    bench.fail(0, times=100)
    assert not bench.ejected


def test_one_of_two_may_be_ejected() -> None:
    """Though that is more than the share of many a setting."""
    bench = Bench(2, Outliers(max_percent=10))
    bench.fail(0, times=5)
    bench.fail(1, times=5)
    assert bench.ejected == {0}


def test_a_success_rate_far_below_the_others_ejects() -> None:
    """Though successes come between the failures."""
    bench = Bench(10)
    for _ in range(100):
        for number in range(10):
            bench.succeed(number, times=2)
        bench.fail(3)
    bench.wait(1.0)
    assert bench.ejected == {3}


def test_who_fails_more_than_half_of_the_time_is_ejected() -> None:
    """Two endpoints and ten calls are enough to tell."""
    bench = Bench(2)
    for _ in range(6):
        bench.succeed(1, times=2)
        bench.succeed(0)
        bench.fail(0, times=2)
    bench.wait(1.0)
    assert bench.ejected == {0}


def test_rates_that_are_alike_eject_nobody() -> None:
    """When all fail alike, the fault is not one endpoint's."""
    bench = Bench(10)
    for _ in range(100):
        for number in range(10):
            bench.succeed(number, times=2)
            bench.fail(number)
    bench.wait(1.0)
    assert not bench.ejected


def test_rates_of_few_calls_or_few_endpoints_are_not_compared() -> None:
    """They say nothing, unless most of them fail."""
    for endpoints, rounds in ((4, 100), (10, 30)):
        bench = Bench(endpoints)
        for _ in range(rounds):
            for number in range(endpoints):
                bench.succeed(number, times=2)
            bench.fail(0)
        bench.wait(1.0)
        assert not bench.ejected


def test_while_nothing_fails_nothing_is_due() -> None:
    """A healthy channel is never looked at."""
    bench = Bench(4)
    bench.succeed(0, times=1_000)
    assert bench.ejector.due == NEVER


@given(
    endpoints=st.integers(1, 30),
    percent=st.floats(0, 100),
    steps=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12), st.floats(0, 10))),
    seed=st.integers(0, 2**16),
)
def test_never_more_are_ejected_than_may_be(
    endpoints: int, percent: float, steps: list[tuple[int, int, float]], seed: int
) -> None:
    """One is always left, and each comes back when its time is over."""
    bench = Bench(endpoints, Outliers(max_percent=percent))
    luck = random.Random(seed)
    for number, times, seconds in steps:
        bench.fail(number % endpoints, times)
        bench.succeed(luck.randrange(endpoints))
        share = max(1, int(endpoints * percent / 100)) if percent else 0
        assert len(bench.ejected) <= min(share, endpoints - 1)
        bench.wait(seconds)
        for health in bench.all:
            assert not 0 < health.ejected_until <= bench.now
    bench.wait(40.0)
    assert not bench.ejected
