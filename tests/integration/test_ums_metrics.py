"""Numbers from a process's counters to what Prometheus scrapes, through a real UMS."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from engine.ums.v1 import ums_pb2, ums_pb2_grpc
from mesh import Blueprint, Parts, Service
from mesh.context import CALLER
from mesh.telemetry import BUCKETS_S, Meters, Telemetry
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.pipeline import build_pump
from observability.ums.app import BLUEPRINT
from sequencer.app import BLUEPRINT as SEQUENCER
from sequencer.sdk.service import RIGHTS, ServiceIds

PROBE = "probe"
CALLS = 5


async def _scraped(address: str) -> dict[str, Metric]:
    def get() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    text = await asyncio.to_thread(get)
    return {family.name: family for family in text_string_to_metric_families(text)}


async def _pumped(mesh: Mesh, meters: Meters, target: str) -> None:
    """Let the UMS have the numbers, as those of its own process."""
    key = ServiceKey.load(mesh.settings.key_dir, PROBE)
    origin = {"service.name": "ums", "service.instance.id": "one"}
    pump = build_pump(origin, meters, lambda: target, lambda: ((CALLER, key.token()),))
    pump.start()
    await asyncio.to_thread(pump.close)


async def test_a_scrape_shows_exactly_what_the_process_counted(mesh: Mesh) -> None:
    """Counts, sums and buckets of real calls, under Prometheus' names."""
    mesh.trust(PROBE, {"ums.read"})
    meters = Meters()
    app = await mesh.start(BLUEPRINT, telemetry=Telemetry(meters=meters))
    stub = ums_pb2_grpc.UmsServiceStub(mesh.channel("ums", caller=PROBE))
    for _ in range(CALLS):
        await stub.ListTraces(ums_pb2.ListTracesRequest())
    meters.counter("sequencer.ids_leased").add(7)
    meters.gauge("bus.lag_s", lambda: 0.25)
    await _pumped(mesh, meters, app.entry.address)

    families = await _scraped(app.entry.http)
    labels = {"service": "ums", "instance": "one"}
    (leased,) = families["engine_sequencer_ids_leased"].samples
    assert (leased.name, leased.labels, leased.value) == (
        "engine_sequencer_ids_leased_total",
        labels,
        7.0,
    )
    assert [sample.value for sample in families["engine_bus_lag_s"].samples] == [0.25]
    stats = meters.call("server", "/engine.ums.v1.UmsService/ListTraces", "OK")
    assert stats.count == CALLS
    called = {
        **labels,
        "rpc_method": "engine.ums.v1.UmsService/ListTraces",
        "rpc_code": "OK",
    }
    histogram = families["engine_rpc_server_duration_seconds"]
    assert histogram.type == "histogram"
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    assert [
        (sample.labels, sample.value)
        for sample in histogram.samples
        if sample.name.endswith("_bucket")
    ] == [
        ({**called, "le": bound}, count)
        for bound, count in zip(bounds, accumulate(stats.buckets), strict=True)
    ]
    totals = {s.name: s.value for s in histogram.samples if "le" not in s.labels}
    assert totals == {
        "engine_rpc_server_duration_seconds_count": CALLS,
        "engine_rpc_server_duration_seconds_sum": stats.seconds,
    }


async def test_a_scrape_shows_how_the_ids_of_a_service_fare(mesh: Mesh) -> None:
    """What it holds, and how long that lasts without the sequencer."""
    taken: list[int] = []

    def build(parts: Parts) -> Service:
        ids = ServiceIds(parts)
        orders = ids.of("shop.order")

        async def take() -> AsyncIterator[None]:
            taken.extend(await orders.take(100))
            yield

        return Service(servicers=[], resources=[ids, asynccontextmanager(take)()])

    meters = Meters()
    shop = Blueprint(name=PROBE, build=build, rights=RIGHTS | {"ums.read"})
    mesh.trust(PROBE, shop.rights)
    app = await mesh.start(BLUEPRINT)
    await mesh.start(SEQUENCER)
    await mesh.start(shop, telemetry=Telemetry(meters=meters))
    await _pumped(mesh, meters, app.entry.address)

    families = await _scraped(app.entry.http)
    told = {
        family.removeprefix("engine_sequencer_client_"): metric.samples[0].value
        for family, metric in families.items()
        if family.startswith("engine_sequencer_client_")
    }
    assert len(taken) == 100
    assert told["ids_held"] > 0
    assert told["leases"] >= 1
    assert told["ids_wasted"] == told["fence_jumps"] == 0
    assert {"ids_per_s", "covered_s", "refill_latency_s", "waits"} < told.keys()


async def test_the_log_and_the_registry_tell_where_to_scrape(mesh: Mesh) -> None:
    """With port 0 nobody could guess it."""
    app = await mesh.start(BLUEPRINT)
    (entry,) = mesh.registry.lookup("ums")
    assert entry.http == app.entry.http
    assert await _scraped(entry.http) == {}
