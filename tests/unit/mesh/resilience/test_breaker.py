"""The breaker, against the formula worked out over a plain list of what happened."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mesh.resilience import Breaker, Health
from mesh.resilience.health import FLOOR, MAX_METHODS, PASS_EVERY_S, K
from mesh.resilience.window import BUCKET_S, BUCKETS, WINDOW_S, Window

PATH = "/t.T/Do"


class Bench:
    """A breaker with a clock and with luck that a test sets."""

    def __init__(self, *, refuses: bool = True) -> None:
        self.now = 0.0
        self.luck = 0.0
        self.health = Health(lambda: self.now, lambda: self.luck, refuses=refuses)

    @property
    def breaker(self) -> Breaker:
        return self.health.breaker(PATH)

    def calls(self, *, passed: int = 0, failed: int = 0) -> None:
        for _ in range(passed):
            self.breaker.answered()
        for _ in range(failed):
            self.breaker.failed(self.now)

    def admits(self) -> bool:
        return self.health.admits(PATH, self.now)


def test_while_all_is_well_every_call_is_sent() -> None:
    """However many there are; nothing is looked at closely."""
    bench = Bench()
    bench.calls(passed=10_000)
    assert bench.admits()
    assert not bench.health.troubled


def test_a_few_failures_refuse_nothing() -> None:
    """Up to the floor, though nothing was ever accepted."""
    bench = Bench()
    bench.calls(failed=FLOOR)
    assert all(bench.admits() for _ in range(100))


def test_a_third_of_failures_refuses_nothing() -> None:
    """K requests for each accept are let through."""
    bench = Bench()
    bench.calls(failed=1)
    bench.calls(passed=200, failed=99)
    assert all(bench.admits() for _ in range(100))


def test_where_all_calls_fail_one_a_second_is_let_through() -> None:
    """That finds out when things are better."""
    bench = Bench()
    bench.calls(failed=1_000)
    let_through = 0
    for _ in range(500):
        if bench.admits():
            let_through += 1
            bench.calls(failed=1)
        bench.now += PASS_EVERY_S / 50
    assert let_through == 10


def test_calls_that_succeed_again_open_the_way() -> None:
    """A window later nothing is refused, and nothing looked at."""
    bench = Bench()
    bench.calls(failed=100)
    bench.now += WINDOW_S + BUCKET_S
    assert bench.admits()
    assert not bench.health.troubled


def test_what_was_well_before_the_first_failure_counts() -> None:
    """As evenly spread: a burst of failures in a busy method refuses nothing."""
    bench = Bench()
    bench.calls()
    bench.breaker.answered()
    bench.now = 100.0
    bench.calls(passed=100_000)
    bench.calls(failed=2_000)
    assert all(bench.admits() for _ in range(100))
    bench.calls(failed=100_000)
    assert [bench.admits() for _ in range(100)].count(True) == 1


def test_a_breaker_that_is_off_counts_and_refuses_nothing() -> None:
    """So that ejection and the counts go on."""
    bench = Bench(refuses=False)
    bench.calls(failed=1_000)
    assert all(bench.admits() for _ in range(100))


def test_methods_have_breakers_of_their_own_up_to_a_bound() -> None:
    """The methods beyond it share one."""
    bench = Bench()
    for number in range(MAX_METHODS + 100):
        bench.health.breaker(f"/t.T/M{number}")
    assert len(bench.health._breakers) == MAX_METHODS + 1
    assert bench.health.breaker("/t.T/Late") is bench.health.breaker("/t.T/Later")
    assert bench.health.breaker("/t.T/M1") is not bench.health.breaker("/t.T/M2")


@pytest.mark.parametrize("capacity", [10, 40, 100, 200])
def test_a_server_in_trouble_is_asked_for_little_more_than_it_can(capacity: int) -> None:
    """K times what it accepts, where it is asked 200 times a second; all, where it can do that."""
    bench, luck, sent = Bench(), random.Random(7), 0
    for second in range(60):
        left = capacity
        for _ in range(200):
            bench.now += 0.005
            bench.luck = luck.random()
            if bench.admits():
                bench.calls(passed=left > 0, failed=left <= 0)
                left -= 1
                sent += second >= 30
    assert min(200, K * capacity) * 0.9 <= sent / 30 <= min(200, K * capacity) * 1.2


class BreakerModel(RuleBasedStateMachine):
    """Whatever happens in whatever order, the formula is that over the last ten seconds.

    What succeeds while nobody watches has no time: at the next failure it counts as if it
    had been spread over the time since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.happened: list[tuple[int, bool]] = []
        self.untimed, self.since = 0, self.bench.now
        self.admitted_at = -PASS_EVERY_S
        self.fail()

    @property
    def bucket(self) -> int:
        return int(self.bench.now / BUCKET_S)

    @property
    def is_watched(self) -> bool:
        return self.bench.health.troubled > 0

    @rule()
    def succeed(self) -> None:
        if self.is_watched:
            self.happened.append((self.bucket, True))
        else:
            self.untimed += 1
        self.bench.calls(passed=1)

    @rule(times=st.integers(1, 20))
    def fail(self, times: int = 1) -> None:
        if not self.is_watched:
            share = min(1.0, WINDOW_S / max(self.bench.now - self.since, 1e-9))
            self.happened = [(self.bucket, True)] * int(self.untimed * share)
        self.bench.calls(failed=times)
        self.happened += [(self.bucket, False)] * times

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.bench.now += seconds

    @rule(luck=st.floats(0, 1, exclude_max=True))
    def ask(self, luck: float) -> None:
        self.bench.luck = luck
        if not self.is_watched:
            assert self.bench.admits()
            return
        recent = [is_well for at, is_well in self.happened if at > self.bucket - BUCKETS]
        excess = len(recent) - FLOOR - K * sum(recent)
        is_due = self.bench.now - self.admitted_at >= PASS_EVERY_S
        expected = excess <= 0 or is_due or luck >= excess / (len(recent) + 1)
        assert self.bench.admits() is expected
        if all(recent):
            assert not self.is_watched
            self.untimed, self.since = 0, self.bench.now
        elif not expected:
            self.happened.append((self.bucket, False))
        elif excess > 0:
            self.admitted_at = self.bench.now

    @invariant()
    def nothing_is_watched_without_a_failure(self) -> None:
        assert self.bench.health.troubled <= any(not is_well for _, is_well in self.happened)


TestBreakerModel = BreakerModel.TestCase
TestBreakerModel.settings = settings(max_examples=100, stateful_step_count=40)


@given(st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=60), st.integers(0, 500))
def test_a_window_forgets_what_is_older(events: list[tuple[float, bool]], before: int) -> None:
    """And nothing else; what was there before it is spread over it."""
    now, window = 0.0, Window(0.0, before)
    happened: list[tuple[int, bool]] = []
    for seconds, accepted in events:
        now += seconds
        window.add(now, accepted=accepted)
        happened.append((int(now / BUCKET_S), accepted))
    recent = [accepted for at, accepted in happened if at > int(now / BUCKET_S) - BUCKETS]
    if now >= WINDOW_S:
        assert (window.requests, window.accepts) == (len(recent), sum(recent))
    else:
        assert len(recent) <= window.requests <= len(recent) + before
