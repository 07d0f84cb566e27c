'''Schema migrations: each service keeps its revisions, this module runs them.

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

Alembic is imported only when a function is called.
'''

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from mesh.storage._errors import FOREIGN, SchemaMismatch, translate
from mesh.storage._file import MODE, create

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_TIMEOUT_S: Final = 30.0
"""How long a migration waits for a process that is writing."""

OF_THE_STORE: Final = "engine_"
"""Tables that begin with it are made by the store."""

_ENVIRONMENT: Final = Path(__file__).parent / "alembic_env"


def upgrade(database: Path, migrations: Path) -> None:
    """Bring a database, made if there is none, to the newest revision of a folder.

    Each revision takes effect as a whole or not at all. Several processes may
    call this at once: one migrates, the others wait and find it done.

    Raises:
        SchemaMismatch: the folder has no `versions`, or does not know the database's revision.
        StorageError: the database refused a statement.
    """
    from alembic import command  # noqa: PLC0415  # takes 0.2 s to import
    from alembic.util import CommandError  # noqa: PLC0415

    config = _config(migrations)
    with _alone(database):
        create(database, BUSY_TIMEOUT_S)
        with _connection(database) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise SchemaMismatch(str(error)) from error


def current(database: Path) -> str | None:
    """The revision that a database is at; None when it has none or does not exist."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    if not database.exists():
        return None
    with _connection(database) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(database: Path, migrations: Path, metadata: sa.MetaData | None = None) -> None:
    """Refuse a database that is not what the program expects.

    Args:
        database: the file.
        migrations: the service's folder of revisions.
        metadata: the tables as the service's statements see them; when given,
            the database must have the same tables, columns, types and indexes.

    Raises:
        SchemaMismatch: says the revision that is missing, or each difference.
    """
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    newest = ScriptDirectory.from_config(_config(migrations)).get_current_head()
    found = current(database)
    if found != newest:
        raise SchemaMismatch(f"{database.name} is at revision {found}, the program at {newest}")
    if metadata is None:
        return
    options = {"compare_type": True, "include_name": _is_of_the_service}
    with _connection(database) as connection:
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
    if differences:
        raise SchemaMismatch(f"{database.name} differs: {'; '.join(map(str, differences))}")


def _is_of_the_service(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not (name or "").startswith(OF_THE_STORE)


def _config(migrations: Path) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    versions = migrations / "versions"
    if not versions.is_dir():
        raise SchemaMismatch(f"there is no folder {versions}")
    config = Config()
    config.set_main_option("script_location", _escaped(_ENVIRONMENT))
    config.set_main_option("version_locations", _escaped(versions))
    config.set_main_option("path_separator", "newline")
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold the lock beside the database; waits for other processes."""
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = database.with_name(f"{database.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _connection(database: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(
        "sqlite://", creator=lambda: _connect(database), poolclass=sa.NullPool
    )
    sa.event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            yield connection
    except FOREIGN as error:
        raise translate(error) from error
    finally:
        engine.dispose()


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _begin(connection: sa.Connection) -> None:
    # The driver's own BEGIN comes late and leaves table changes outside.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
