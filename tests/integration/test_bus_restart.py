"""Real processes: a bus, a publisher and a consumer that are killed in the middle of a stream."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loadtests.servers import Redis
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import Settings
from mesh.tokens import write_trust

EVENTS = 3_000
KEYS = 50

PREAMBLE = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue
from mesh import bus
from mesh.app import App
from mesh.bus.app import BLUEPRINT as BUS
from mesh.events import Subscription, event
from mesh.registry import DirectoryRegistry
from mesh.service import Blueprint, Service
from mesh.settings import load

settings = replace(load(), var=Path(sys.argv[1]), drain_s=1.0, port_base=0, bus_lease_s=1.0)
parts = None

def blueprint(name, react=None):
    def build(given):
        global parts
        parts = given
        mine = [Subscription(group="ledger", topic="orders", react=react, batch=200)]
        return Service(servicers=[], subscriptions=mine if react else [])
    folder = Path(bus.__file__).parent / "migrations"  # any that exist
    return Blueprint(name=name, build=build, migrations=folder)

def serving(blueprint):
    return App(blueprint, settings, DirectoryRegistry(settings.run_dir), keys=[])
"""

BUS = (
    PREAMBLE
    + """
async def main():
    async with serving(BUS):
        print("serving", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
)

PUBLISHER = (
    PREAMBLE
    + """
first, last, keys = map(int, sys.argv[2:5])

async def main():
    async with serving(blueprint("publisher")):
        for start in range(first, last, 10):
            async with parts.store.transaction() as tx:
                for number in range(start, start + 10):
                    told = StringValue(value=f"{number}")
                    tx.publish(event(told, key=f"key {number % keys}", topic="orders"))
            if start % 100 == 0:
                print(start, flush=True)
        print("published", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
)

CONSUMER = (
    PREAMBLE
    + """
total = int(sys.argv[2])
INSERT = sa.text("INSERT INTO ledger (number) VALUES (:number)")
COUNT = sa.text("SELECT count(*) AS n FROM ledger")

async def react(given):
    number = int(StringValue.FromString(given.payload).value)
    await asyncio.sleep(0)
    async def effect(tx):
        await tx.execute(INSERT, {"number": number})
    return effect

async def main():
    async with serving(blueprint("consumer", react)):
        said = -1
        while said < total:
            (row,) = await parts.store.fetch_all(COUNT)
            if row.n > said:
                said = row.n
                print(said, flush=True)
            await asyncio.sleep(0.005)

asyncio.run(main())
"""
)

Process = subprocess.Popen[str]


class Start:
    """Starts processes that talk over their pipes."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.settings: dict[str, str] = {}
        self.started: list[Process] = []

    def __call__(self, script: str, *arguments: object) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(self.var), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self.settings,
        )
        self.started.append(process)
        return process


@pytest.fixture
def start(var: Path) -> Iterator[Start]:
    """Starts processes in a folder where the three trust one another; none outlives the test."""
    services = ("bus", "publisher", "consumer")
    write_trust(Settings(var=var).key_dir, dict.fromkeys(services, RIGHTS_OF_ALL))
    start = Start(var)
    yield start
    for process in start.started:
        process.kill()
        process.communicate()


def heard(process: Process, wanted: str = "") -> str:
    """The next line, or the first one that is wanted."""
    assert process.stdout is not None
    for line in process.stdout:
        if not wanted or line == f"{wanted}\n":
            return line
    raise AssertionError("it ended early")


def heard_number(process: Process, least: int) -> int:
    """The first number that is large enough."""
    while (number := int(heard(process))) < least:
        pass
    return number


def kill(process: Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def make_ledger(database: Path) -> None:
    """Make the table of the consumer's effects."""
    database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE ledger (place INTEGER PRIMARY KEY, number INTEGER)")


def ledger(database: Path) -> list[int]:
    """The numbers of the events that had their effect, in the order in which they had."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT number FROM ledger ORDER BY place").fetchall()
    return [number for (number,) in found]


def test_each_effect_happens_once_though_everybody_dies(start: Start, var: Path) -> None:
    """The bus, the consumer and the publisher are killed in turn; in the end all is there once."""
    database = var / "data" / "consumer.db"
    make_ledger(database)
    half = EVENTS // 2
    bus = start(BUS)
    heard(bus)
    consumer = start(CONSUMER, EVENTS)
    publisher = start(PUBLISHER, 0, half, KEYS)

    heard_number(consumer, 200)
    kill(bus)
    bus = start(BUS)
    heard(bus)
    heard_number(consumer, 500)
    kill(consumer)
    heard(publisher, "published")
    kill(publisher)  # some of its events may still wait in its outbox
    publisher = start(PUBLISHER, half, EVENTS, KEYS)
    consumer = start(CONSUMER, EVENTS)
    heard_number(consumer, half)
    kill(bus)
    start(BUS)
    assert heard_number(consumer, EVENTS) == EVENTS
    consumer.communicate(timeout=30)
    check(ledger(database))


@pytest.mark.real
def test_each_effect_happens_once_though_everybody_dies_on_redis(start: Start, var: Path) -> None:
    """Redis and a consumer are killed in turn; another consumer stands by, and takes over."""
    database = var / "data" / "consumer.db"
    make_ledger(database)
    with Redis(var / "redis") as redis:
        start.settings = {"ENGINE_BUS": "redis", "ENGINE_REDIS_URL": redis.url}
        publisher = start(PUBLISHER, 0, EVENTS, KEYS)
        consumer = start(CONSUMER, EVENTS)
        heard_number(consumer, 200)
        stand_by = start(CONSUMER, EVENTS)
        redis.restart()
        heard_number(consumer, 500)
        kill(consumer)
        heard_number(stand_by, EVENTS // 2)
        redis.restart()
        heard(publisher, "published")
        assert heard_number(stand_by, EVENTS) == EVENTS
        stand_by.communicate(timeout=30)
    check(ledger(database))


def check(numbers: list[int]) -> None:
    """Nothing is lost or doubled, and each key is in its order."""
    assert sorted(numbers) == [*range(EVENTS)], "nothing lost, nothing doubled"
    for key in range(KEYS):
        mine = [number for number in numbers if number % KEYS == key]
        assert mine == sorted(mine), "each key in its order"
