"""The sequencer's server: leases a second through the mesh, memory a sequence, a first id.

`python -m loadtests.bench.sequencer_server echo` is the peer's process.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import uvloop

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from loadtests.bench._figure import Direction
from loadtests.bench.sequencer_first import first_id
from loadtests.bench.sequencer_stage import channel, prepare, served, settings_in
from loadtests.processes import Worker, serving
from loadtests.servers import MariaDb

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run
    from mesh import Settings

CALLERS: Final = 64
TIMEOUT_S: Final = 10.0
PEER: Final = "grpc.aio on uvloop, no interceptors, the answer from memory"
KINDS: Final = {"STRICT": pb.SEQUENCE_KIND_STRICT, "SEGMENT": pb.SEQUENCE_KIND_SEGMENT}
SIZES: Final = {"STRICT": 1, "SEGMENT": 1_000}
SEQUENCES, QUICK_SEQUENCES = 10_000, 2_000
WARM_SEQUENCES: Final = 256
MAX_BYTES: Final = 4_096


def server_figures(run: Run) -> Iterator[Figure]:
    """The figures of the server."""
    with (
        tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as name,
        MariaDb(Path(name) / "db") as mariadb,
    ):
        yield from _leases(run, Path(name), mariadb.url)
        yield from _memory(run, Path(name))
        yield first_id(run, Path(name), mariadb)


def _leases(run: Run, folder: Path, url: str) -> Iterator[Figure]:
    """Leases a second of 64 callers of one sequence, against an echo of the same messages."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        echo = stack.enter_context(
            Worker("loadtests.bench.sequencer_server", "echo", log=folder / "echo.log")
        )
        plain = runner.run(_plain(echo.said[-1]))
        stack.callback(lambda: runner.run(plain.close()))
        for store, database_url in {"SQLite": "", "MariaDB": url}.items():
            settings = settings_in(folder / store.lower(), database_url)
            prepare(settings)
            with served(settings):
                mesh = channel(settings)
                for kind in KINDS:
                    ours = runner.run(_created(mesh, kind))
                    yield from _lease(run, runner, f"{kind}, {store}", (ours, _Leases(plain, kind)))
                runner.run(mesh.close())


def _lease(
    run: Run, runner: asyncio.Runner, what: str, sides: tuple[_Leases, _Leases]
) -> Iterator[Figure]:
    ours, peer = sides
    yield run.ratio(
        f"leases/s, {what}, {CALLERS} callers ÷ plain echo",
        lambda: float(runner.run(ours.rate(run.stretch_s))),
        lambda: float(runner.run(peer.rate(run.stretch_s))),
        against=PEER,
    )
    yield run.report("… leases/s", runner.run(ours.rate(run.stretch_s)), "/s")


class _Leases:
    """Leases of one sequence, each caller's behind its last one as the SDK's are."""

    def __init__(self, channel_: grpc.aio.Channel, kind: str) -> None:
        self._stub: Any = pb_grpc.SequencerServiceStub(channel_)
        self._kind = kind

    async def rate(self, seconds: float) -> float:
        """Leases a second with `CALLERS` callers."""
        began = time.perf_counter()
        until = began + seconds
        counts = await asyncio.gather(*(self._caller(n, until) for n in range(CALLERS)))
        return sum(counts) / (time.perf_counter() - began)

    async def _caller(self, number: int, until: float) -> int:
        request = pb.LeaseRangeRequest(
            name=_name(self._kind), client_id=str(number), size=SIZES[self._kind]
        )
        taken = 0
        while time.perf_counter() < until:
            answer = await self._stub.LeaseRange(request, timeout=TIMEOUT_S)
            request.last.CopyFrom(answer.lease.witness)
            taken += 1
        return taken


async def _created(mesh: grpc.aio.Channel, kind: str) -> _Leases:
    stub: Any = pb_grpc.SequencerServiceStub(mesh)
    wanted = pb.Sequence(name=_name(kind), kind=KINDS[kind])
    await stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted), timeout=TIMEOUT_S)
    return _Leases(mesh, kind)


def _name(kind: str) -> str:
    return f"bench.{kind.lower()}"


async def _plain(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address)


def _memory(run: Run, folder: Path) -> Iterator[Figure]:
    """What the server's process grows by for each sequence that is created and leased from."""
    sequences = QUICK_SEQUENCES if run.quick else SEQUENCES
    settings = settings_in(folder / "many", "")
    prepare(settings)
    with (
        served(settings) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_taken_up(settings, "bench.warm", WARM_SEQUENCES))
        before = server.resident_bytes
        began = time.perf_counter()
        runner.run(_taken_up(settings, "bench.many", sequences))
        took = time.perf_counter() - began
        grown = (server.resident_bytes - before) / sequences
    yield run.judged(
        f"{sequences:,} sequences: memory a sequence, server",
        [grown, grown],
        unit="bytes",
        bar=MAX_BYTES,
        direction=Direction.AT_MOST,
        note="growth of the process, its store's cache included",
    )
    yield run.report("… created and first leased from", sequences / took, "sequences/s")


async def _taken_up(settings: Settings, name: str, sequences: int) -> None:
    """Create sequences, and lease from each."""
    names = (f"{name}.n{number}" for number in range(sequences))
    async with _stub(settings) as stub:

        async def caller() -> None:
            for one in names:
                wanted = pb.Sequence(name=one)
                await stub.CreateSequence(
                    pb.CreateSequenceRequest(sequence=wanted), timeout=TIMEOUT_S
                )
                await stub.LeaseRange(
                    pb.LeaseRangeRequest(name=one, client_id="1", size=1_000), timeout=TIMEOUT_S
                )

        await asyncio.gather(*(caller() for _ in range(CALLERS)))


@asynccontextmanager
async def _stub(settings: Settings) -> AsyncIterator[Any]:
    async with channel(settings) as opened:
        yield pb_grpc.SequencerServiceStub(opened)


class _Echo:
    """Grants the next ids from memory; the contract's other methods are absent."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __getattr__(self, _method: str) -> None:
        return None

    async def LeaseRange(self, request: Any, _context: Any) -> pb.LeaseRangeResponse:  # noqa: N802
        number = next(self._numbers)
        lease = pb.Lease(lease_number=number, first=number, size=request.size, increment=1)
        lease.witness.number = lease.witness.position = number
        lease.witness.mark = 2**62
        return pb.LeaseRangeResponse(lease=lease)


async def _echo() -> None:
    server = grpc.aio.server()
    servicer: Any = _Echo()
    pb_grpc.add_SequencerServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    serving()
    await server.wait_for_termination()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo"]:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
                _runner.run(_echo())
