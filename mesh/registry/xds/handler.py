"""The stream by which gRPC clients ask for all kinds of resources (ADS)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

import grpc

from engine.xds.v1.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from mesh.registry.table import Table
from mesh.registry.watcher import Watcher
from mesh.registry.xds.resources import Resources
from mesh.registry.xds.session import MAX_NAMES, Session, TooManyNamesError
from mesh.telemetry import Meters

PATH: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
IDLE_S: Final = 60.0
"""How often a stream on which nothing happens looks all the same."""
MAX_STREAMS: Final = 2_000
"""Clients that are told at once; each has one stream."""

Context = grpc.aio.ServicerContext[Any, Any]


class Ads(grpc.GenericRpcHandler):
    """Serves ADS from a table; it stands outside our contracts, as Envoy's.

    Args:
        table: what is told.
        may: whether who calls may ask.
        meters: counts answers, and those that clients refused.
    """

    def __init__(self, table: Table, may: Callable[[Context], bool], meters: Meters) -> None:
        self._table = table
        self._resources = Resources(table)
        self._may = may
        self._streams = 0
        meters.gauge("registry.xds_clients", lambda: self._streams)
        self._answers = meters.counter("registry.xds_answers")
        self._refused = meters.counter("registry.xds_refused")
        self._handler = grpc.stream_stream_rpc_method_handler(
            self._stream, DiscoveryRequest.FromString, DiscoveryResponse.SerializeToString
        )

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handler if details.method == PATH else None

    async def _stream(
        self, requests: AsyncIterator[DiscoveryRequest], context: Context
    ) -> AsyncIterator[DiscoveryResponse]:
        if not self._may(context):
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                "Ask from the registry's host or with a certificate, or set ENGINE_REGISTRY_XDS",
            )
        if self._streams >= MAX_STREAMS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_STREAMS} clients are told already"
            )
        self._streams += 1
        try:
            async with aclosing(self._told(requests, context)) as told:
                async for response in told:
                    yield response
        finally:
            self._streams -= 1

    async def _told(
        self, requests: AsyncIterator[DiscoveryRequest], context: Context
    ) -> AsyncGenerator[DiscoveryResponse, None]:
        """What one client is told, for as long as it listens."""
        session = Session(self._resources)
        with self._table.watch() as watcher:
            reading = asyncio.ensure_future(self._read(requests, session, watcher))
            reading.add_done_callback(lambda _: watcher.wake())
            try:
                while await watcher.next(IDLE_S) is not None and not reading.done():
                    for response in session.due():
                        self._answers.add()
                        yield response
            finally:
                reading.cancel()
                await asyncio.wait([reading])
                problem = None if reading.cancelled() else reading.exception()
        if isinstance(problem, TooManyNamesError):
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"Ask for at most {MAX_NAMES} of a kind"
            )

    async def _read(
        self, requests: AsyncIterator[DiscoveryRequest], session: Session, watcher: Watcher
    ) -> None:
        async for request in requests:
            refused = session.refused
            session.asked(request)
            if session.refused > refused:
                self._refused.add()
            watcher.wake()


def from_this_host(host: str) -> Callable[[Context], bool]:
    """Whether a caller is on the host that listens at `host`, or has shown a certificate."""
    local = ("unix:", "ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", f"ipv4:{host}:")

    def may(context: Context) -> bool:
        peer: str = context.peer()
        return peer.startswith(local) or bool(context.auth_context().get("x509_common_name"))

    return may
