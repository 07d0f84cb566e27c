"""The carrier of text messages as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.simulator.v1 import simulator_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from simulators.courier import Courier
from simulators.reach import RIGHT, ReachReports
from simulators.reports import ReportStore
from simulators.sms.rpc import SmsRpc
from simulators.sms.service import Carrier
from simulators.sms.store import MessageStore


def build(parts: Parts) -> Service:
    """The carrier from its parts."""
    reach = ReachReports(parts.channel("reach"))
    courier = Courier(ReportStore(parts.store), reach.send, parts.clock)
    carrier = Carrier(MessageStore(parts.store), parts.clock, courier.wake)
    contract = simulator_pb2.DESCRIPTOR.services_by_name["SmsSimulatorService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=SmsRpc(carrier))],
        resources=[courier],
    )


BLUEPRINT: Final = Blueprint(
    name="sms",
    build=build,
    after=("identity",),
    migrations=Path(__file__).parent / "migrations",
    single=True,  # one courier tells the reports, in their order
    rights=frozenset({RIGHT}),
)
