"""When commands are let through to a server."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

from mesh.clock import ManualClock
from mesh.redis import RedisUnavailable
from mesh.redis._breaker import Breaker
from mesh.telemetry import Meters


@dataclass
class Subject:
    """A breaker with a clock and chance that a test can move."""

    clock: ManualClock = field(default_factory=ManualClock)
    meters: Meters = field(default_factory=Meters)
    chance: float = 1.0

    def __post_init__(self) -> None:
        self.breaker = Breaker("h:1", self.clock, lambda: self.chance, self.meters)

    def lets_through(self) -> bool:
        try:
            self.breaker.admit()
        except RedisUnavailable:
            return False
        return True

    def fail(self) -> None:
        self.breaker.failed(TimeoutError())


def test_a_server_that_answers_is_asked_by_all() -> None:
    """At the same time."""
    subject = Subject()
    assert [subject.lets_through() for _ in range(3)] == [True] * 3


def test_after_a_failure_nobody_asks_for_a_while_and_then_one() -> None:
    """The others until that one was answered fail at once."""
    subject = Subject()
    subject.lets_through()
    subject.fail()
    assert not subject.lets_through()
    subject.clock.advance(0.1)
    assert [subject.lets_through() for _ in range(3)] == [True, False, False]
    subject.breaker.succeeded()
    assert [subject.lets_through() for _ in range(3)] == [True] * 3


def test_the_pause_grows_to_half_a_second_and_no_further() -> None:
    """It begins anew after an answer."""
    subject = Subject()
    subject.lets_through()
    subject.fail()
    for pause_s in (0.1, 0.2, 0.4, 0.5, 0.5):
        subject.clock.advance(pause_s - 0.01)
        assert not subject.lets_through()
        subject.clock.advance(0.011)
        assert subject.lets_through()
        subject.fail()
    subject.clock.advance(0.5)
    subject.lets_through()
    subject.breaker.succeeded()
    subject.fail()
    subject.clock.advance(0.1)
    assert subject.lets_through()


def test_up_to_half_of_the_pause_is_left_to_chance() -> None:
    """Processes do not come back in step."""
    subject = Subject(chance=0.0)
    subject.lets_through()
    subject.fail()
    subject.clock.advance(0.05)
    assert subject.lets_through()


def test_commands_that_were_under_way_do_not_lengthen_the_pause() -> None:
    """A crowd that fails together is one failure."""
    subject = Subject()
    for _ in range(10):
        subject.lets_through()
    for _ in range(10):
        subject.fail()
    subject.clock.advance(0.1)
    assert subject.lets_through()
    assert subject.meters.counter("redis.failures").value == 10


def test_a_try_that_was_given_up_lets_another_one_try() -> None:
    """Its caller may have left."""
    subject = Subject()
    subject.lets_through()
    subject.fail()
    subject.clock.advance(0.1)
    subject.lets_through()
    subject.breaker.given_up()
    assert subject.lets_through()


def test_an_outage_is_logged_once_and_its_time_counted(caplog: pytest.LogCaptureFixture) -> None:
    """When it begins and when it ends."""
    subject = Subject()
    with caplog.at_level(logging.INFO, "engine"):
        for _ in range(3):
            subject.lets_through()
            subject.fail()
            subject.clock.advance(1)
        subject.lets_through()
        subject.breaker.succeeded()
        subject.breaker.succeeded()
        subject.clock.advance(5)
    assert [record.message for record in caplog.records] == ["redis_unavailable", "redis_available"]
    assert subject.breaker.down_s == pytest.approx(3)
