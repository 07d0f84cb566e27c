"""Leases of the registry."""

from __future__ import annotations

from mesh.clock import ManualClock
from mesh.registry.leases import LOOK_S, PAUSE_S, Leases

KEY = ("customer", "a")


def test_a_lease_that_is_renewed_lasts() -> None:
    """Each renewal counts from its own time."""
    clock = ManualClock()
    leases = Leases(clock, 10)
    lease_id = leases.give(KEY)
    for _ in range(40):
        clock.advance(1)
        assert leases.renew(KEY, lease_id)
        assert leases.expired() == []


def test_a_lease_that_is_not_renewed_runs_out_once() -> None:
    """Not before it has lasted."""
    clock = ManualClock()
    leases = Leases(clock, 10)
    lease_id = leases.give(KEY)
    for _ in range(9):
        clock.advance(1)
        assert leases.expired() == []
    clock.advance(1)
    assert leases.expired() == [KEY]
    assert leases.expired() == []
    assert not leases.renew(KEY, lease_id)


def test_a_new_lease_takes_the_place_of_the_old() -> None:
    """Who was thought dead must not renew, or withdraw, what its successor holds."""
    leases = Leases(ManualClock(), 10)
    first, second = leases.give(KEY), leases.give(KEY)
    assert first != second
    assert not leases.has(KEY, first)
    assert leases.has(KEY, second)
    assert not leases.renew(KEY, first)


def test_a_registry_that_stood_still_takes_nobody_out_for_it() -> None:
    """Nobody could renew while it was stopped: it goes on where it was."""
    clock = ManualClock()
    leases = Leases(clock, 10)
    leases.give(KEY)
    clock.advance(60)
    assert leases.expired() == []
    for _ in range(9):
        clock.advance(1)
        assert leases.expired() == []
    clock.advance(1)
    assert leases.expired() == [KEY]


def test_looks_are_much_closer_than_a_pause() -> None:
    """Or each would count as one."""
    assert LOOK_S * 3 < PAUSE_S
