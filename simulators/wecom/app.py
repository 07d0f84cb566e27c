"""WeCom as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.simulator.v1 import simulator_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from simulators.courier import Courier
from simulators.reports import ReportStore
from simulators.wecom.callbacks import RIGHT, Callbacks
from simulators.wecom.domain import Limits
from simulators.wecom.rpc import WecomSimulatorRpc
from simulators.wecom.service import Wecom
from simulators.wecom.store import TaskStore

NAME: Final = "wecom-server"
"""The bank's own side of it is the service "wecom"."""


def build(parts: Parts, limits: Limits | None = None) -> Service:
    """WeCom from its parts, with limits of its own or those of the public one."""
    callbacks = Callbacks(parts.channel("wecom"))
    courier = Courier(ReportStore(parts.store), callbacks.send, parts.clock)
    wecom = Wecom(TaskStore(parts.store), limits or Limits(), parts.clock, courier.wake)
    contract = simulator_pb2.DESCRIPTOR.services_by_name["WecomSimulatorService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=WecomSimulatorRpc(wecom))],
        resources=[courier],
    )


BLUEPRINT: Final = Blueprint(
    name=NAME,
    build=build,
    after=("identity",),
    migrations=Path(__file__).parent / "migrations",
    single=True,  # one courier tells the reports, in their order
    rights=frozenset({RIGHT}),
)
