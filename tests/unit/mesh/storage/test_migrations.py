"""Migrations of a service's database."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mesh.storage import SchemaMismatch, SQLiteStore, StorageError, migrations
from mesh.telemetry import NullTracer

FIRST = '''
"""Customers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("id", Id, primary_key=True, autoincrement=False),
        sa.Column("tier", sa.SmallInteger, nullable=False),
    )
    op.create_index("customer_tier", "customer", ["tier"])
'''

SECOND = '''
"""What a customer is called."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("customer") as batch:
        batch.add_column(sa.Column("alias", sa.String(20)))
        batch.alter_column("tier", existing_type=sa.SmallInteger(), nullable=True)
'''

BROKEN = '''
"""A table, and then something that fails."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO nowhere VALUES (1)")
'''


def customers() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "customer",
        metadata,
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("tier", sa.SmallInteger, index=False),
        sa.Column("alias", sa.String(20)),
        sa.Index("customer_tier", "tier"),
    )
    return metadata


AddRevision = Callable[[str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The migrations of a service, in a folder whose name needs care."""
    (tmp_path / "100% a,b" / "versions").mkdir(parents=True)
    return tmp_path / "100% a,b"


@pytest.fixture
def add(folder: Path) -> AddRevision:
    """Adds a revision to the folder."""

    def write(name: str, text: str) -> None:
        (folder / "versions" / f"{name}.py").write_text(text)

    return write


def start(script: str, path: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, str(path), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


def test_a_database_is_made_and_brought_up_to_date(
    path: Path, folder: Path, add: AddRevision
) -> None:
    """The first call makes it, later ones add what is new, a further one does nothing."""
    assert migrations.current(path) is None
    add("0001", FIRST)
    migrations.upgrade(path, folder)
    assert migrations.current(path) == "0001"
    add("0002", SECOND)
    for _ in range(2):
        migrations.upgrade(path, folder)
        assert migrations.current(path) == "0002"
    assert path.stat().st_mode & 0o777 == 0o600
    assert tables(path) == {"customer", "alembic_version", "engine_migration"}


def test_rows_survive_a_change_of_their_table(path: Path, folder: Path, add: AddRevision) -> None:
    """A batch change copies them."""
    add("0001", FIRST)
    migrations.upgrade(path, folder)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO customer VALUES (1, 5)")
    add("0002", SECOND)
    migrations.upgrade(path, folder)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM customer").fetchall() == [(1, 5, None)]


def test_a_folder_without_revisions_is_no_work(path: Path, folder: Path) -> None:
    """A service may have no tables of its own yet."""
    migrations.upgrade(path, folder)
    assert migrations.current(path) is None
    migrations.check(path, folder)


def test_a_broken_revision_leaves_nothing_behind(
    path: Path, folder: Path, add: AddRevision
) -> None:
    """Those before it are kept; of itself there is no half."""
    for name, text in (("0001", FIRST), ("0002", SECOND), ("0003", BROKEN)):
        add(name, text)
    with pytest.raises(StorageError, match="nowhere"):
        migrations.upgrade(path, folder)
    assert migrations.current(path) == "0002"
    assert "half" not in tables(path)


def test_a_database_of_a_newer_program_is_refused(
    path: Path, folder: Path, add: AddRevision
) -> None:
    """An old program does not touch it, when what it uses may be gone."""
    add("0001", FIRST)
    add("0002", f"{SECOND}\n\ncontracts = True\n")
    migrations.upgrade(path, folder)
    (folder / "versions" / "0002.py").unlink()
    with pytest.raises(SchemaMismatch, match="0002"):
        migrations.upgrade(path, folder)


def test_a_missing_folder_is_named(path: Path, tmp_path: Path) -> None:
    """A misspelt path does not pass for a service without tables."""
    with pytest.raises(SchemaMismatch, match="nowhere"):
        migrations.upgrade(path, tmp_path / "nowhere")


def test_check_tells_a_database_that_is_behind(path: Path, folder: Path, add: AddRevision) -> None:
    """It names both revisions."""
    add("0001", FIRST)
    with pytest.raises(SchemaMismatch, match="at revision None, the program at 0001"):
        migrations.check(path, folder)
    migrations.upgrade(path, folder)
    migrations.check(path, folder)


async def test_check_compares_the_tables(path: Path, folder: Path, add: AddRevision) -> None:
    """What the store keeps for itself does not count; a column that is missing does."""
    add("0001", FIRST)
    add("0002", SECOND)
    migrations.upgrade(path, folder)
    async with SQLiteStore(path, tracer=NullTracer()):
        migrations.check(path, folder, customers())
    metadata = customers()
    metadata.tables["customer"].append_column(sa.Column("extra", sa.Integer))
    with pytest.raises(SchemaMismatch, match="extra"):
        migrations.check(path, folder, metadata)


def test_migrating_is_quiet(
    path: Path,
    folder: Path,
    add: AddRevision,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing on the terminal, nothing in the log that needs a look."""
    add("0001", FIRST)
    migrations.upgrade(path, folder)
    migrations.check(path, folder)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


MIGRATE = """
import sys
from pathlib import Path

from mesh.storage import migrations

assert "alembic" not in sys.modules
migrations.upgrade(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def is_waiting_for(lock: Path) -> bool:
    waiters = [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(f":{lock.stat().st_ino} " in line for line in waiters)


def test_a_migration_waits_for_one_under_way(path: Path, folder: Path, add: AddRevision) -> None:
    """It does not touch the database while another process holds the lock beside it."""
    add("0001", FIRST)
    path.parent.mkdir()
    lock = path.with_name("test.db.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = start(MIGRATE, path, folder)
        while child.poll() is None and not is_waiting_for(lock):
            os.sched_yield()
        assert child.returncode is None
        assert not path.exists()
    assert child.communicate() == (b"", b"")
    assert migrations.current(path) == "0001"


FORK = """
import os, sys
from pathlib import Path

import alembic.command, alembic.autogenerate, alembic.script
from mesh.storage import migrations

database, folder = map(Path, sys.argv[1:])
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        migrations.upgrade(database, folder)
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


@pytest.mark.parametrize("script", [MIGRATE, FORK], ids=["started", "forked"])
def test_several_processes_may_migrate_at_once(
    path: Path, folder: Path, add: AddRevision, script: str
) -> None:
    """One works and the others wait, whether started afresh or forked after the imports."""
    add("0001", FIRST)
    add("0002", SECOND)
    children = [start(script, path, folder) for _ in range(3)]
    told = [child.communicate() for child in children]
    assert told == [(b"", b"")] * 3
    assert [child.returncode for child in children] == [0, 0, 0]
    migrations.check(path, folder, customers())
