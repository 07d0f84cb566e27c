"""Four programs that live on one sequence: server, MariaDB and the way between them are real.

The way to MariaDB takes 5 ms there and back, as between two sites of a city.
`python -m loadtests.bench.sequencer_processes server|taker …` is one of the processes.
"""

from __future__ import annotations

import asyncio
import mmap
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from loadtests.bench._figure import Direction
from loadtests.processes import Worker, asked_to_stop, serving
from loadtests.proxy import Proxy
from loadtests.servers import MariaDb
from mesh import App, DirectoryRegistry, Settings
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import load, to_environ
from mesh.storage import address, migrations
from mesh.tokens import ServiceKey, write_trust
from sequencer.app import BLUEPRINT
from sequencer.sdk import GrpcRangeSource, Sequencer, mesh_source

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

NAME: Final = "bench.shared"
CALLER: Final = "bench"
TAKERS: Final = 4
RATE: Final = 100_000
SURVIVE_S: Final = 10.0
ROUND_TRIP_S: Final = 0.005
BATCH: Final = 1_000
CHUNK: Final = 65_536
WARM_S: Final = 4.0
WRITES: Final = ("insert", "insert_select", "update", "delete", "replace")
_COUNTS: Final = struct.Struct("<qq")


def figures(run: Run) -> Iterator[Figure]:
    """The figures of programs that share a sequence."""
    with _stage() as stage:
        yield from _paced(run, stage)
        yield _unpaced(run, stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """The running parts."""

    settings: Settings
    server: MariaDb
    source: GrpcRangeSource
    environ: Mapping[str, str]

    def sequence(self) -> pb.Sequence:
        """The sequence as the service sees it."""
        answer: pb.GetSequenceResponse = self.source.link.call(
            NAME,
            lambda channel: SequencerServiceStub(channel).GetSequence,
            pb.GetSequenceRequest(name=NAME),
            timeout_s=5.0,
        )
        return answer.sequence

    def taken(self) -> int:
        """Ids that were granted and have not come back."""
        sequence = self.sequence()
        return sequence.next_value - sequence.start - sequence.returned

    def writes(self) -> int:
        """Statements so far that changed something in MariaDB."""
        names = ", ".join(f"'Com_{name}'" for name in WRITES)
        rows = self.server.query(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
        return sum(int(value) for _, value in rows)

    def taker(self, name: str, rate: int) -> Worker:
        """A program that takes ids; `rate` 0 is as fast as it can."""
        return Worker(
            "loadtests.bench.sequencer_processes",
            "taker",
            name,
            str(rate),
            log=self.settings.var / f"{name}.log",
            environ=self.environ,
        )


@contextmanager
def _stage() -> Iterator[_Stage]:
    with (
        tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as name,
        MariaDb(Path(name) / "db") as mariadb,
        Proxy(mariadb.address) as proxy,
    ):
        settings = Settings(
            var=Path(name), port_base=0, drain_s=0.2, database_url=mariadb.url_by(proxy.port)
        )
        settings.data_dir.mkdir()
        assert BLUEPRINT.migrations is not None
        migrations.upgrade(address(settings, BLUEPRINT.name), BLUEPRINT.migrations)
        rights = frozenset({"sequencer.lease", "sequencer.create", "sequencer.read"})
        write_trust(
            settings.key_dir,
            {BLUEPRINT.name: BLUEPRINT.rights | RIGHTS_OF_ALL, CALLER: rights},
        )
        proxy.delay(ROUND_TRIP_S / 2)
        source = _source(settings)
        environ = to_environ(settings)
        log = settings.var / "server.log"
        module = "loadtests.bench.sequencer_processes"
        with Worker(module, "server", log=log, environ=environ):
            source.ensure(NAME, timeout_s=5.0)
            yield _Stage(settings=settings, server=mariadb, source=source, environ=environ)
        source.close()


def _paced(run: Run, stage: _Stage) -> Iterator[Figure]:
    seconds = 5.0 if run.quick else 20.0
    names = [f"paced-{number}" for number in range(TAKERS)]
    with ExitStack() as stack:
        takers = [stack.enter_context(stage.taker(name, RATE)) for name in names]
        time.sleep(WARM_S)
        waits, writes, used = _waits(stage, names), stage.writes(), _used(stage, names)
        time.sleep(seconds)
        waited, wrote = _waits(stage, names) - waits, stage.writes() - writes
        pace = (_used(stage, names) - used) / seconds
        for taker in takers:
            taker.stop()
    wasted = stage.taken() - _used(stage, names)
    what = f"{TAKERS} programs, {RATE:,} ids/s each"
    note = f"{pace:,.0f} ids/s in all"
    yield _at_most(run, f"{what}: waits", waited, unit="", bar=0, note=note)
    yield _at_most(run, "… store writes", wrote / seconds, unit="/s", bar=10)
    yield _at_most(run, "… ids wasted after SIGTERM of all", wasted, unit="ids", bar=0)
    yield _at_most(
        run,
        "… ids wasted after SIGKILL of one",
        _after_kill(stage, wasted),
        unit="ids",
        bar=CHUNK,
        note=f"of a program that holds some {RATE * SURVIVE_S:,.0f}",
    )


def _after_kill(stage: _Stage, wasted: int) -> int:
    """Ids that were lost by a kill; the killed program is started again and returns its tail."""
    names = [f"paced-{number}" for number in range(TAKERS)]
    with ExitStack() as stack:
        takers = [stack.enter_context(stage.taker(name, RATE)) for name in names]
        time.sleep(WARM_S)
        takers[0].kill()
        takers[0].start()
        time.sleep(1.0)
        for taker in takers:
            taker.stop()
    return stage.taken() - _used(stage, names) - wasted


def _unpaced(run: Run, stage: _Stage) -> Figure:
    seconds = 2.0 if run.quick else 8.0
    names = [f"unpaced-{number}" for number in range(TAKERS)]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(stage.taker(name, 0))
        time.sleep(WARM_S)
        before = _used(stage, names)
        time.sleep(seconds)
        rate = (_used(stage, names) - before) / seconds
    return run.report(f"{TAKERS} programs unpaced, each id used", rate / 1e6, "M ids/s in all")


def _at_most(run: Run, name: str, value: float, *, unit: str, bar: float, note: str = "") -> Figure:
    return run.judged(
        name, [value, value], unit=unit, bar=bar, direction=Direction.AT_MOST, note=note
    )


def _used(stage: _Stage, names: Sequence[str]) -> int:
    return sum(_read(stage.settings.var / f"{name}.counts")[0] for name in names)


def _waits(stage: _Stage, names: Sequence[str]) -> int:
    return sum(_read(stage.settings.var / f"{name}.counts")[1] for name in names)


def _read(path: Path) -> tuple[int, int]:
    used, waits = _COUNTS.unpack(path.read_bytes())
    return used, waits


def _source(settings: Settings) -> GrpcRangeSource:
    registry = DirectoryRegistry(settings.run_dir)
    return mesh_source(registry, ServiceKey.load(settings.key_dir, CALLER))


async def _serve() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = load()
    async with App(BLUEPRINT, settings, DirectoryRegistry(settings.run_dir), keys=[]):
        serving()
        await stop.wait()


def _take(name: str, rate: int) -> None:
    """Take ids until SIGTERM, and count them where others see it, also after a kill."""
    settings = load()
    stop = asked_to_stop()
    with (
        _counts(settings.var / f"{name}.counts") as counts,
        Sequencer(
            _source(settings), survive_s=SURVIVE_S, journal=settings.var / "journals"
        ) as sequencer,
    ):
        sequence = sequencer.sequence(NAME)
        next_id = sequence.next_id
        used, _ = _COUNTS.unpack(counts[:])
        serving()
        at = time.monotonic()
        while not stop.is_set():
            for _ in repeat(None, BATCH):
                next_id()
            used += BATCH
            counts[:] = _COUNTS.pack(used, sequence.stats().waits)
            if rate:
                at += BATCH / rate
                stop.wait(max(at - time.monotonic(), 0.0))


@contextmanager
def _counts(path: Path) -> Iterator[mmap.mmap]:
    if not path.exists():
        path.write_bytes(_COUNTS.pack(0, 0))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), _COUNTS.size) as counts:
        yield counts


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["server"]:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
                _runner.run(_serve())
        case ["taker", name_, rate_]:
            _take(name_, int(rate_))
