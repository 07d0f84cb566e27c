"""The behaviour log in its database: it only grows, and what is touched shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from centers.review import tables
from centers.review.app import BLUEPRINT
from centers.review.behavior_rows import BehaviorRows
from centers.review.behaviors import Filter
from centers.review.events import subscriptions
from centers.review.service import Behaviors
from mesh.paging import PageRequest
from mesh.seal import LogCheck
from mesh.storage import IntegrityViolation, SQLiteStore, migrations
from mesh.telemetry import NullTracer
from tests.unit.centers.review.conftest import hear
from tests.unit.centers.review.telling import behavior

Touch = Callable[[sqlite3.Connection], object]


def test_migrations_make_the_tables(database: Path) -> None:
    """The revisions lead to the very tables that the statements are written for."""
    assert BLUEPRINT.migrations is not None
    migrations.check(database, BLUEPRINT.migrations, tables.metadata)


async def test_positions_have_no_gaps(store: SQLiteStore, log: BehaviorRows) -> None:
    """Across transactions, and over one that was undone."""

    async def undone() -> None:
        effect = await subscriptions(log)[0].react(behavior())
        assert effect is not None
        async with store.transaction() as tx:
            await effect(tx)
            raise LookupError

    await hear(store, [behavior(), behavior()])
    with pytest.raises(LookupError):
        await undone()
    await hear(store, [behavior(), behavior()])
    found = await log.newest(Filter(), before=None, limit=10)
    assert [entry.position for entry in found] == [4, 3, 2, 1]
    assert (await Behaviors(log).check()).broken_at is None


@pytest.fixture
def sql_rules() -> None:
    """What only SQLite understands is tried, too."""


@pytest.mark.embedded
@pytest.mark.parametrize(
    "statement",
    [
        sa.update(tables.behavior).values(actor="nobody"),
        sa.delete(tables.behavior),
        sa.text("INSERT OR REPLACE INTO behavior SELECT * FROM behavior WHERE position = 1"),
        sa.text(
            "INSERT INTO behavior SELECT 9, event_id, source, record, seal, actor, branch_id,"
            " customer_id, task_id, verb FROM behavior WHERE position = 1"
        ),
    ],
    ids=["update", "delete", "replace", "gap"],
)
async def test_the_database_refuses_all_but_the_next_entry(
    store: SQLiteStore, log: BehaviorRows, statement: sa.Executable
) -> None:
    """Whatever a program tries."""
    await hear(store, [behavior(), behavior()])
    with pytest.raises(IntegrityViolation):
        async with store.transaction() as tx:
            await tx.execute(statement)
    assert (await Behaviors(log).check()).entries == 2


def _change(raw: sqlite3.Connection) -> None:
    raw.execute("UPDATE behavior SET record = ? WHERE position = 4", [behavior("x").payload])


def _change_key(raw: sqlite3.Connection) -> None:
    raw.execute("UPDATE behavior SET actor = 'somebody' WHERE position = 4")


def _remove(raw: sqlite3.Connection) -> None:
    raw.execute("DELETE FROM behavior WHERE position = 4")


def _remove_and_close_up(raw: sqlite3.Connection) -> None:
    _remove(raw)
    for position in (5, 6, 7):
        raw.execute("UPDATE behavior SET position = position - 1 WHERE position = ?", [position])


def _repeat(raw: sqlite3.Connection) -> None:
    for position in (7, 6, 5, 4):
        raw.execute("UPDATE behavior SET position = position + 1 WHERE position = ?", [position])
    raw.execute(
        "INSERT INTO behavior SELECT 4, event_id, source, record, seal, actor, branch_id,"
        " customer_id, task_id, verb FROM behavior WHERE position = 3"
    )


@pytest.mark.embedded
@pytest.mark.parametrize(
    "touch",
    [_change, _change_key, _remove, _remove_and_close_up, _repeat],
    ids=lambda touch: touch.__name__,
)
async def test_a_copy_that_was_tampered_with_is_broken_at_the_place(
    store: SQLiteStore, database: Path, tmp_path: Path, touch: Touch
) -> None:
    """By somebody who can write the file and knows how to lift the triggers."""
    await hear(store, [behavior(f"rm{number:03}") for number in range(7)])
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as raw, raw:
        source.backup(raw)
        for name in ("no_update", "no_delete", "gap"):
            raw.execute(f"DROP TRIGGER behavior_{name}")
        touch(raw)
    async with SQLiteStore(copy, tracer=NullTracer()) as tampered:
        found = await Behaviors(BehaviorRows(tampered)).check()
    assert (found.entries, found.broken_at) == (3, 4)


async def test_the_seal_of_the_newest_entry_is_told(store: SQLiteStore, log: BehaviorRows) -> None:
    """To keep it elsewhere: entries cut off at the end show against it alone."""
    await hear(store, [behavior(), behavior()])
    newest = (await log.newest(Filter(), before=None, limit=1))[0]
    found = await Behaviors(log).check()
    assert found == LogCheck(entries=2, seal=newest.seal, broken_at=None)


async def test_entries_are_found_by_what_they_are_about(
    store: SQLiteStore, log: BehaviorRows
) -> None:
    """Each filter by itself, and all at once."""
    await hear(
        store,
        [
            behavior("a", branch_id=1, task_id=1, customer_id=1, verb="/x/A"),
            behavior("b", branch_id=1, task_id=2, customer_id=2, verb="/x/B"),
            behavior("a", branch_id=2, task_id=2, customer_id=1, verb="/x/B"),
        ],
    )
    for wanted, positions in (
        (Filter(), [3, 2, 1]),
        (Filter(actor="a"), [3, 1]),
        (Filter(branch_id=1), [2, 1]),
        (Filter(task_id=2), [3, 2]),
        (Filter(customer_id=1), [3, 1]),
        (Filter(verb="/x/B"), [3, 2]),
        (Filter(actor="a", branch_id=2, task_id=2, customer_id=1, verb="/x/B"), [3]),
        (Filter(actor="a", verb="/x/C"), []),
    ):
        found = await log.newest(wanted, before=None, limit=10)
        assert [entry.position for entry in found] == positions, wanted


async def test_pages_go_back_in_time(store: SQLiteStore, log: BehaviorRows) -> None:
    """What is told meanwhile moves nothing."""
    await hear(store, [behavior() for _ in range(5)])
    behaviors = Behaviors(log)

    async def page(token: str) -> tuple[list[int], str]:
        found = await behaviors.page(PageRequest(listing="x", size=2, token=token), Filter())
        return [entry.position for entry in found.entries], found.next_token

    first, token = await page("")
    await hear(store, [behavior()])
    second, token = await page(token)
    third, token = await page(token)
    assert (first, second, third, token) == ([5, 4], [3, 2], [1], "")
