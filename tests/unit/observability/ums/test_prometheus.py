"""The Prometheus endpoint: names, types, labels and the port."""

from __future__ import annotations

import asyncio
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from mesh.clock import ManualClock
from observability.ums.points import Distribution, Kind, PointTable, Process, Series, Value
from observability.ums.prometheus import PointCollector, PrometheusEndpoint

ORIGIN = {"service": "customer", "instance": "one"}


def table_of(*points: tuple[Series, Value], instance: str = "one") -> PointTable:
    table = PointTable(ManualClock())
    table.update(Process("customer", instance), dict(points))
    return table


def scraped(table: PointTable) -> dict[str, list[Sample]]:
    """Samples by the name of their family, as a Prometheus server would parse them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PointCollector(table))
    text = generate_latest(registry).decode()
    return {family.name: family.samples for family in text_string_to_metric_families(text)}


def test_a_counter_ends_in_total() -> None:
    """Dots become underscores, and the platform's name stands before."""
    families = scraped(table_of((Series("sequencer.ids_leased", Kind.COUNTER, "", ()), 7.0)))
    assert families == {
        "engine_sequencer_ids_leased": [
            Sample("engine_sequencer_ids_leased_total", ORIGIN, 7.0),
        ]
    }


def test_a_unit_becomes_a_suffix_once() -> None:
    """A name that already says its unit is left alone."""
    families = scraped(
        table_of(
            (Series("lag", Kind.GAUGE, "s", ()), 0.5),
            (Series("wal_bytes", Kind.GAUGE, "By", ()), 1.0),
        )
    )
    assert set(families) == {"engine_lag_seconds", "engine_wal_bytes"}


def test_a_histogram_counts_cumulatively_up_to_infinity() -> None:
    """Buckets of OTLP stand side by side, those of Prometheus contain one another."""
    duration = Series("rpc.server.duration", Kind.HISTOGRAM, "s", (("rpc.code", "OK"),))
    samples = scraped(table_of((duration, Distribution(1.25, (0.1, 1.0), (2, 0, 3)))))[
        "engine_rpc_server_duration_seconds"
    ]
    labels = {**ORIGIN, "rpc_code": "OK"}
    name = "engine_rpc_server_duration_seconds"
    assert samples == [
        Sample(f"{name}_bucket", {**labels, "le": "0.1"}, 2.0),
        Sample(f"{name}_bucket", {**labels, "le": "1.0"}, 2.0),
        Sample(f"{name}_bucket", {**labels, "le": "+Inf"}, 5.0),
        Sample(f"{name}_count", labels, 5.0),
        Sample(f"{name}_sum", labels, 1.25),
    ]


def test_an_attribute_cannot_pass_for_the_origin() -> None:
    """Service and instance are those of the sender, whatever a point says."""
    forged = Series("made", Kind.COUNTER, "", (("service", "ark"), ("a-b", "x")))
    (sample,) = scraped(table_of((forged, 1.0)))["engine_made"]
    assert sample.labels == {**ORIGIN, "a_b": "x"}


def test_a_name_with_two_types_is_shown_with_the_first() -> None:
    """The text stays readable for a scraper when two senders disagree."""
    families = scraped(
        table_of(
            (Series("a.b", Kind.COUNTER, "", ()), 1.0), (Series("a_b", Kind.GAUGE, "", ()), 2.0)
        )
    )
    assert [len(samples) for samples in families.values()] == [1]


async def test_the_endpoint_serves_over_http_and_gives_its_port_back() -> None:
    """Port 0 picks one, which can be read, and is free again after leaving."""
    table = table_of((Series("made", Kind.COUNTER, "", ()), 1.0))
    async with PrometheusEndpoint("127.0.0.1", 0, table) as endpoint:
        url = f"http://{endpoint.address}/metrics"
        text = await asyncio.to_thread(_get, url)
    assert "engine_made_total{" in text
    port = int(endpoint.address.rpartition(":")[2])
    async with PrometheusEndpoint("127.0.0.1", port, table) as again:
        assert again.address == endpoint.address


async def test_a_taken_port_is_refused_by_the_name_of_its_setting() -> None:
    """The operator reads which variable to change."""
    table = table_of()
    async with PrometheusEndpoint("127.0.0.1", 0, table) as endpoint:
        port = int(endpoint.address.rpartition(":")[2])
        with pytest.raises(OSError, match=f"ENGINE_METRICS_PORT={port}"):
            await PrometheusEndpoint("127.0.0.1", port, table).__aenter__()


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())
