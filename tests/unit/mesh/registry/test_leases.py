"""Leases of the registry."""

from __future__ import annotations

import pytest

from mesh.clock import ManualClock
from mesh.registry.addresses import NAME
from mesh.registry.leases import LOOK_S, PATIENCE, PAUSE_S, Leases

LEASE_S = 10.0
KEY, OTHER = ("customer", "a"), ("action", "a")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def leases(clock: ManualClock) -> Leases:
    return Leases(clock, LEASE_S)


def test_a_lease_that_is_renewed_lasts(leases: Leases, clock: ManualClock) -> None:
    """Each renewal counts from its own time."""
    lease_id = leases.give(KEY)
    for _ in range(40):
        clock.advance(1)
        assert leases.renew(KEY, lease_id)
        assert leases.expired() == []


def test_a_lease_that_is_not_renewed_runs_out_once(leases: Leases, clock: ManualClock) -> None:
    """Not before it has lasted, and while others are heard."""
    other, lease_id = leases.give(OTHER), leases.give(KEY)
    for _ in range(9):
        clock.advance(1)
        assert leases.renew(OTHER, other)
        assert leases.expired() == []
    clock.advance(1)
    assert leases.expired() == [KEY]
    assert leases.expired() == []
    assert not leases.renew(KEY, lease_id)
    assert leases.renew(OTHER, other)


def test_a_new_lease_takes_the_place_of_the_old(leases: Leases) -> None:
    """Who was thought dead must not renew, or withdraw, what its successor holds."""
    first, second = leases.give(KEY), leases.give(KEY)
    assert first != second
    assert not leases.has(KEY, first)
    assert leases.has(KEY, second)
    assert not leases.renew(KEY, first)


def test_a_registry_that_stood_still_takes_nobody_out_for_it(
    leases: Leases, clock: ManualClock
) -> None:
    """Nobody could renew while it was stopped: it goes on where it was."""
    leases.give(KEY)
    other = leases.give(OTHER)
    clock.advance(60)
    assert leases.expired() == []
    for _ in range(9):
        clock.advance(1)
        assert leases.renew(OTHER, other)
        assert leases.expired() == []
    clock.advance(1)
    assert leases.expired() == [KEY]


def test_a_registry_that_hears_nobody_takes_nobody_out(leases: Leases, clock: ManualClock) -> None:
    """It is cut off; once somebody is heard again, all have a whole lease to come back."""
    leases.give(KEY)
    other = leases.give(OTHER)
    for _ in range(20):
        clock.advance(1)
        assert leases.expired() == []
    assert leases.renew(OTHER, other)
    for _ in range(9):
        clock.advance(1)
        assert leases.renew(OTHER, other)
        assert leases.expired() == []
    clock.advance(1)
    assert leases.expired() == [KEY]


def test_a_registry_that_hears_nobody_for_long_takes_all_out(
    leases: Leases, clock: ManualClock
) -> None:
    """Its own renewals say nothing of the others."""
    own = leases.give((NAME, "a"))
    leases.give(KEY)
    leases.give(OTHER)
    for _ in range(int(PATIENCE * LEASE_S) - 1):
        clock.advance(1)
        assert leases.renew((NAME, "a"), own)
        assert leases.expired() == []
    clock.advance(1)
    assert leases.renew((NAME, "a"), own)
    assert leases.expired() == [KEY, OTHER]


def test_looks_are_much_closer_than_a_pause() -> None:
    """Or each would count as one."""
    assert LOOK_S * 3 < PAUSE_S
