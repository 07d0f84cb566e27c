"""`engine db` on files and on MariaDB."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from loadtests.servers import MariaDb
from tests import program
from tests.program import Done

ENGINE = (sys.executable, "-c", "from cli.main import main; main()")
NAMES = ("product", "learning")
USER, PASSWORD = "it's", 'a "b" \\ c#'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The settings of files in a folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "ENGINE_VAR": str(tmp_path / "var")}


@pytest.fixture
def on_server(environ: dict[str, str], mariadb: MariaDb) -> dict[str, str]:
    """The settings of databases on a server, by a user whose password is hard to write."""
    quoted = USER.replace("'", "''"), PASSWORD.replace("\\", "\\\\")
    mariadb.query(f"CREATE OR REPLACE USER '{quoted[0]}'@'%' IDENTIFIED BY '{quoted[1]}'")
    mariadb.query(f"GRANT ALL ON *.* TO '{quoted[0]}'@'%'")
    for name in NAMES:
        mariadb.query(f"DROP DATABASE IF EXISTS cli_{name}")
    return environ | {
        "ENGINE_DATABASE_URL": f"mysql://it%27s@127.0.0.1:{mariadb.port}".replace("%27", "'"),
        "ENGINE_DATABASE_PASSWORD": PASSWORD,
        "ENGINE_DATABASE_PREFIX": "cli_",
    }


def engine(environ: dict[str, str], *words: str) -> Done:
    ours = {k: v for k, v in environ.items() if k.startswith("ENGINE_") or k == "PATH"}
    return program.engine("db", *words, settings=ours)


def table(environ: dict[str, str], *words: str) -> list[list[str]]:
    """The rows that a command prints into a pipe, without the head."""
    done = engine(environ, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\t") for line in done.stdout.splitlines()][1:]


def run(path: Path, sql: str) -> list[Sequence[object]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


@pytest.mark.slow
def test_databases_are_made_shown_and_compared(environ: dict[str, str], tmp_path: Path) -> None:
    """From none, over the newest revision, to one that somebody has changed by hand."""
    path = tmp_path / "var" / "data" / "product.db"
    assert table(environ, "current", "product") == [["product", str(path), "-", "0001", "none yet"]]
    assert table(environ, "upgrade", *NAMES) == [
        ["learning", str(path.with_name("learning.db")), "-", "0001"],
        ["product", str(path), "-", "0001"],
    ]
    assert [row[-1] for row in table(environ, "current", *NAMES)] == ["up to date"] * 2
    assert [row[-1] for row in table(environ, "check", *NAMES)] == ["as expected"] * 2
    run(path, "DROP INDEX suitability_check_customer")
    done = engine(environ, "check", *NAMES)
    assert done.returncode == 1
    assert "as expected" in done.stdout
    assert "suitability_check_customer" in done.stdout


def test_a_copy_of_a_file_is_whole_and_private(environ: dict[str, str], tmp_path: Path) -> None:
    """It can be put in place of the file; what exists is not written over."""
    table(environ, "upgrade", *NAMES)
    source = tmp_path / "var" / "data" / "product.db"
    run(source, "INSERT INTO product VALUES (1, 'A1', 2)")
    folder = tmp_path / "copies"
    rows = table(environ, "backup", str(folder), *NAMES)
    assert [row[0] for row in rows] == sorted(NAMES)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "learning.db": 0o600,
        "product.db": 0o600,
    }
    assert run(folder / "product.db", "SELECT * FROM product") == [(1, "A1", 2)]
    again = engine(environ, "backup", str(folder), "product")
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert "Name a new folder" in again.stderr


def test_a_copy_that_cannot_be_written_leaves_nothing(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """The error names the file."""
    table(environ, "upgrade", "product")
    (tmp_path / "file").touch()
    done = engine(environ, "backup", str(tmp_path / "file" / "below"), "product")
    assert done.returncode == 1
    assert "product.db cannot be written" in done.stderr


def test_an_unknown_service_is_named_with_those_there_are(environ: dict[str, str]) -> None:
    """It is the caller's mistake."""
    done = engine(environ, "current", "produkt")
    assert done.returncode == 2
    assert "no service 'produkt' has a database" in done.stderr
    assert "product" in done.stderr


def test_a_server_that_does_not_answer_is_told_with_what_to_look_at(
    environ: dict[str, str],
) -> None:
    """Not as a trace of calls."""
    done = engine(environ | {"ENGINE_DATABASE_URL": "mysql://root@127.0.0.1:1"}, "current")
    assert done.returncode == 1
    assert "127.0.0.1:1 is unavailable" in done.stderr
    assert "ENGINE_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_gets_a_table(environ: dict[str, str]) -> None:
    """With lines, not with tabs."""
    main, other = pty.openpty()
    with os.fdopen(main, "rb", buffering=0) as shown:
        subprocess.run(
            [*ENGINE, "db", "upgrade", "product"],
            env=environ | {"TERM": "xterm", "COLUMNS": "200"},
            stdout=other,
            check=True,
            timeout=60,
        )
        os.close(other)
        text = b""
        try:
            while piece := shown.read(65536):
                text += piece
        except OSError:  # the other side is closed and all is read
            pass
    assert "Upgrading product" in text.decode()
    assert "─" in text.decode()


@pytest.mark.real
def test_databases_on_a_server_are_made_compared_and_copied(
    on_server: dict[str, str], mariadb: MariaDb, tmp_path: Path
) -> None:
    """The copy, read back into an empty database, has the same rows."""
    table(on_server, "upgrade", *NAMES)
    assert [row[-1] for row in table(on_server, "current", *NAMES)] == ["up to date"] * 2
    assert [row[-1] for row in table(on_server, "check", *NAMES)] == ["as expected"] * 2
    mariadb.query("INSERT INTO product VALUES (1, 'ä', 2)", "cli_product")
    folder = tmp_path / "copies"
    table(on_server, "backup", str(folder), *NAMES)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "learning.sql": 0o600,
        "product.sql": 0o600,
    }
    mariadb.query(
        "CREATE OR REPLACE DATABASE cli_product CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    )
    mariadb.query((folder / "product.sql").read_text(), "cli_product")
    assert mariadb.query("SELECT * FROM product", "cli_product") == [["1", "ä", "2"]]
    assert [row[-1] for row in table(on_server, "check", "product")] == ["as expected"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("program", "told"),
    [
        (None, "apt install mariadb-client"),
        ("#!/bin/sh\necho half; echo no more room >&2; exit 3\n", "no more room"),
        ("#!/bin/sh\necho half\n", "it was cut off"),
    ],
    ids=["absent", "fails", "stops early"],
)
def test_a_dump_that_fails_leaves_nothing(
    on_server: dict[str, str], tmp_path: Path, program: str | None, told: str
) -> None:
    """Neither the copy nor half of it; the error says why."""
    table(on_server, "upgrade", "product")
    (tmp_path / "bin").mkdir()
    if program:
        (tmp_path / "bin" / "mariadb-dump").write_text(program)
        (tmp_path / "bin" / "mariadb-dump").chmod(0o700)
    folder = tmp_path / "copies"
    path = str(tmp_path / "bin")
    done = engine(on_server | {"PATH": path}, "backup", str(folder), "product")
    assert done.returncode == 1
    assert told in done.stderr
    assert not folder.exists() or list(folder.iterdir()) == []
