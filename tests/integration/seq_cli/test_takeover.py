"""`engine seq import`: taking over from tables and sequences of other databases."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli.seq.old_store import OldStoreError, Place, Reading, opened
from cli.seq.takeover import read_twice
from loadtests.servers import MariaDb
from tests.integration.seq_cli.told import Engine


@pytest.fixture
def orders(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a table whose highest id is 40."""
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as store:
        store.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        store.executemany("INSERT INTO orders VALUES (?)", [(5,), (40,)])
        store.commit()
    return ("--from", f"sqlite://{file}", "--table", "orders", "--column", "id", "--wait", "0")


@pytest.fixture
def shop(mariadb: MariaDb) -> Iterator[str]:
    """A database of the test's own: `orders` up to 40, and a SEQUENCE."""
    name = f"shop_{secrets.token_hex(4)}"
    mariadb.query(f"CREATE DATABASE {name}")
    mariadb.query(
        "CREATE TABLE `odd``orders` (`odd``id` BIGINT PRIMARY KEY AUTO_INCREMENT);"
        "INSERT INTO `odd``orders` VALUES (5), (40);"
        "CREATE TABLE labels (label VARCHAR(10));"
        "INSERT INTO labels VALUES ('9'), ('10');"
        "CREATE SEQUENCE order_ids START WITH 100 CACHE 50;"
        "CREATE SEQUENCE downwards START WITH 100 INCREMENT BY -1 MINVALUE 1 MAXVALUE 100",
        name,
    )
    yield name
    mariadb.query(f"DROP DATABASE {name}")


async def test_ids_go_on_above_those_of_the_old_store(
    engine: Engine, orders: tuple[str, ...]
) -> None:
    """Both readings are shown, and the first id is the start."""
    done = await engine("import", "shop.order", *orders, "--start", "41")

    assert done.exit_code == 0, done.output
    assert "first\t40\t-\nsecond\t40\t-\n" in done.stdout
    assert (await engine("next", "shop.order")).stdout == "41\n"


async def test_a_start_among_the_old_ids_is_refused(
    engine: Engine, orders: tuple[str, ...]
) -> None:
    """With by how much, and a start that would do; nothing is created."""
    refused = await engine("import", "shop.order", *orders, "--start", "40")

    assert refused.exit_code == 1
    assert "the highest id there is 40, 1 too high for --start 40" in refused.stderr
    assert "--start 1100 leaves room" in refused.stderr
    assert "There is no sequence" in (await engine("peek", "shop.order")).stderr


async def test_a_sequence_that_has_granted_is_not_taken_over_into(
    engine: Engine, orders: tuple[str, ...]
) -> None:
    """One that exists and has not is, when it begins at the same start."""
    await engine("create", "shop.order", "--start", "500")
    arguments = ("import", "shop.order", *orders, "--start")

    assert "other settings" in (await engine(*arguments, "600")).stderr
    assert (await engine(*arguments, "500")).exit_code == 0
    await engine("next", "shop.order")

    refused = await engine(*arguments, "500")
    assert refused.exit_code == 1
    assert "has granted ids already" in refused.stderr


async def test_a_gapless_sequence_that_has_given_numbers_is_not_taken_over_into(
    engine: Engine, orders: tuple[str, ...]
) -> None:
    """Also when they came back; until then the import may be run again."""
    again = ("import", "shop.invoice", *orders, "--start", "500", "--kind", "gapless")
    for _ in range(2):
        assert (await engine(*again)).exit_code == 0
    made = await engine("reserve", "shop.invoice")
    _, reservation, token, *_ = made.stdout.splitlines()[1].split("\t")
    await engine("release", "shop.invoice", reservation, token)

    refused = await engine(*again)
    assert refused.exit_code == 1
    assert "has granted ids already" in refused.stderr


async def test_a_snowflake_is_not_taken_over_into(engine: Engine, orders: tuple[str, ...]) -> None:
    """It has no first id, and is not said to have granted any."""
    await engine("create", "trace.span", "--kind", "snowflake")

    refused = await engine("import", "trace.span", *orders, "--start", "500")
    assert refused.exit_code == 1
    assert "other settings" in refused.stderr


async def test_a_writer_that_goes_on_below_the_start_is_warned_of(
    engine: Engine, orders: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken over, and said how long it takes until the old ids reach ours."""

    def go_on(_: float) -> None:
        with closing(sqlite3.connect(orders[1].removeprefix("sqlite://"))) as store:
            store.execute("INSERT INTO orders VALUES (41)")
            store.commit()

    monkeypatch.setattr("cli.seq.takeover._pause", go_on)

    done = await engine("import", "shop.order", *orders, "--start", "3641")

    assert done.exit_code == 0, done.output
    assert "ids are still taken there: 1 within 0 s" in done.stderr
    assert "in 1.0 hours" in done.stderr


async def test_ids_that_were_given_and_deleted_are_warned_of(
    engine: Engine, tmp_path: Path
) -> None:
    """The highest id that is left says nothing of them; what the store would give next does."""
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as store:
        store.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        store.execute("INSERT INTO orders VALUES (5000)")
        store.execute("DELETE FROM orders")
        store.commit()
    place = ("--from", f"sqlite://{file}", "--table", "orders", "--column", "id", "--wait", "0")

    done = await engine("import", "shop.order", *place, "--start", "100")

    assert done.exit_code == 0, done.output
    assert "the store would give 5001 next, above --start 100" in done.stderr


@pytest.mark.parametrize(
    "options", [[], ["--table", "orders"], ["--table", "a", "--column", "b", "--sequence", "c"]]
)
async def test_the_place_of_the_ids_is_named_once(engine: Engine, options: list[str]) -> None:
    """A table with its column, or a sequence."""
    url = ("--from", "mysql://db/shop", "--start", "1")
    refused = await engine("import", "shop.order", *url, *options)

    assert refused.exit_code == 2
    assert "--table and --column, or --sequence" in refused.stderr


@pytest.mark.real
def test_a_writer_between_the_readings_is_seen_on_a_server(mariadb: MariaDb, shop: str) -> None:
    """Each reading is a transaction of its own; names are quoted."""
    place = Place(name="odd`orders", column="odd`id")
    old = opened(f"{mariadb.url}/{shop}", place, None)

    def go_on(_: float) -> None:
        mariadb.query("INSERT INTO `odd``orders` VALUES (41), (90)", shop)

    readings = read_twice(old, 5.0, go_on)

    assert readings.first == Reading(maximum=40, upcoming=41)
    assert readings.second == Reading(maximum=90, upcoming=91)


@pytest.mark.real
async def test_a_writer_that_goes_on_past_the_start_is_refused(
    engine: Engine, mariadb: MariaDb, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reading alone would have let it pass."""

    def go_on(_: float) -> None:
        mariadb.query("INSERT INTO `odd``orders` VALUES (5000)", shop)

    monkeypatch.setattr("cli.seq.takeover._pause", go_on)
    url = ("--from", f"{mariadb.url}/{shop}", "--table", "odd`orders", "--column", "odd`id")

    refused = await engine("import", "shop.order", *url, "--start", "1000")

    assert refused.exit_code == 1
    assert "the highest id there is 5000, 4001 too high" in refused.stderr


@pytest.mark.real
def test_a_sequence_of_mariadb_counts_what_it_cached(mariadb: MariaDb, shop: str) -> None:
    """Ids in a cache may be given at any moment."""
    old = opened(f"{mariadb.url}/{shop}", Place(name="order_ids"), None)
    assert old.read() == Reading(maximum=99, upcoming=100)

    mariadb.query("SELECT NEXT VALUE FOR order_ids", shop)

    assert old.read() == Reading(maximum=149, upcoming=150)


@pytest.mark.real
@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place(name="downwards"), "descends"),
        (Place(name="no_such"), "doesn't exist"),
        (Place(name="labels", column="label"), "whole numbers"),
        (Place(name="labels", column="no_such"), "Unknown column"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(
    mariadb: MariaDb, shop: str, place: Place, said: str
) -> None:
    """The highest of texts is '9', though '10' is among them."""
    with pytest.raises(OldStoreError, match=said):
        opened(f"{mariadb.url}/{shop}", place, None).read()


@pytest.mark.real
def test_a_server_that_is_not_there_is_told(shop: str) -> None:
    """With where, and what to check."""
    with pytest.raises(OldStoreError, match=r"127\.0\.0\.1:1") as refused:
        opened(f"mysql://root@127.0.0.1:1/{shop}", Place(name="a", column="b"), None).read()
    assert "--password-file" in refused.value.next_step
