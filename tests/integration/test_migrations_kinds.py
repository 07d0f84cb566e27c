"""Migrations on both kinds of database: programs of two versions, many at once, cut off."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loadtests.servers import MariaDb
from mesh.storage import MySQLAddress, SchemaMismatch, StorageError, StoreUnavailable, migrations
from mesh.storage.migrations._steps import Steps

FIRST = '''
"""Customers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tier", sa.SmallInteger, nullable=False),
    )
'''

SECOND = '''
"""What a customer is called, and how often he came."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("customer", sa.Column("visits", sa.Integer, nullable=False, server_default="0"))
    op.create_index("customer_tier", "customer", ["tier"])
    op.execute("UPDATE customer SET visits = visits + 1")
    visit = op.create_table(
        "visit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(visit, [{"customer": 1}, {"customer": 2}])
    op.drop_index("customer_tier", "customer")
'''
STATEMENTS = 6

THIRD = '''
"""Customers have no tier."""

from alembic import op

revision = "0003"
down_revision = "0002"
contracts = True


def upgrade() -> None:
    with op.batch_alter_table("customer") as customer:
        customer.drop_column("tier")
'''


@pytest.fixture
def folders(tmp_path: Path) -> Sequence[Path]:
    """The migrations of three versions of a service, one revision longer each."""
    made = []
    for count in (1, 2, 3):
        folder = tmp_path / f"version{count}"
        (folder / "versions").mkdir(parents=True)
        for number, text in enumerate((FIRST, SECOND, THIRD)[:count], start=1):
            (folder / "versions" / f"000{number}.py").write_text(text)
        made.append(folder)
    return made


class FileStore:
    """A database in a file."""

    def __init__(self, path: Path) -> None:
        self.address = path
        self.words = [str(path)]

    def run(self, sql: str) -> list[list[str]]:
        with closing(sqlite3.connect(self.address)) as connection, connection:
            return [[str(value) for value in row] for row in connection.execute(sql)]


class ServerStore:
    """A database on a server, gone at the start."""

    def __init__(self, server: MariaDb, name: str) -> None:
        server.query(f"DROP DATABASE IF EXISTS {name}")
        self.address = MySQLAddress(host="127.0.0.1", port=server.port, user="root", database=name)
        self.words = [str(server.port), name]
        self._server = server

    def run(self, sql: str) -> list[list[str]]:
        return self._server.query(sql, self.address.database)


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore | ServerStore:
    """A database of either kind that does not exist yet."""
    if request.param == "file":
        return FileStore(tmp_path / "data" / "test.db")
    return ServerStore(request.getfixturevalue("mariadb"), "kinds")


@pytest.fixture
def on_server(mariadb: MariaDb) -> ServerStore:
    """A database on a server that does not exist yet."""
    return ServerStore(mariadb, "steps")


CHILD = """
import os, sys
from pathlib import Path

import alembic.command, alembic.operations, alembic.script
import mesh.storage.migrations._driver
from mesh.storage import MySQLAddress, migrations

def address(words):
    if len(words) == 1:
        return Path(words[0])
    return MySQLAddress(host="127.0.0.1", port=int(words[0]), user="root", database=words[1])

def fork(act):
    child = os.fork()
    if not child:
        try:
            act()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return child
"""

AT_ONCE = (
    CHILD
    + """
where, folders = address(sys.argv[4:]), [Path(word) for word in sys.argv[1:3]]
children = [fork(lambda: migrations.upgrade(where, folder)) for folder in folders * 3]
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
"""
)

CUT_OFF = (
    CHILD
    + """
import signal
from mesh.storage.migrations._steps import Steps

where, folder = address(sys.argv[4:]), Path(sys.argv[2])
note = Steps._note

def cut(target, when):
    def noting(steps, cursor, column):
        here = (steps._number, column) == target
        if here and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        note(steps, cursor, column)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
    Steps._note = noting
    migrations.upgrade(where, folder)

for number in range(1, int(sys.argv[3]) + 1):
    for column, when in (("begun", "after"), ("done", "before"), ("done", "after")):
        child = fork(lambda: cut((number, column), when))
        ended = os.waitpid(child, 0)[1]
        assert ended == signal.SIGKILL, (number, column, when, ended)
"""
)


def child(script: str, folders: Sequence[Path], words: Sequence[str]) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c", script),
            *map(str, folders[:2]),
            str(STATEMENTS),
            *words,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_program_runs_on_what_the_next_one_has_migrated(
    store: FileStore | ServerStore, folders: Sequence[Path]
) -> None:
    """It starts, writes as ever, and leaves the schema alone."""
    old, new, _ = folders
    migrations.upgrade(store.address, old)
    store.run("INSERT INTO customer (id, tier) VALUES (1, 1)")
    migrations.upgrade(store.address, new)
    for start in (migrations.upgrade, migrations.check):
        start(store.address, old)
    store.run("INSERT INTO customer (id, tier) VALUES (2, 1)")
    assert store.run("SELECT id, visits FROM customer ORDER BY id") == [["1", "1"], ["2", "0"]]
    assert migrations.standing(store.address, old) == migrations.Standing(
        revision="0002", newest="0001", known=False, fits=True
    )


def test_a_program_stays_away_from_a_database_that_has_lost_what_it_uses(
    store: FileStore | ServerStore, folders: Sequence[Path]
) -> None:
    """It says which revision it is, and what to do."""
    old, new, newest = folders
    migrations.upgrade(store.address, newest)
    for folder in (old, new):
        for start in (migrations.upgrade, migrations.check):
            with pytest.raises(SchemaMismatch, match="revision 0003 takes away"):
                start(store.address, folder)


def test_a_database_whose_revisions_nobody_remembers_is_refused(
    store: FileStore | ServerStore, folders: Sequence[Path]
) -> None:
    """Of a revision that is not written down, nobody knows that it only adds."""
    old, new, _ = folders
    migrations.upgrade(store.address, new)
    store.run("DELETE FROM engine_migration WHERE revision = '0002'")
    with pytest.raises(SchemaMismatch, match="have parted"):
        migrations.upgrade(store.address, old)


def test_what_was_applied_before_databases_remembered_it_is_written_down(
    store: FileStore | ServerStore, folders: Sequence[Path]
) -> None:
    """The next upgrade does it, though there is nothing else to do."""
    old, new, _ = folders
    migrations.upgrade(store.address, new)
    store.run("DROP TABLE engine_migration")
    migrations.upgrade(store.address, new)
    migrations.upgrade(store.address, old)


def test_programs_of_two_versions_may_start_at_once(
    store: FileStore | ServerStore, folders: Sequence[Path]
) -> None:
    """Six on a database that none has made yet: it ends at the newest revision, once."""
    child(AT_ONCE, folders, store.words)
    assert migrations.current(store.address) == "0002"
    assert store.run("SELECT COUNT(*) FROM visit") == [["2"]]


@pytest.mark.real
def test_a_revision_that_is_cut_off_goes_on_where_it_stopped(
    on_server: ServerStore, folders: Sequence[Path]
) -> None:
    """Killed before and after each statement is noted, it has taken effect once in the end."""
    migrations.upgrade(on_server.address, folders[0])
    on_server.run("INSERT INTO customer (id, tier) VALUES (1, 1)")
    child(CUT_OFF, folders, on_server.words)
    assert migrations.current(on_server.address) == "0001"
    assert migrations.standing(on_server.address, folders[1]).under_way == "0002"
    migrations.upgrade(on_server.address, folders[1])
    migrations.check(on_server.address, folders[1])
    assert on_server.run("SELECT visits FROM customer") == [["1"]]
    assert on_server.run("SELECT customer FROM visit ORDER BY customer") == [["1"], ["2"]]


@pytest.mark.real
def test_a_revision_goes_on_after_its_server_died(
    var: Path, folders: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The death is told as such; the next call ends the revision."""
    with MariaDb(var) as server:
        store = ServerStore(server, "died")
        note = Steps._note

        def die(steps: Steps, cursor: Any, column: str) -> None:
            if (steps._number, column) == (4, "done"):
                server.kill()
            note(steps, cursor, column)

        with monkeypatch.context() as patched:
            patched.setattr(Steps, "_note", die)
            with pytest.raises(StoreUnavailable):
                migrations.upgrade(store.address, folders[1])
        with pytest.raises(StoreUnavailable):
            migrations.current(store.address)
        server.start()
        migrations.upgrade(store.address, folders[1])
        assert store.run("SELECT COUNT(*) FROM visit") == [["2"]]


@pytest.mark.real
def test_what_is_there_for_another_reason_is_a_failure(
    on_server: ServerStore, folders: Sequence[Path]
) -> None:
    """Only a statement that was sent before may find its work done."""
    migrations.upgrade(on_server.address, folders[0])
    on_server.run("CREATE TABLE visit (id INT)")
    with pytest.raises(StorageError, match="error 1050"):
        migrations.upgrade(on_server.address, folders[1])
    on_server.run("DROP TABLE visit")
    migrations.upgrade(on_server.address, folders[1])
    assert on_server.run("SELECT COUNT(*) FROM visit") == [["2"]]


@pytest.mark.real
def test_a_database_that_takes_different_keys_for_the_same_is_refused(
    on_server: ServerStore, folders: Sequence[Path], mariadb: MariaDb
) -> None:
    """'a' and 'A' are different keys to a service; the refusal says what to run."""
    name = on_server.address.database
    mariadb.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    with pytest.raises(SchemaMismatch, match=f"ALTER DATABASE {name}") as refused:
        migrations.upgrade(on_server.address, folders[0])
    mariadb.query(str(refused.value).partition("run ")[2])
    migrations.upgrade(on_server.address, folders[0])


@pytest.mark.real
async def test_a_server_is_migrated_from_within_an_event_loop(
    on_server: ServerStore, folders: Sequence[Path]
) -> None:
    """The functions are synchronous wherever they are called."""
    migrations.upgrade(on_server.address, folders[0])
    assert migrations.current(on_server.address) == "0001"
