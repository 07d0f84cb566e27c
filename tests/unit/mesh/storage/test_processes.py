"""A process that dies in the middle of writing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from mesh.storage import SQLiteStore

OpenStore = Callable[..., SQLiteStore]

PREAMBLE = """
import asyncio, sys
from pathlib import Path

import sqlalchemy as sa

from mesh.storage import SQLiteStore
from mesh.telemetry import NullTracer

path, tasks, each = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

async def main():
    async with SQLiteStore(path, tracer=NullTracer()) as store:
        await asyncio.gather(*(work(store, number) for number in range(tasks)))
"""

WRITE = (
    PREAMBLE
    + """
async def work(store, number):
    insert = sa.text("INSERT INTO item (id, n) VALUES (:id, :n)")
    for step in range(1, each + 1):
        n = number * each + step
        async with store.transaction() as tx:
            await tx.execute(insert, {"id": n, "n": n})
            await asyncio.sleep(0)
            await tx.execute(insert, {"id": -n, "n": n})
        print(n, flush=True)

asyncio.run(main())
"""
)


def start(script: str, path: Path, tasks: int, each: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(tasks), str(each)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("lines", [1, 40, 300])
async def test_what_was_acknowledged_survives_a_kill(
    open_store: OpenStore, item: sa.Table, path: Path, lines: int
) -> None:
    """Every transaction whose block had ended is there, and none is there by half."""
    async with open_store() as store, store.transaction() as tx:
        await tx.execute(CreateTable(item))

    def kill_after_some_lines() -> list[int]:
        with start(WRITE, path, tasks=8, each=10_000) as child:
            assert child.stdout is not None
            seen = [next(child.stdout) for _ in range(lines)]
            child.kill()
            return [int(line) for line in [*seen, *child.stdout] if line.endswith("\n")]

    acknowledged = await asyncio.to_thread(kill_after_some_lines)
    async with open_store() as store:
        kept = {row.id for block in [b async for b in store.scan(sa.select(item))] for row in block}
    assert len(acknowledged) >= lines
    assert set(acknowledged) <= kept
    assert kept == {-number for number in kept}
