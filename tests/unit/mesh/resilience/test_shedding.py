"""Which calls are refused while there is too much to do: worked out, not timed."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh import contract
from mesh.contract import Method
from mesh.resilience.shedding import HIGHEST, Shedder
from mesh.telemetry import Meters

GET = contract.method(
    customer_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name["GetCustomer"]
)
SHEDDABLE, ORDINARY, CRITICAL = (
    policy_pb2.CRITICALITY_SHEDDABLE,
    policy_pb2.CRITICALITY_UNSPECIFIED,
    policy_pb2.CRITICALITY_CRITICAL,
)
ALL = (SHEDDABLE, ORDINARY, CRITICAL)
BEARABLE_S = 0.1
MOST = 100


def method(criticality: Any) -> Method:
    policy = policy_pb2.MethodPolicy(permission="x", criticality=criticality)
    return replace(GET, policy=policy)


class Desk:
    """A shedder, what is under way in its process, and how many of a thousand calls may begin."""

    def __init__(self, bearable_s: float = BEARABLE_S) -> None:
        self.meters = Meters()
        self.under_way = 0
        self.shedder = Shedder(MOST, bearable_s, meters=self.meters, chance=random.Random(7).random)
        self.shedder.watch(lambda: self.under_way)

    def judged(self, wait_s: float, *, times: int = 1) -> float:
        for _ in range(times):
            self.shedder.waited(wait_s)
            self.shedder.judge()
        return self.shedder.pressure

    def share(self, criticality: Any) -> float:
        gate = self.shedder.gate(method(criticality))
        return sum(gate() for _ in range(1_000)) / 1_000


def test_all_calls_begin_while_none_waits_long() -> None:
    """Whatever they are worth."""
    desk = Desk()
    assert desk.judged(BEARABLE_S / 2, times=100) == 0
    assert [desk.share(criticality) for criticality in ALL] == [1, 1, 1]


def test_what_matters_least_is_refused_first() -> None:
    """Of the next rank some are refused when none of the one before it begins."""
    desk, seen = Desk(), []
    while desk.judged(10 * BEARABLE_S) < HIGHEST:
        sheddable, ordinary, critical = (desk.share(criticality) for criticality in ALL)
        assert not sheddable or ordinary == 1
        assert not ordinary or critical == 1
        seen.append(sheddable + ordinary + critical)
    assert seen == sorted(seen, reverse=True)


def test_as_many_are_refused_as_the_pressure_says() -> None:
    """At one and a half, half of the ordinary calls."""
    desk = Desk()
    desk.shedder.pressure = 1.5
    assert desk.share(SHEDDABLE) == 0
    assert desk.share(ORDINARY) == pytest.approx(0.5, abs=0.05)
    assert desk.share(CRITICAL) == 1


def test_the_pressure_falls_when_calls_wait_less() -> None:
    """It goes back to nothing, and says so."""
    desk = Desk()
    assert desk.judged(10 * BEARABLE_S, times=5) > 0
    assert desk.meters.gauges["mesh.shed_pressure"]() > 0
    assert desk.judged(0, times=20) == 0


def test_only_what_the_luckiest_call_waits_counts() -> None:
    """One caller who sends too much waits by himself."""
    desk = Desk()
    for _ in range(50):
        desk.shedder.waited(10.0)
        desk.shedder.waited(0.0)
        desk.shedder.judge()
    assert desk.shedder.pressure == 0


def test_a_loop_that_always_comes_late_is_overload_too() -> None:
    """Over plain gRPC nobody sees calls wait; once late is no overload."""
    desk = Desk()
    desk.shedder.came_late(10.0)
    desk.shedder.came_late(0.0)
    desk.shedder.judge()
    assert desk.shedder.pressure == 0
    for _ in range(5):
        desk.shedder.came_late(10.0)
        desk.shedder.judge()
    assert desk.shedder.pressure > 1


def test_waits_can_be_left_out() -> None:
    """Then the bound of calls under way is the only one."""
    desk = Desk(bearable_s=0)
    assert desk.judged(60.0, times=20) == 0


def test_many_calls_under_way_are_pressure_without_any_wait() -> None:
    """From four fifths on; at the bound only critical calls begin, and of them a tenth more."""
    desk = Desk()
    for under_way, expected in ((80, 0), (90, 1), (100, 2)):
        desk.under_way = under_way
        assert desk.judged(0) == pytest.approx(expected)
    assert [desk.share(criticality) for criticality in ALL] == [0, 0, 1]
    desk.under_way = MOST + MOST // 10
    assert desk.share(CRITICAL) == 0


def test_what_is_refused_is_counted_by_rank() -> None:
    """An operator sees who pays."""
    desk = Desk()
    desk.shedder.pressure = 1.0
    desk.share(SHEDDABLE)
    desk.share(ORDINARY)
    counted = {name: counter.value for name, counter in desk.meters.counters.items()}
    assert counted == {
        "mesh.calls_shed_sheddable": 1_000,
        "mesh.calls_shed_ordinary": 0,
        "mesh.calls_shed_critical": 0,
    }


async def test_the_loop_is_looked_at_while_it_is_entered() -> None:
    """A clock that runs ahead of the loop is a loop that comes late."""
    hours = iter(range(0, 1_000_000, 3_600))
    overloaded = asyncio.Event()

    def under_way() -> int:
        if shedder.pressure:
            overloaded.set()
        return 0

    shedder = Shedder(MOST, BEARABLE_S, meters=Meters(), monotonic=lambda: float(next(hours)))
    shedder.watch(under_way)
    async with shedder, asyncio.timeout(10):
        await overloaded.wait()
