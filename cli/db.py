"""`engine db`: the databases of the services, their schema and copies of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import load_settings
from cli.output import fail, print_table, terminal

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mesh.service import Blueprint
    from mesh.storage import Address
    from mesh.storage.migrations import Standing

app = typer.Typer(
    no_args_is_help=True,
    help="""Databases: one a service, its schema and copies of it.

    A database is a file under ENGINE_VAR, or lies on the server that ENGINE_DATABASE_URL
    names. A service brings its own to the newest revision when it starts; with
    ENGINE_MIGRATE=0 it only looks, and 'engine db upgrade' comes before it.
    docs/howto/databases.md has the rest.
    """,
)

_Names = Annotated[
    list[str] | None, typer.Argument(help="Services, as 'customer action'; all by default.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Database:
    service: Blueprint
    address: Address
    migrations: Path

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def shown(self) -> str:
        address = self.address
        if isinstance(address, Path):
            return str(address)
        return f"{address.database} on {address.host}:{address.port}"


@app.command()
def upgrade(names: _Names = None) -> None:
    """Bring databases to the newest revision; makes those that do not exist.

    Safe while services run, and at several places at once: one works, the others wait.
    The version before goes on running on the result, unless a revision contracts.
    What is cut off goes on where it stopped when run again.

    Examples: engine db upgrade

              engine db upgrade customer action
    """
    from mesh.storage import migrations

    rows = []
    for database in _with_bar("Upgrading", _databases(names)):
        with _explained(database):
            before = migrations.current(database.address)
            migrations.upgrade(database.address, database.migrations)
            after = migrations.current(database.address)
        rows.append((database.name, database.shown, before or "-", after or "-"))
    print_table(("Service", "Database", "From", "To"), rows)


@app.command()
def current(names: _Names = None) -> None:
    """Show the revision of each database, the program's newest, and how they stand.

    'ahead, fits': a newer program migrated it, and this one goes on running on it.

    Example: engine db current | grep -v 'up to date'
    """
    from mesh.storage import migrations

    rows = []
    for database in _databases(names):
        with _explained(database):
            found = migrations.standing(database.address, database.migrations)
        revisions = (found.revision or "-", found.newest or "-")
        rows.append((database.name, database.shown, *revisions, _state(found)))
    print_table(("Service", "Database", "Revision", "Newest", "State"), rows)


@app.command()
def check(names: _Names = None) -> None:
    """Compare each database with what its service's statements expect.

    Revision, tables, columns, types and indexes. Ends with code 1 when one differs.
    """
    from mesh.storage import SchemaMismatch, migrations

    rows, differ = [], False
    for database in _with_bar("Checking", _databases(names)):
        with _explained(database):
            try:
                migrations.check(database.address, database.migrations, schema(database.service))
                rows.append((database.name, database.shown, "as expected"))
            except SchemaMismatch as error:
                differ = True
                rows.append((database.name, database.shown, str(error)))
    print_table(("Service", "Database", "Schema"), rows)
    if differ:
        raise typer.Exit(1)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="Where to; made when there is none.")],
    names: _Names = None,
) -> None:
    """Copy databases into a folder while services run; each copy is of one moment.

    SQLite files come as NAME.db; a database on a server as NAME.sql, by 'mariadb-dump'.
    Only their owner can read them. docs/howto/databases.md says how to restore.

    Examples: engine db backup /backups/2026-03-02

              engine db backup /backups/before-upgrade customer action
    """
    from mesh.storage.backup import backup as copy

    rows = []
    for database in _with_bar("Copying", _databases(names)):
        with _explained(database):
            made = copy(database.address, folder, database.name)
        size = f"{made.stat().st_size:,}" if made else "no database yet"
        rows.append((database.name, str(made or "-"), size))
    print_table(("Service", "Copy", "Bytes"), rows)


def schema(service: Blueprint) -> sa.MetaData:
    """The tables as the statements of a service see them, without those of the store."""
    import sqlalchemy as sa

    from mesh.storage.migrations import OF_THE_STORE

    found = sa.MetaData()
    for table in _tables(service.build.__module__.rpartition(".")[0]):
        if table.name not in found.tables and not table.name.startswith(OF_THE_STORE):
            table.to_metadata(found)
    return found


def _tables(package: str) -> Iterator[sa.Table]:
    """The tables in the modules `tables` and `store` of a package."""
    from importlib import import_module
    from importlib.util import find_spec

    import sqlalchemy as sa

    for name in (f"{package}.tables", f"{package}.store"):
        if find_spec(name) is not None:
            yield from (v for v in vars(import_module(name)).values() if isinstance(v, sa.Table))


def _databases(names: Sequence[str] | None) -> list[_Database]:
    from cli import compose
    from mesh.settings import SettingsError
    from mesh.storage import address

    settings = load_settings()
    services = compose.blueprints(demo=settings.demo)
    found = []
    try:
        for name, service in services.items():
            if service.migrations is not None:
                where = address(settings, name)
                found.append(
                    _Database(service=service, address=where, migrations=service.migrations)
                )
    except SettingsError as error:
        fail(str(error), "'engine settings' shows them all.", code=2)
    known = [database.name for database in found]
    for name in names or ():
        if name not in known:
            fail(f"no service '{name}' has a database", f"Choose of {', '.join(known)}.", code=2)
    return [database for database in found if not names or database.name in names]


def _with_bar(label: str, databases: list[_Database]) -> Iterator[_Database]:
    """The databases one after another, with a bar on terminals."""
    if not terminal():
        yield from databases
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, transient=True) as bars:
        task = bars.add_task(label, total=len(databases))
        for database in databases:
            bars.update(task, description=f"{label} {database.name}")
            yield database
            bars.advance(task)


@contextmanager
def _explained(database: _Database) -> Iterator[None]:
    """Ends the program with what is wrong with a database and what to do."""
    from mesh.storage import SchemaMismatch, StorageError, StoreUnavailable
    from mesh.storage.backup import BackupError

    try:
        yield
    except BackupError as error:
        fail(f"{database.name}: {error}", error.next_step)
    except StoreUnavailable as error:
        fail(f"{database.name}: {error}", "See that ENGINE_DATABASE_URL and password are right.")
    except SchemaMismatch as error:
        fail(f"{database.name}: {error}")
    except StorageError as error:
        fail(f"{database.name}: {error}", "Set it right and run the same again: it goes on.")


def _state(found: Standing) -> str:
    if found.under_way:
        return f"cut off in {found.under_way}: run 'engine db upgrade'"
    if found.revision is None and found.newest is not None:
        return "none yet"
    if found.known:
        return "up to date" if found.fits else "behind: run 'engine db upgrade'"
    return "ahead, fits" if found.fits else "ahead, does not fit: run the newer program"
