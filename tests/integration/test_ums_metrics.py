"""Numbers from a process's counters to what Prometheus scrapes, through a real UMS."""

from __future__ import annotations

import asyncio
import urllib.request
from itertools import accumulate

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from engine.ums.v1 import ums_pb2, ums_pb2_grpc
from mesh.context import CALLER
from mesh.telemetry import BUCKETS_S, Meters, Telemetry
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.pipeline import build_pump
from observability.ums.app import BLUEPRINT

PROBE = "probe"
CALLS = 5


async def _scraped(address: str) -> dict[str, Metric]:
    def get() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    text = await asyncio.to_thread(get)
    return {family.name: family for family in text_string_to_metric_families(text)}


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
    key = ServiceKey.load(mesh.settings.key_dir, PROBE)
    origin = {"service.name": "ums", "service.instance.id": "one"}
    target = app.entry.address
    pump = build_pump(origin, meters, lambda: target, lambda: ((CALLER, key.token()),))
    pump.start()
    await asyncio.to_thread(pump.close)

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


async def test_the_log_and_the_registry_tell_where_to_scrape(mesh: Mesh) -> None:
    """With port 0 nobody could guess it."""
    app = await mesh.start(BLUEPRINT)
    (entry,) = mesh.registry.lookup("ums")
    assert entry.http == app.entry.http
    assert await _scraped(entry.http) == {}
