"""When a name is refused, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from centers.identity.attempt_rows import AttemptRows
from centers.identity.credentials import digest
from centers.identity.errors import IdentityReason
from centers.identity.lockout import MAX_FAILURES, WINDOW_S, Lockout
from centers.identity.tables import ATTEMPTS
from mesh.clock import ManualClock
from mesh.errors import MeshError
from mesh.storage import SQLiteStore
from mesh.telemetry import NullTracer


@pytest.fixture
def lockout(store: SQLiteStore, clock: ManualClock) -> Lockout:
    return Lockout(AttemptRows(store), clock)


async def fail(lockout: Lockout, name: str, times: int) -> None:
    for _ in range(times):
        await lockout.admit(name)


async def test_ten_failures_close_the_name(lockout: Lockout) -> None:
    """The tenth attempt is still heard, the eleventh is not."""
    await fail(lockout, "rm001", MAX_FAILURES)
    with pytest.raises(MeshError) as refused:
        await lockout.admit("rm001")
    assert refused.value.reason is IdentityReason.TOO_MANY_ATTEMPTS
    assert refused.value.retry_after_s == WINDOW_S


async def test_a_closed_name_opens_fifteen_minutes_after_the_last_failure(
    lockout: Lockout, clock: ManualClock
) -> None:
    """Refused tries do not prolong it, and RetryInfo says what is left."""
    await fail(lockout, "rm001", MAX_FAILURES)
    clock.advance(WINDOW_S - 1)
    with pytest.raises(MeshError) as refused:
        await lockout.admit("rm001")
    assert refused.value.retry_after_s == 1
    clock.advance(1)
    await lockout.admit("rm001")


async def test_after_it_opened_ten_more_failures_are_needed(
    lockout: Lockout, clock: ManualClock
) -> None:
    """A name that was closed starts anew."""
    await fail(lockout, "rm001", MAX_FAILURES)
    clock.advance(WINDOW_S)
    await fail(lockout, "rm001", MAX_FAILURES)
    with pytest.raises(MeshError):
        await lockout.admit("rm001")


async def test_failures_count_only_within_fifteen_minutes(
    lockout: Lockout, clock: ManualClock
) -> None:
    """Slow failures never close a name."""
    for _ in range(5 * MAX_FAILURES):
        await lockout.admit("rm001")
        clock.advance(WINDOW_S / (MAX_FAILURES - 1))


async def test_success_forgets_the_failures(lockout: Lockout) -> None:
    """Nine failures and a success leave nothing behind."""
    await fail(lockout, "rm001", MAX_FAILURES - 1)
    await lockout.succeeded("rm001")
    await fail(lockout, "rm001", MAX_FAILURES)


async def test_an_attempt_that_was_not_carried_out_does_not_count(lockout: Lockout) -> None:
    """Overload locks nobody out."""
    for _ in range(MAX_FAILURES * 2):
        await lockout.admit("rm001")
        await lockout.withdraw("rm001")
    await lockout.withdraw("never tried")
    await lockout.admit("rm001")


async def test_names_do_not_count_for_one_another(lockout: Lockout) -> None:
    """A closed name closes no other."""
    await fail(lockout, "rm001", MAX_FAILURES)
    await lockout.admit("rm002")


async def test_the_table_is_bounded(store: SQLiteStore, clock: ManualClock) -> None:
    """The name that was tried longest ago is forgotten first."""
    lockout = Lockout(AttemptRows(store, max_names=2), clock)
    await fail(lockout, "old", MAX_FAILURES)
    clock.advance(1)
    await fail(lockout, "recent", MAX_FAILURES)
    clock.advance(1)
    await lockout.admit("new")
    clock.advance(1)
    await lockout.admit("old")
    with pytest.raises(MeshError):
        await fail(lockout, "new", MAX_FAILURES)


async def test_a_name_that_is_refused_counts_as_tried(
    store: SQLiteStore, clock: ManualClock
) -> None:
    """A flood of other names does not push out a name that is under attack."""
    lockout = Lockout(AttemptRows(store, max_names=2), clock)
    await fail(lockout, "victim", MAX_FAILURES)
    for number in range(10):
        clock.advance(1)
        await lockout.admit(f"other{number}")
        clock.advance(1)
        with pytest.raises(MeshError):
            await lockout.admit("victim")


async def test_processes_count_together(
    lockout: Lockout, clock: ManualClock, tmp_path: Path
) -> None:
    """Ten failures close a name wherever they were tried, and a success opens it everywhere."""
    async with SQLiteStore(tmp_path / "identity.db", tracer=NullTracer()) as store:
        other = Lockout(AttemptRows(store), clock)
        await fail(lockout, "rm001", MAX_FAILURES // 2)
        await fail(other, "rm001", MAX_FAILURES // 2)
        with pytest.raises(MeshError):
            await lockout.admit("rm001")
        await other.succeeded("rm001")
        await lockout.admit("rm001")


async def test_names_that_no_longer_count_are_removed(
    lockout: Lockout, clock: ManualClock, store: SQLiteStore
) -> None:
    """A new name removes them, and what was typed as a name is kept as a digest alone."""
    await fail(lockout, "a password", 1)
    clock.advance(WINDOW_S)
    await fail(lockout, "rm001", 1)
    rows = await store.fetch_all(sa.select(ATTEMPTS))
    assert [row.name_digest for row in rows] == [digest("rm001")]


async def test_a_clock_that_was_set_back_does_not_prolong_it(
    lockout: Lockout, store: SQLiteStore
) -> None:
    """A name that another host closed in our future opens in fifteen minutes at the latest."""
    ahead = Lockout(AttemptRows(store), ManualClock(datetime(2027, 1, 1, tzinfo=UTC)))
    await fail(ahead, "rm001", MAX_FAILURES)
    with pytest.raises(MeshError) as refused:
        await lockout.admit("rm001")
    assert refused.value.retry_after_s == WINDOW_S
