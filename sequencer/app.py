"""The sequencer as a service of the mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.sequencer.v1 import sequencer_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.rpc import SequencerRpc
from sequencer.service import Sequencer
from sequencer.store import SqlSequenceStore


def build(parts: Parts) -> Service:
    """The service, given its parts."""
    store = SqlSequenceStore(parts.store)
    sequencer = Sequencer(store, parts.clock, parts.telemetry.meters)
    contract = sequencer_pb2.DESCRIPTOR.services_by_name["SequencerService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=SequencerRpc(sequencer))]
    )


BLUEPRINT: Final = Blueprint(
    name="sequencer",
    build=build,
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
)
