"""How far ids of an SQLite file, or of a server that is not here, have come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.seq.old_store import MySqlColumn, MySqlSequence, OldStoreError, Place, Reading, opened
from cli.seq.takeover import Readings, read_twice

ODD = 'or"der`s; DROP TABLE x'
"""A name that must be quoted."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with a table of orders, three of them, and one of an odd name."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as store:
        store.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT)")
        store.execute("CREATE TABLE empty (id INTEGER)")
        odd = ODD.replace('"', '""')
        store.execute(f'CREATE TABLE "{odd}" ("{odd}" INTEGER)')
        store.execute(f'INSERT INTO "{odd}" VALUES (7)')
        store.executemany("INSERT INTO orders VALUES (?, 'x')", [(5,), (17,), (40,)])
        store.commit()
    return path


def taken(file: Path, *ids: int) -> Callable[[float], None]:
    """A wait in which somebody takes ids."""

    def wait(_: float) -> None:
        with closing(sqlite3.connect(file)) as store:
            store.executemany("INSERT INTO orders VALUES (?, 'x')", [(one,) for one in ids])
            store.commit()

    return wait


def test_a_writer_that_goes_on_is_seen(file: Path) -> None:
    """The second reading has what was committed since the first."""
    old = opened(f"sqlite://{file}", Place(name="orders", column="id"), None)

    readings = read_twice(old, 5.0, taken(file, 41, 90))

    assert readings.first == Reading(maximum=40, upcoming=41)
    assert readings.second == Reading(maximum=90, upcoming=91)
    assert (readings.maximum, readings.rise) == (90, 50)


def test_an_empty_table_has_no_highest_id(file: Path) -> None:
    """And without AUTOINCREMENT nobody says what comes next."""
    old = opened(f"sqlite://{file}", Place(name="empty", column="id"), None)
    assert old.read() == Reading(maximum=None)


def test_deleted_rows_are_hinted_at(file: Path) -> None:
    """Ids once given and deleted show in what the store would give next."""
    with closing(sqlite3.connect(file)) as store:
        store.execute("DELETE FROM orders WHERE id = 40")
        store.commit()
    old = opened(f"sqlite://{file}", Place(name="orders", column="id"), None)
    assert old.read() == Reading(maximum=17, upcoming=41)


def test_odd_names_are_quoted(file: Path) -> None:
    """No name is ever a statement."""
    old = opened(f"sqlite://{file}", Place(name=ODD, column=ODD), None)
    assert old.read().maximum == 7


@pytest.mark.parametrize(
    ("table", "column", "said"),
    [
        ("orders", "no", "no such column"),
        ("no", "id", "no such table"),
        ("orders", "label", "whole numbers"),
        ("", "id", "empty"),
    ],
)
def test_what_holds_no_ids_is_refused(file: Path, table: str, column: str, said: str) -> None:
    """SQLite would take an unknown column in quotes for a text, and a text never rises."""
    with pytest.raises(OldStoreError, match=said):
        opened(f"sqlite://{file}", Place(name=table, column=column), None).read()


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Reading never leaves a new empty store behind."""
    with pytest.raises(OldStoreError, match="unable to open"):
        opened(f"sqlite://{tmp_path}/no.db", Place(name="orders", column="id"), None).read()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://db/shop", "is no store"),
        ("mysql://db", "is no store"),
        ("mysql://shop:secret@db:port/shop", "no host and port"),
        ("mysql://shop:secret@db:70000/shop", "no host and port"),
        ("mysql://shop:secret@[db/shop", "no host and port"),
        ("mysql://shop:secret@db/shop", "password in a URL"),
    ],
)
def test_urls_that_cannot_be_used_are_refused_without_their_password(url: str, said: str) -> None:
    """What was in the URL by mistake is not printed."""
    with pytest.raises(OldStoreError, match=said) as refused:
        opened(url, Place(name="orders", column="id"), None)
    assert "secret" not in str(refused.value)


def test_a_password_comes_from_a_file_that_only_its_owner_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or from the variable that MySQL's clients use."""
    place, url = Place(name="orders", column="id"), "mysql://shop@db:3307/shop?ca=/etc/ca.pem"
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    secret.chmod(0o644)
    with pytest.raises(OldStoreError, match="others can read"):
        opened(url, place, secret)
    secret.chmod(0o600)
    monkeypatch.setenv("MYSQL_PWD", "from a variable")

    by_file, by_variable = opened(url, place, secret), opened(url, place, None)

    assert isinstance(by_file, MySqlColumn)
    assert isinstance(by_variable, MySqlColumn)
    assert by_file.server.password == "from a file"
    assert by_variable.server.password == "from a variable"
    assert (by_file.server.port, by_file.server.ca) == (3307, Path("/etc/ca.pem"))
    assert "from a" not in repr(by_file)


class Tidb:
    """Answers as TiDB's documentation shows."""

    def __init__(self, *, increment: int = 1, cycle: int = 0) -> None:
        self._settings = (increment, cycle)
        self.asked: list[str] = []

    def ask(self, *statements: tuple[str, Sequence[Any]]) -> list[Sequence[Sequence[Any]]]:
        return [self._rows(text) for text, _ in statements]

    def _rows(self, text: str) -> Sequence[Sequence[Any]]:
        self.asked.append(text)
        if "VERSION()" in text:
            return [("8.0.11-TiDB-v7.5.1",)]
        if "NEXT_ROW_ID" in text:
            return [("shop", "order_ids", "_tidb_rowid", 1), ("shop", "order_ids", "", 3001)]
        return [self._settings]


def test_a_sequence_of_tidb_counts_what_its_servers_cached() -> None:
    """The next id of the cluster, not of the server that was asked."""
    tidb: Any = Tidb()
    old = MySqlSequence(server=tidb, sequence="order`ids")

    assert old.read() == Reading(maximum=3000, upcoming=3001)
    assert "SHOW TABLE `order``ids` NEXT_ROW_ID" in tidb.asked


@pytest.mark.parametrize("settings", [{"increment": -1}, {"cycle": 1}])
def test_sequences_that_do_not_only_rise_are_refused(settings: dict[str, int]) -> None:
    """No start lies above all their ids."""
    tidb: Any = Tidb(**settings)
    with pytest.raises(OldStoreError, match=r"begins again|descends"):
        MySqlSequence(server=tidb, sequence="order_ids").read()


def test_a_start_is_suggested_with_room_for_a_day() -> None:
    """At the pace that was seen, rounded up to two digits, above what the store gives next."""

    def readings(first: int, second: int, upcoming: int | None = None) -> Readings:
        after = Reading(maximum=second, upcoming=upcoming)
        return Readings(first=Reading(maximum=first), second=after, wait_s=10.0)

    assert readings(100, 100).start() == 1_100
    assert readings(41_237, 41_237).start() == 43_000
    assert readings(1_000_000, 1_000_100).start() == 1_900_000  # 10/s: 864,000 a day
    assert readings(100, 100, upcoming=9_999).start() == 11_000


class Highest(Tidb):
    """A server whose column holds something else than integers."""

    def __init__(self, maximum: object) -> None:
        super().__init__()
        self._maximum = maximum

    def _rows(self, text: str) -> Sequence[Sequence[Any]]:
        return [(self._maximum,)] if "MAX" in text else [(None,)]


def test_numbers_of_any_exact_type_are_read() -> None:
    """DECIMAL columns and unsigned ones hold whole numbers as well."""
    server: Any = Highest(Decimal(2**64))
    old = MySqlColumn(server=server, table="orders", column="id")
    assert old.read() == Reading(maximum=2**64)


@pytest.mark.parametrize(
    "maximum", [date(2026, 11, 26), timedelta(hours=1), Decimal("7.5"), 7.0, "7", b"7"]
)
def test_a_column_of_anything_else_is_refused(maximum: object) -> None:
    """Dates, times, texts and fractions are no ids."""
    server: Any = Highest(maximum)
    with pytest.raises(OldStoreError, match="whole numbers"):
        MySqlColumn(server=server, table="orders", column="id").read()
