"""The call platform as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.simulator.v1 import simulator_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from simulators.calls.rpc import CallRpc
from simulators.calls.service import Platform
from simulators.calls.store import CallStore
from simulators.courier import Courier
from simulators.reach import RIGHT, ReachReports
from simulators.reports import ReportStore


def build(parts: Parts) -> Service:
    """The call platform from its parts."""
    reach = ReachReports(parts.channel("reach"))
    courier = Courier(ReportStore(parts.store), reach.send, parts.clock)
    platform = Platform(CallStore(parts.store), parts.clock, courier.wake)
    contract = simulator_pb2.DESCRIPTOR.services_by_name["CallSimulatorService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=CallRpc(platform))],
        resources=[courier],
    )


BLUEPRINT: Final = Blueprint(
    name="calls",
    build=build,
    after=("identity",),
    migrations=Path(__file__).parent / "migrations",
    single=True,  # one courier tells the reports, in their order
    rights=frozenset({RIGHT}),
)
