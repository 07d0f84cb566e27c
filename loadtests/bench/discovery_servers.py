"""The processes of the suite `discovery`: `python -m MODULE KIND FOLDER PORT`.

`registry` is the registry of leases, with its table in memory. `customer` is a service that
answers from memory, and `busy` the same with work to do for each call: both register there.
`doors` is one server that takes lanes at many sockets, each of which may be an instance.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import uvloop

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from loadtests.bench.servers import BLUEPRINT, SERVICE, Customers, until_told
from mesh import DirectoryRegistry, Servicer, Settings
from mesh.app import App
from mesh.lane import server
from mesh.registry.app import BLUEPRINT as REGISTRY
from mesh.registry.client import LeaseRegistry, opener
from mesh.tokens import ServiceKey, TokenVerifier

MODULE: Final = "loadtests.bench.discovery_servers"
HOST: Final = "127.0.0.1"
USERS: Final = "users.json"
"""In the folder: the keys that users' tokens are signed with."""
DOORS: Final = 32
BUSY_S: Final = 0.0003
"""Processor time of a call of `busy`: what a read of a database costs a service."""


class BusyCustomers(Customers):
    """Answers every customer after some work."""

    async def GetCustomer(self, request: Any, context: Any) -> Any:  # noqa: N802
        until = time.thread_time() + BUSY_S
        while time.thread_time() < until:
            pass
        return await super().GetCustomer(request, context)


def settings_in(folder: Path, port: int) -> Settings:
    """Those of all processes; the registry is at `port`."""
    return Settings(var=folder, registry=f"{HOST}:{port}", port_base=0, metrics_port=0, drain_s=0.2)


async def _registry(settings: Settings, _: Path) -> None:
    port = int(settings.registry.rpartition(":")[2])
    folder = DirectoryRegistry(settings.run_dir)
    async with App(REGISTRY, settings, folder, port=port, keys=[]):
        await until_told({})


async def _service(settings: Settings, folder: Path, implementation: Customers) -> None:
    descriptor = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
    servicer = Servicer(descriptor=descriptor, implementation=implementation)
    service = replace(SERVICE, servicers=[servicer])
    blueprint = replace(BLUEPRINT, build=lambda _: service)
    opened = opener(ServiceKey.load(settings.key_dir, blueprint.name))
    keys = json.loads((folder / USERS).read_text())
    async with (
        LeaseRegistry([settings.registry], opened) as registry,
        App(blueprint, settings, registry, keys=keys) as app,
    ):
        await until_told({"lanes": app.entry.lanes, "address": app.entry.address})


async def _customer(settings: Settings, folder: Path) -> None:
    await _service(settings, folder, Customers())


async def _busy(settings: Settings, folder: Path) -> None:
    await _service(settings, folder, BusyCustomers())


async def _doors(settings: Settings, folder: Path) -> None:
    served = server(check=TokenVerifier.load(settings.key_dir).has_signed)
    servicer: Any = Customers()
    customer_pb2_grpc.add_CustomerServiceServicer_to_server(servicer, served)
    port = served.add_insecure_port(f"{HOST}:0")
    lanes = [f"unix:{folder}/{number}.lane" for number in range(DOORS)]
    for lane in lanes:
        served.add_lane_port(lane)
    async with AsyncExitStack() as stack:
        await served.start()
        stack.push_async_callback(served.stop, None)
        await until_told({"lanes": lanes, "address": f"{HOST}:{port}"})


KINDS: Final = {"registry": _registry, "customer": _customer, "busy": _busy, "doors": _doors}

if __name__ == "__main__":
    _kind, _folder, _port = sys.argv[1:]
    _settings = settings_in(Path(_folder), int(_port))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(KINDS[_kind](_settings, Path(_folder)))
