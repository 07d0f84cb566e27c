"""One timer for many deadlines."""

from __future__ import annotations

from contextvars import ContextVar

import pytest

from mesh.alarm import NEVER, REST_S, Alarm
from tests.unit.mesh.lane.world import World

mark: ContextVar[str] = ContextVar("mark", default="")


class Deadlines:
    """Deadlines that end when they are looked at in time."""

    def __init__(self, world: World, *due: float) -> None:
        self.due = [world.clock.now + each for each in due]
        self.looks: list[float] = []
        self.marks: set[str] = set()
        self.alarm = world.within(Alarm, self.look)

    def look(self, now: float) -> float:
        self.looks.append(now)
        self.marks.add(mark.get())
        self.due = [due for due in self.due if due > now]
        return min(self.due, default=NEVER)


@pytest.fixture
def world() -> object:
    """A clock that is moved by hand."""
    with World() as world:
        yield world


def test_it_rings_for_one_deadline_after_the_other(world: World) -> None:
    """It sets itself to the earliest of what is left."""
    deadlines = Deadlines(world, 1.0, 2.0, 3.0)
    world.within(deadlines.alarm.set, deadlines.due[0])
    for left in (2, 1, 0):
        world.pass_time(1.01)
        assert len(deadlines.due) == left
    assert deadlines.alarm.at == NEVER
    world.pass_time(10)
    assert len(deadlines.looks) == 3


def test_it_does_not_ring_before(world: World) -> None:
    """A look is not made in vain."""
    deadlines = Deadlines(world, 1.0)
    world.within(deadlines.alarm.set, deadlines.due[0])
    world.pass_time(0.9)
    assert not deadlines.looks


def test_deadlines_close_together_are_looked_at_once(world: World) -> None:
    """Looking costs; it is done no more often than every few milliseconds."""
    deadlines = Deadlines(world, *(0.001 * n for n in range(5)))
    world.within(deadlines.alarm.set, deadlines.due[0])
    world.pass_time(REST_S / 2)
    assert not deadlines.looks
    world.pass_time(REST_S)
    assert not deadlines.due
    assert len(deadlines.looks) == 1


def test_an_earlier_deadline_takes_the_place_of_a_later_one(world: World) -> None:
    """There is never more than one timer."""
    deadlines = Deadlines(world, 9.0, 1.0)
    world.within(deadlines.alarm.set, deadlines.due[0])
    world.within(deadlines.alarm.set, deadlines.due[1])
    assert sum(not handle.cancelled() for handle in world.loop._scheduled) == 1  # type: ignore[attr-defined]
    world.pass_time(1.01)
    assert len(deadlines.due) == 1


def test_it_rings_no_more_once_stopped(world: World) -> None:
    """What it would look at may be gone."""
    deadlines = Deadlines(world, 1.0)
    world.within(deadlines.alarm.set, deadlines.due[0])
    deadlines.alarm.stop()
    world.pass_time(5)
    assert not deadlines.looks


def test_it_may_be_set_while_it_rings(world: World) -> None:
    """A deadline that comes in then is not forgotten for a later one that is left."""
    deadlines = Deadlines(world, 1.0, 100.0)
    look = deadlines.alarm._look

    def look_and_set(now: float) -> float:
        deadlines.alarm.set(world.clock.now + 2.0)
        return look(now)

    deadlines.alarm._look = look_and_set
    world.within(deadlines.alarm.set, deadlines.due[0])
    world.pass_time(1.01)
    assert deadlines.alarm.at < world.clock.now + 3


def test_it_does_not_hold_what_a_call_carried(world: World) -> None:
    """It rings for all calls, not for the one that set it."""
    deadlines = Deadlines(world, 1.0)
    token = mark.set("of a call")
    world.within(deadlines.alarm.set, deadlines.due[0])
    mark.reset(token)
    world.pass_time(2)
    assert deadlines.marks == {""}
