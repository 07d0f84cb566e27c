"""Strict ids over the mesh: 64 tasks of one program that each wait for the next id.

Server, database and callers are processes of their own, on one machine. The peer is an
echo over grpc.aio that does nothing, asked by as many tasks of the same process: what
strict ids cost is one write to the store for all who wait together.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import uvloop

from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from loadtests.bench.mesh import PEER, REQUEST
from loadtests.bench.sequencer_stage import BENCH, prepare, served, settings_in
from loadtests.bench.servers import started
from loadtests.servers import MariaDb
from mesh import DirectoryRegistry, Settings
from mesh.tokens import ServiceKey
from sequencer.sdk import Sequencer, mesh_source

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from loadtests.bench import Figure, Run

NAME: Final = "bench.strict"
CALLERS: Final = 64
TIMEOUT_S: Final = 10.0


def strict_figures(run: Run) -> Iterator[Figure]:
    """Ids a second of all callers, on MariaDB and on SQLite."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp"))
        )
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        plain = stack.enter_context(started("plain"))
        mariadb = stack.enter_context(MariaDb(folder / "db"))
        for store, url in {"MariaDB": mariadb.url, "SQLite": ""}.items():
            settings = settings_in(folder / store.lower(), url)
            prepare(settings)
            with served(settings), _client(settings) as sequencer:
                strict = sequencer.strict(NAME)

                def ours(take: Callable[[], Awaitable[int]] = strict.next_id_async) -> float:
                    return runner.run(_rate(take, run.stretch_s))

                yield run.ratio(
                    f"STRICT next_id_async(), {CALLERS} callers, {store} ÷ plain echo",
                    ours,
                    lambda: runner.run(_echo(plain["address"], run.stretch_s)),
                    against=PEER,
                )
                yield run.report(f"… {store}, absolute", ours(), "ids/s")
                stats = strict.stats()
                yield run.report("… ids a request", stats.used / stats.leases, "ids")


def _client(settings: Settings) -> Sequencer:
    key = ServiceKey.load(settings.key_dir, BENCH)
    source = mesh_source(DirectoryRegistry(settings.run_dir), key)
    return Sequencer(source, create_missing=True, timeout_s=TIMEOUT_S)


async def _echo(address: str, seconds: float) -> float:
    """Answers a second of a server that does nothing."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = CustomerServiceStub(channel)
        return await _rate(lambda: stub.GetCustomer(REQUEST, timeout=TIMEOUT_S), seconds)


async def _rate(call: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Calls a second of all callers, each waiting for its answer."""
    began = time.perf_counter()
    counts = await asyncio.gather(*(_until(call, began + seconds) for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - began)


async def _until(call: Callable[[], Awaitable[object]], end: float) -> int:
    done = 0
    while time.perf_counter() < end:
        await call()
        done += 1
    return done
