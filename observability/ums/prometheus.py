"""The newest points in Prometheus' text format, over HTTP.

A metric `sequencer.ids_leased` is `engine_sequencer_ids_leased_total`, one in
seconds ends in `_seconds`. Every sample carries `service` and `instance`.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from types import TracebackType
from typing import Final, Self

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mesh.log import get_logger
from observability.ums.points import Distribution, Kind, PointTable, Process, Series, Value

PREFIX: Final = "engine_"
_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio"}
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")

_Sample = tuple[dict[str, str], Value]

_log = get_logger(__name__)


class PointCollector(Collector):
    """Collects from a table of points at each scrape."""

    def __init__(self, points: PointTable) -> None:
        self._points = points

    def describe(self) -> Iterable[Metric]:
        """Nothing is known beforehand."""
        return ()

    def collect(self) -> Iterator[Metric]:
        families: dict[tuple[str, Kind], list[_Sample]] = {}
        kinds: dict[str, Kind] = {}
        for process, series, value in self._points.read():
            name = _metric_name(series)
            # One name has one type in this format: the first that is met.
            if kinds.setdefault(name, series.kind) is series.kind:
                families.setdefault((name, series.kind), []).append(
                    (_labels(process, series), value)
                )
        for (name, kind), samples in sorted(families.items()):
            yield _family(name, kind, samples)


class PrometheusEndpoint:
    """Serves `GET /metrics` on a thread of its own while it is entered.

    Raises:
        OSError: on entering, when the port is taken; the text says what to set.
    """

    def __init__(self, host: str, port: int, points: PointTable) -> None:
        self._host = host
        self._port = port
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(PointCollector(points))

    @property
    def address(self) -> str:
        """Host and port that it listens on, once it is entered."""
        return f"{self._host}:{self._server.server_port}"

    async def __aenter__(self) -> Self:
        try:
            self._server, self._thread = start_http_server(self._port, self._host, self._registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise OSError(
                f"ENGINE_METRICS_PORT={self._port}: the port is in use on {self._host}; "
                "set another one, or 0 to pick a free one"
            ) from error
        _log.info("prometheus_serving", address=self.address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _metric_name(series: Series) -> str:
    name = PREFIX + _NOT_IN_NAMES.sub("_", series.name)
    unit = _UNITS.get(series.unit, "")
    return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


def _labels(process: Process, series: Series) -> dict[str, str]:
    own = {_NOT_IN_NAMES.sub("_", key): value for key, value in series.attributes}
    return {**own, "service": process.service, "instance": process.instance}


def _family(name: str, kind: Kind, samples: list[_Sample]) -> Metric:
    text = name.removeprefix(PREFIX).replace("_", " ")
    names = sorted({label for labels, _ in samples for label in labels})
    rows = [([labels.get(label, "") for label in names], value) for labels, value in samples]
    if kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, text, labels=names)
        for labels, value in rows:
            assert isinstance(value, Distribution)
            histogram.add_metric(labels, _buckets(value), value.total)
        return histogram
    make = CounterMetricFamily if kind is Kind.COUNTER else GaugeMetricFamily
    family = make(name, text, labels=names)
    for labels, value in rows:
        assert isinstance(value, (int, float))
        family.add_metric(labels, value)
    return family


def _buckets(value: Distribution) -> list[tuple[str, float]]:
    """Prometheus counts what lies at or below each bound."""
    bounds = [repr(bound) for bound in value.bounds] + ["+Inf"]
    return list(zip(bounds, map(float, accumulate(value.counts)), strict=True))
