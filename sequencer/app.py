"""The sequencer as a service of the mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.sequencer.v1 import gapless_pb2, sequencer_pb2, serial_pb2, snowflake_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.telemetry import Meters
from sequencer.allocation import Allocator
from sequencer.directory import Directory
from sequencer.gapless import (
    DailyReport,
    Gapless,
    GaplessRpc,
    Memory,
    Recent,
    SqlGaps,
    SqlNumbers,
    SqlProgress,
    Watch,
)
from sequencer.journal import WitnessJournal
from sequencer.peers import MeshPeers
from sequencer.plans import Plans
from sequencer.rpc import SequencerRpc
from sequencer.serial_rpc import SerialRpc
from sequencer.serials import Serials
from sequencer.service import Sequencer
from sequencer.snowflake import SqlWorkers, WorkerRpc, Workers, WorkerWatch
from sequencer.store import HomeLog, SqlCatalogue
from sequencer.upkeep import Upkeep
from sequencer.witnesses import Witnesses

if TYPE_CHECKING:
    from sequencer.store._redis import RedisLog


def build(parts: Parts) -> Service:
    """The service, given its parts."""
    catalogue, log = SqlCatalogue(parts.store), _log(parts)
    journal = WitnessJournal(parts.settings.data_dir / f"{parts.name}-witness.db")
    peers = MeshPeers(parts.name, parts.registry, parts.key, parts.tls)
    witnesses = Witnesses(log, journal, peers)
    directory = Directory(catalogue, parts.clock)
    allocator = Allocator(directory, log, witnesses, parts.telemetry.meters, looks=log.looks)
    plans, memory = Plans(log, witnesses), Memory(journal)
    recent = Recent(directory, parts.clock)
    sequencer = Sequencer(
        catalogue,
        log,
        allocator,
        plans,
        parts.clock,
        numbers=memory.newest,
        progress=SqlProgress(parts.store),
    )
    contract = sequencer_pb2.DESCRIPTOR.services_by_name["SequencerService"]
    servicer = SequencerRpc(sequencer, parts.clock)
    return Service(
        servicers=[
            Servicer(descriptor=contract, implementation=servicer),
            Servicer(
                descriptor=serial_pb2.DESCRIPTOR.services_by_name["SerialService"],
                implementation=SerialRpc(Serials(directory, sequencer, parts.clock)),
            ),
            _gapless(parts, recent, memory, peers),
            _snowflake(parts, directory, journal),
        ],
        resources=[
            _opened(journal, parts.telemetry.meters),
            log,
            allocator,
            DailyReport(SqlGaps(parts.store), catalogue, parts.clock, parts.telemetry.meters),
            Upkeep(
                catalogue,
                log,
                sequences=sequencer,
                used=[allocator, recent],
                clock=parts.clock,
                meters=parts.telemetry.meters,
            ),
        ],
    )


def _log(parts: Parts) -> HomeLog | RedisLog:
    if parts.settings.sequencer_log != "redis":
        return HomeLog(parts.store, parts.clock)
    from sequencer.store._redis import RedisLog  # noqa: PLC0415 - as mesh.app does

    assert parts.redis is not None, "settings with this log name a Redis"
    return RedisLog(parts.redis, parts.store, parts.clock, parts.telemetry.meters)


def _gapless(parts: Parts, recent: Recent, memory: Memory, peers: MeshPeers) -> Servicer:
    meters = parts.telemetry.meters
    watch = Watch(SqlNumbers(parts.store), memory, peers, parts.clock, meters)
    gapless = Gapless(recent, watch, parts.clock, meters)
    return Servicer(
        descriptor=gapless_pb2.DESCRIPTOR.services_by_name["GaplessService"],
        implementation=GaplessRpc(gapless, SqlGaps(parts.store), parts.clock),
    )


def _snowflake(parts: Parts, directory: Directory, journal: WitnessJournal) -> Servicer:
    meters = parts.telemetry.meters
    watch = WorkerWatch(journal, meters)
    workers = Workers(SqlWorkers(parts.store), directory, watch, parts.clock, meters)
    return Servicer(
        descriptor=snowflake_pb2.DESCRIPTOR.services_by_name["WorkerService"],
        implementation=WorkerRpc(workers),
    )


@asynccontextmanager
async def _opened(journal: WitnessJournal, meters: Meters) -> AsyncIterator[None]:
    meters.gauge("sequencer.journal_behind", lambda: float(journal.is_behind))
    with journal:
        yield


BLUEPRINT: Final = Blueprint(
    name="sequencer",
    build=build,
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=frozenset({"sequencer.witness"}),
)
