"""What it costs a call that its instance is looked up in the registry's table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from loadtests.bench._figure import Direction, Figure
from loadtests.bench.discovery_stage import Stage
from loadtests.bench.mesh_load import Flow, closed_loop
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.servers import REQUEST
from mesh.channel import Channel, Endpoint
from mesh.registry.client import LeaseRegistry

if TYPE_CHECKING:
    from loadtests.bench import Run

CALLERS: Final = 64
BAR: Final = 0.95
STATIC, TABLE = "static list", "registry"
TIMEOUT_S: Final = 30.0


def flow_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    with stage.running("customer") as served:
        registry, channels = stage.run(_opened(stage, served))
        try:
            measures = {
                name: partial(_flow, run, stage, channel, served["pid"])
                for name, channel in channels.items()
            }
            rounds = Rounds(run, measures)
        finally:
            stage.run(_closed(registry, channels))
    yield rounds.ratio(
        f"calls/s over lanes, {CALLERS} callers, through the registry ÷ a static list",
        TABLE,
        STATIC,
        of=attrgetter("rate"),
        against="the same channel to the same process, by its address",
        bar=BAR,
        direction=Direction.AT_LEAST,
    )
    for name in channels:
        yield run.report(f"… {name}", rounds.middle(name, attrgetter("rate")), "/s")


async def _opened(stage: Stage, served: dict[str, Any]) -> tuple[LeaseRegistry, dict[str, Channel]]:
    registry = await stage.registry().__aenter__()
    endpoint = Endpoint(served["address"], tuple(served["lanes"]))
    channels = {STATIC: stage.channel([endpoint]), TABLE: stage.by_registry(registry)}
    for channel in channels.values():
        await channel.channel_ready()
    return registry, channels


async def _closed(registry: LeaseRegistry, channels: dict[str, Channel]) -> None:
    for channel in channels.values():
        await channel.close()
    await registry.__aexit__(None, None, None)


def _flow(run: Run, stage: Stage, channel: Channel, pid: int) -> Flow:
    stub: Any = CustomerServiceStub(channel)
    call = partial(stub.GetCustomer, REQUEST, timeout=TIMEOUT_S)
    return stage.run(closed_loop(call, pid, callers=CALLERS, seconds=run.stretch_s))
