"""Gapless numbers over the mesh: 64 callers reserve a number and confirm it.

Server, database and callers are processes of their own, on one machine. Each call
carries a request id, so that its answer is kept with its effect, and both commits of
a pair wait for the disk. The figure is refused when a number was given out twice or
the report does not account for each.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from engine.sequencer.v1 import gapless_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from loadtests.processes import Worker
from loadtests.servers import MariaDb
from mesh import DirectoryRegistry, Settings
from mesh.app import host_id
from mesh.channel import Channel, registered
from mesh.context import CALLER
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import to_environ
from mesh.storage import address, migrations
from mesh.tokens import ServiceKey, write_trust
from sequencer.app import BLUEPRINT

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

NAME: Final = "bench.gapless"
BENCH: Final = "bench"
CALLERS: Final = 64
TIMEOUT_S: Final = 10.0
RIGHTS: Final = frozenset({"sequencer.reserve", "sequencer.create", "sequencer.read"})


def gapless_figures(run: Run) -> Iterator[Figure]:
    """Pairs of reserve and confirm a second, on MariaDB and on SQLite."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp"))
        )
        mariadb = stack.enter_context(MariaDb(folder / "db"))
        stores = {"MariaDB": mariadb.url, "SQLite": ""}
        for store, url in stores.items():
            settings = Settings(
                var=folder / store.lower(), port_base=0, drain_s=0.2, database_url=url
            )
            with _served(settings), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                seconds = 2.0 if run.quick else 10.0
                pairs, number_ms = runner.run(_measured(settings, seconds))
            yield run.report(
                f"GAPLESS reserve + confirm, {CALLERS} callers, {store}", pairs, "pairs/s"
            )
            yield run.report("… a pair with one caller, median", number_ms, "ms")


@contextmanager
def _served(settings: Settings) -> Iterator[None]:
    """The sequencer in a process of its own."""
    settings.data_dir.mkdir(parents=True)
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(address(settings, BLUEPRINT.name), BLUEPRINT.migrations)
    write_trust(
        settings.key_dir,
        {BLUEPRINT.name: BLUEPRINT.rights | RIGHTS_OF_ALL, BENCH: RIGHTS},
    )
    log, environ = settings.var / "server.log", to_environ(settings)
    with Worker("loadtests.bench.sequencer_processes", "server", log=log, environ=environ) as one:
        yield
        one.stop()


async def _measured(settings: Settings, seconds: float) -> tuple[float, float]:
    """Pairs a second of all callers, and milliseconds of a pair of one."""
    key = ServiceKey.load(settings.key_dir, BENCH)
    registry = DirectoryRegistry(settings.run_dir)
    async with AsyncExitStack() as stack:
        channel = Channel(
            BLUEPRINT.name,
            registered(registry, BLUEPRINT.name, host_id()),
            lambda: ((CALLER, key.token()),),
        )
        stack.push_async_callback(channel.close)
        wanted = sequencer_pb2.Sequence(name=NAME, kind=sequencer_pb2.SEQUENCE_KIND_GAPLESS)
        await SequencerServiceStub(channel).CreateSequence(
            sequencer_pb2.CreateSequenceRequest(sequence=wanted), timeout=TIMEOUT_S
        )
        stub: Any = GaplessServiceStub(channel)
        ids = count(1)
        await _paired(stub, ids, 1.0)
        began = time.perf_counter()
        used = await _paired(stub, ids, seconds)
        rate = len(used) / (time.perf_counter() - began)
        await _audit(stub, used)
        return rate, await _alone(stub, ids)


async def _paired(stub: Any, ids: Iterator[int], seconds: float) -> list[int]:
    """The numbers that all callers used in so many seconds."""
    until = time.perf_counter() + seconds

    async def caller() -> list[int]:
        used: list[int] = []
        while time.perf_counter() < until:
            used += await _pair(stub, ids)
        return used

    found = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return [number for some in found for number in some]


async def _pair(stub: Any, ids: Iterator[int]) -> list[int]:
    request = pb.ReserveNumbersRequest(
        name=NAME, count=1, client_id="bench", request_id=f"r{next(ids)}"
    )
    held = (await stub.ReserveNumbers(request, timeout=TIMEOUT_S)).reservation
    confirm = pb.ConfirmNumbersRequest(
        name=NAME,
        reservation=held.reservation,
        token=held.token,
        numbers=held.numbers,
        request_id=f"c{next(ids)}",
    )
    return [*(await stub.ConfirmNumbers(confirm, timeout=TIMEOUT_S)).numbers]


async def _alone(stub: Any, ids: Iterator[int]) -> float:
    """Median milliseconds of a pair with nobody else there."""
    clock: Callable[[], float] = time.perf_counter
    took: list[float] = []
    for _ in range(200):
        began = clock()
        await _pair(stub, ids)
        took.append(clock() - began)
    return sorted(took)[len(took) // 2] * 1e3


async def _audit(stub: Any, used: list[int]) -> None:
    if len(used) != len(set(used)):
        raise RuntimeError("a number was given out twice")
    report = await stub.GetGapReport(pb.GetGapReportRequest(name=NAME), timeout=TIMEOUT_S)
    open_ = {one.state: one.count for one in report.counts if one.count}
    if open_.keys() != {pb.NUMBER_STATE_CONFIRMED}:
        raise RuntimeError(f"not every number is confirmed: {open_}")
    if open_[pb.NUMBER_STATE_CONFIRMED] < max(used):
        raise RuntimeError("the report does not account for each number")
