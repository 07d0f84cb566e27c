"""Who calls a whole platform without pause: its gateway over HTTP, its services by stubs."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any, Final

import grpc

from cli.names import OPERATOR
from cli.serve import open_registry
from engine.customer.v1.customer_pb2 import ListCustomersRequest
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from loadtests.deployment import Platform
from loadtests.session import DEMO_PASSWORD
from mesh.app import host_id
from mesh.channel import Channel, Proofs, bearer, registered
from mesh.context import CALLER
from mesh.registry import Registry
from mesh.settings import load
from mesh.tokens import ServiceKey

USER: Final = "rm001"
SEQUENCE: Final = "fault.order"
CALLS: Final = ("gateway", "stub, read", "stub, effect")
"""What they do."""
PACE_S: Final = 0.05
TIMEOUT_S: Final = 10.0


class Callers:
    """Three callers; what they saw."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.failures: list[str] = []
        self.leased: list[range] = []

    @property
    def doubled(self) -> Sequence[tuple[range, range]]:
        """Ranges of ids that overlap: an effect happened twice, or for two."""
        ordered = sorted(self.leased, key=lambda ids: ids.start)
        return [(one, other) for one, other in pairwise(ordered) if one.stop > other.start]

    async def keep_calling(self, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        """Call at a steady pace until cancelled."""
        while True:
            began = time.strftime("%H:%M:%S")
            try:
                await call()
            except (OSError, grpc.aio.AioRpcError) as error:
                told = error.details() if isinstance(error, grpc.aio.AioRpcError) else error
                self.failures.append(f"{began} {name}: {told}")
            else:
                self.answered[name] += 1
            await asyncio.sleep(PACE_S)

    async def lease(self, stub: Any) -> None:
        """Take ids: it has an effect, and may be sent once only."""
        request = sequencer_pb2.LeaseRangeRequest(name=SEQUENCE, size=10, client_id="callers")
        lease = (await stub.LeaseRange(request, timeout=TIMEOUT_S)).lease
        self.leased.append(range(lease.first, lease.first + lease.size))


@asynccontextmanager
async def calling(platform: Platform) -> AsyncIterator[Callers]:
    """Callers that call for the length of the block."""
    callers = Callers()
    async with AsyncExitStack() as stack:
        calls = await _calls(stack, platform, callers)
        tasks = [
            asyncio.create_task(callers.keep_calling(name, call))
            for name, call in zip(CALLS, calls, strict=True)
        ]
        try:
            yield callers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _calls(
    stack: AsyncExitStack, platform: Platform, callers: Callers
) -> Sequence[Callable[[], Awaitable[Any]]]:
    """What each of `CALLS` is, ready to be made."""
    settings, gateway = load(platform.environ), platform.targets.gateway()
    token = await asyncio.to_thread(_sign_on, gateway)
    key = ServiceKey.load(settings.key_dir, OPERATOR)
    registry = await stack.enter_async_context(open_registry(settings, key))
    customer = _channel(registry, "customer", bearer(token), key)
    sequencer = _channel(registry, "sequencer", lambda: ((CALLER, key.token()),), key)
    for channel in (customer, sequencer):
        await stack.enter_async_context(channel)
    book, ids = CustomerServiceStub(customer), SequencerServiceStub(sequencer)
    await ids.CreateSequence(_sequence(), timeout=TIMEOUT_S)
    return (
        lambda: asyncio.to_thread(_book, gateway, token),
        lambda: book.ListCustomers(ListCustomersRequest(), timeout=TIMEOUT_S),
        lambda: callers.lease(ids),
    )


def _channel(registry: Registry, service: str, proofs: Proofs, key: ServiceKey) -> Channel:
    return Channel(service, registered(registry, service, host_id()), proofs, prove=key.sign)


def _sequence() -> sequencer_pb2.CreateSequenceRequest:
    sequence = sequencer_pb2.Sequence(name=SEQUENCE, kind=sequencer_pb2.SEQUENCE_KIND_SEGMENT)
    return sequencer_pb2.CreateSequenceRequest(sequence=sequence)


def _sign_on(gateway: str) -> str:
    body = json.dumps({"username": USER, "password": DEMO_PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{gateway}/v1/sessions", body, headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        token: str = json.load(answer)["accessToken"]
    return token


def _book(gateway: str, token: str) -> None:
    """A page of customers, by a connection of its own."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{gateway}/v1/customers?page_size=5", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        json.load(answer)
