"""Several processes write to one database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conformance.stores import STORES, Place, place

COUNTER = sa.Table(
    "counter",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n", sa.BigInteger, nullable=False),
)

COUNT = """
import asyncio, sys
from pathlib import Path, PosixPath
import sqlalchemy as sa
from mesh.storage import MySQLAddress, open_store
from mesh.telemetry import NullTracer

async def work(store, each):
    for _ in range(each):
        async with store.transaction() as tx:
            n = (await tx.fetch_all(sa.text("SELECT n FROM counter")))[0].n
            await asyncio.sleep(0)
            await tx.execute(sa.text("UPDATE counter SET n = :n"), {"n": n + 1})

async def main():
    tasks, each = map(int, sys.argv[2:])
    async with open_store(eval(sys.argv[1]), tracer=NullTracer()) as store:
        await asyncio.gather(*(work(store, each) for _ in range(tasks)))

asyncio.run(main())
"""


def start(address: object, tasks: int, each: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", COUNT, repr(address), str(tasks), str(each)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(("tasks", "each"), [(1, 1_500), (15, 100)])
async def test_two_processes_lose_no_update(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, tasks: int, each: int
) -> None:
    """Each reads, adds one and writes 1,500 times, alone or by many tasks; the sum is 3,000."""
    database: Place = place(kind, request, tmp_path)
    async with database.open() as store:
        await database.create(store, COUNTER)
        async with store.transaction() as tx:
            await tx.execute(sa.insert(COUNTER), {"id": 1, "n": 0})
        children = [start(database.address, tasks, each) for _ in range(2)]
        assert [await asyncio.to_thread(child.wait, 120) for child in children] == [0, 0]
        assert (await store.fetch_all(sa.select(COUNTER.c.n)))[0].n == 3_000
