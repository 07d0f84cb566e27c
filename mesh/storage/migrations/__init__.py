'''Schema migrations: each service keeps its revisions, this package runs them.

A service has a folder `migrations/versions` with one file per revision, and
names `migrations` in its `Blueprint`. A revision is an ordinary Alembic one:

    """Customers and who owns the relationship."""

    import sqlalchemy as sa
    from alembic import op

    revision = "0001"
    down_revision = None

    Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


    def upgrade() -> None:
        op.create_table(
            "customer",
            sa.Column("customer_id", Id, primary_key=True, autoincrement=False),
            sa.Column("tier", sa.SmallInteger, nullable=False),
            sa.Column("updated_at", sa.BigInteger, nullable=False),  # microseconds, UTC
        )
        op.create_index("customer_tier", "customer", ["tier", "customer_id"])

Rules: types that every database has (`BigInteger`, `String(n)`, `LargeBinary`,
`Boolean`, `Text`); ids as above, so that SQLite keys the table itself by them;
defaults, where needed, as `server_default`, since a store runs no Python
defaults; no foreign key that is checked late (`deferrable`); changes to a column
in `with op.batch_alter_table(...)`. Down-grades are not run. The answers to
calls with a request id, the outbox and the inbox (`engine_…`) belong to the
store, not to a revision.

A program goes on running on a database that the next one has migrated. So a revision
only adds: tables, indexes that are not unique, columns that may be null or have a
default. One that takes away what programs before it use says `contracts = True`, and
comes when none of them runs any more. A revision that was cut off goes on where it
stopped: it must send the same statements whenever it runs.

Alembic is imported only when a function is called.
'''

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import sqlalchemy as sa

from mesh.storage._address import Address
from mesh.storage._errors import SchemaMismatch
from mesh.storage.migrations import _record as record
from mesh.storage.migrations._databases import BUSY_TIMEOUT_S, LOCK_S, alone, connected, name_of

if TYPE_CHECKING:
    from mesh.storage.migrations._revisions import Revisions

__all__ = ["BUSY_TIMEOUT_S", "LOCK_S", "Standing", "check", "current", "standing", "upgrade"]

OF_THE_STORE: Final = "engine_"
"""Tables that begin with it are made by the store."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a database stands to a program.

    Args:
        revision: that the database is at; None when it has none or does not exist.
        newest: that the program knows.
        known: whether the program knows that of the database.
        fits: whether the program may run on it: it is at the program's newest revision,
            or only revisions that add came after that.
        under_way: a revision that has begun and has not ended.
        contracting: the revision behind the program's that stands in the way.
    """

    revision: str | None
    newest: str | None
    known: bool
    fits: bool
    under_way: str = ""
    contracting: str = ""


def upgrade(address: Address, migrations: Path) -> None:
    """Bring a database, made if there is none, to the newest revision of a folder.

    On SQLite each revision takes effect as a whole or not at all; on a server one that
    is cut off goes on where it stopped, at the next call. Several processes may
    call this at once: one migrates, the others wait and find it done. A database that
    is ahead of the program by revisions that only add is left alone.

    Raises:
        SchemaMismatch: the folder has no `versions`, or the program does not fit the database.
        StoreUnavailable: the database cannot be reached, or another process migrates
            it and does not come to an end within `LOCK_S`.
        StorageError: the database refused a statement.
    """
    _outside_loop(partial(_upgrade, address, _folder(migrations)))


def current(address: Address) -> str | None:
    """The revision that a database is at; None when it has none or does not exist."""

    def look() -> str | None:
        with connected(address) as connection:
            return None if connection is None else record.current(connection)

    return _outside_loop(look)


def standing(address: Address, migrations: Path) -> Standing:
    """How a database stands to the newest revision of a folder.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    revisions = _folder(migrations)

    def look() -> Standing:
        with connected(address) as connection:
            return _standing(connection, revisions)

    return _outside_loop(look)


def check(address: Address, migrations: Path, metadata: sa.MetaData | None = None) -> None:
    """Refuse a database that the program cannot run on.

    Args:
        address: the database.
        migrations: the service's folder of revisions.
        metadata: the tables as the service's statements see them; when given, a database
            at the newest revision must have the same tables, columns, types and indexes.

    Raises:
        SchemaMismatch: says the revision that is missing, or each difference.
        StoreUnavailable: the database cannot be reached.
    """
    _outside_loop(partial(_check, address, _folder(migrations), metadata))


def _upgrade(address: Address, revisions: Revisions) -> None:
    with alone(address) as connection:
        with connection.begin():
            record.metadata.create_all(connection)
            found = _standing(connection, revisions)
            if found.known:
                _remember_older(connection, revisions, found.revision)
        if not found.known:
            _require_fit(address, found)
            return
        for script in revisions.after(found.revision):
            revisions.apply(connection, script)


def _check(address: Address, revisions: Revisions, metadata: sa.MetaData | None) -> None:
    with connected(address) as connection:
        found = _standing(connection, revisions)
        _require_fit(address, found)
        if connection is None or metadata is None or not found.known:
            return
        differences = _differences(connection, metadata)
    if differences:
        raise SchemaMismatch(f"{name_of(address)} differs: {'; '.join(differences)}")


def _standing(connection: sa.Connection | None, revisions: Revisions) -> Standing:
    at = record.current(connection) if connection else None
    applied = record.applied(connection) if connection else {}
    under_way = next((name for name, one in applied.items() if not one.finished), "")
    look = partial(Standing, revision=at, newest=revisions.newest, under_way=under_way)
    if at in revisions:
        return look(known=True, fits=at == revisions.newest)
    step = at
    while step not in revisions:
        one = applied.get(step or "")
        if one is None or one.contracts:
            return look(known=False, fits=False, contracting=one.revision if one else "")
        step = one.parent or None
    return look(known=False, fits=step == revisions.newest)


def _require_fit(address: Address, found: Standing) -> None:
    if found.fits:
        return
    name = name_of(address)
    if found.known:
        raise SchemaMismatch(
            f"{name} is at revision {found.revision}, the program at {found.newest}: "
            "run 'engine db upgrade'"
        )
    why = (
        f"its revision {found.contracting} takes away what this program uses"
        if found.contracting
        else "the two have parted"
    )
    raise SchemaMismatch(
        f"{name} is at revision {found.revision}, which this program (at {found.newest}) does "
        f"not know, and {why}: run the program that migrated it, or restore a backup"
    )


def _remember_older(connection: sa.Connection, revisions: Revisions, at: str | None) -> None:
    """Write down what was applied before databases remembered it."""
    from mesh.storage.migrations._revisions import describe  # noqa: PLC0415

    for script in revisions.until(at):
        record.begin(connection, describe(script, finished=True))


def _differences(connection: sa.Connection, metadata: sa.MetaData) -> list[str]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    options = {"compare_type": True, "include_name": _is_of_the_service}
    context = MigrationContext.configure(connection, opts=options)
    found = compare_metadata(context, metadata)
    differences = [one for each in found for one in (each if isinstance(each, list) else [each])]
    return [str(one) for one in differences if not one[0].endswith("_comment")]


def _is_of_the_service(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not (name or "").startswith(OF_THE_STORE)


def _folder(migrations: Path) -> Revisions:
    from mesh.storage.migrations._revisions import Revisions  # noqa: PLC0415

    return Revisions(migrations)


def _outside_loop(work: Callable[[], T]) -> T:
    """Do the work where no event loop runs: the driver of a server wants one of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="migration") as thread:
        return thread.submit(work).result()
