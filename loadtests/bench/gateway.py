"""Suite `gateway`: a REST request through the gateway to a service and back, against plain gRPC.

The stack is the gateway and the service that the suite `mesh` measures, with their whole
chains, in one process; the peer is the same method called directly, over grpc.aio, in a
process of its own. The edge alone is the HTTP server with a handler that answers the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any, Final

import grpc
import uvloop

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from loadtests.bench import Figure, Run
from loadtests.bench.servers import cpu_s, started

PEER: Final = "grpc.aio on uvloop, no interceptors, no gateway"
CALLERS: Final = 64

Load = Callable[[float], Coroutine[Any, Any, int]]
"""Sends requests for so many seconds; answers how many were answered."""


def figures(run: Run) -> Iterator[Figure]:
    """Rates, and CPU a request on the server's side."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        plain = stack.enter_context(started("plain"))
        whole = stack.enter_context(started("stack"))
        edge = stack.enter_context(started("edge"))

        def rate(load: Load) -> Callable[[], float]:
            return lambda: runner.run(_rate(load, run.stretch_s))

        rest = _http_load(whole["address"], _get("/v1/customers/7", whole["token"]))
        echo = _http_load(edge["address"], _get("/v1/customers/7", whole["token"]))
        yield run.ratio(
            f"REST requests/s ÷ plain gRPC calls/s, {CALLERS} callers",
            rate(rest),
            rate(_grpc_load(plain["address"])),
            against=PEER,
        )
        yield run.report("REST requests/s, gateway and service in one process", rate(rest)(), "/s")
        yield run.report("edge alone, requests/s", rate(echo)(), "/s")
        for name, load, server in (
            ("CPU a request, gateway and service", rest, whole),
            ("CPU a request, edge alone", echo, edge),
        ):
            before = cpu_s(server["pid"])
            answered = runner.run(load(run.stretch_s))
            yield run.report(name, (cpu_s(server["pid"]) - before) / answered * 1e6, "µs")


async def _rate(load: Load, seconds: float) -> float:
    began = time.perf_counter()
    return await load(seconds) / (time.perf_counter() - began)


class _Caller(asyncio.Protocol):
    """Sends a request again as soon as it was answered, until the time is over."""

    def __init__(self, request: bytes, end: float) -> None:
        self._request = request
        self._end = end
        self._received = b""
        self.answered = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, host, port)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        assert head.startswith(b"HTTP/1.1 200"), head
        self._received = b""
        self.answered += 1
        if time.perf_counter() < self._end:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(exc)


def _content_length(head: bytes) -> int:
    return int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


def _get(path: str, token: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: bench\r\n"
        f"authorization: Bearer {token}\r\n\r\n"
    ).encode()


def _http_load(address: str, request: bytes) -> Load:
    host, _, port = address.rpartition(":")

    async def load(seconds: float) -> int:
        end = time.perf_counter() + seconds
        callers = [_Caller(request, end) for _ in range(CALLERS)]
        for caller in callers:
            await caller.connect(host, int(port))
        await asyncio.gather(*(caller.done for caller in callers))
        return sum(caller.answered for caller in callers)

    return load


def _grpc_load(address: str) -> Load:
    request = customer_pb2.GetCustomerRequest(customer_id=7)

    async def load(seconds: float) -> int:
        end = time.perf_counter() + seconds
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            stub: Any = customer_pb2_grpc.CustomerServiceStub(channel)

            async def call_until() -> int:
                count = 0
                while time.perf_counter() < end:
                    await stub.GetCustomer(request, timeout=5)
                    count += 1
                return count

            return sum(await asyncio.gather(*(call_until() for _ in range(CALLERS))))

    return load
