"""The servers of the suite `mesh`, each in a process of its own, and the ways to reach them.

The peer is grpc.aio as it comes, with registered methods, over TCP. Generic handlers, a Unix
socket, larger buffers, the optimisation targets of gRPC and no support for forks were tried:
none was faster by more than what the same configuration moves by.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
import uvloop

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from loadtests.bench.mesh_load import Call, Flow, closed_loop
from loadtests.bench.mesh_servers import (
    BARE,
    CALLER,
    FULL,
    MODULE,
    NAME,
    NO_TELEMETRY,
    Ready,
)
from loadtests.bench.mesh_tls import LanesAlone, certificate_in
from loadtests.bench.servers import REQUEST, collect_seldom, started
from mesh.blocking import BlockingChannel
from mesh.channel import Channel, Endpoint, no_proofs
from mesh.context import AUTHORIZATION, Metadata
from mesh.context import CALLER as CALLER_PROOF
from mesh.lane.client import ClientLane
from mesh.tokens import ServiceKey

if TYPE_CHECKING:
    from engine.customer.v1.customer_pb2_grpc import CustomerServiceAsyncStub
    from loadtests.bench import Run

PLAIN: Final = "plain"
NOWHERE: Final = "unix:/nowhere"
TIMEOUT_S: Final = 30.0
"""Well above what is measured: a call that is late is a figure, not an error."""


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier of lanes, and whether it is a socket of ours."""

    name: str
    is_socket: bool


CARRIERS: Final = (Carrier("stream", False), Carrier("unix", True), Carrier("tls", True))


class Target:
    """A server as its callers see it, over one channel; `pid` is its process."""

    def __init__(self, channel: grpc.aio.Channel, pid: int) -> None:
        self._stub: CustomerServiceAsyncStub = customer_pb2_grpc.CustomerServiceStub(channel)
        self.pid = pid

    def get(self) -> Awaitable[object]:
        """The smallest call: an id, answered by six small fields."""
        return self._stub.GetCustomer(REQUEST, timeout=TIMEOUT_S)

    def page(self, kib: int) -> Call:
        """A call with a request of 1 KB and an answer of `kib` KiB."""
        request = customer_pb2.ListCustomersRequest(
            page_size=kib, filter="f" * 500, page_token="p" * 400, order_by="o" * 100
        )
        return lambda: self._stub.ListCustomers(request, timeout=TIMEOUT_S)


class Ways:
    """The ways to the mesh's servers; `mesh` is what these said."""

    def __init__(self, mesh: Ready) -> None:
        self.mesh = mesh
        self._tls = LanesAlone(certificate_in(Path(mesh["folder"])))
        self._key = ServiceKey.load(Path(mesh["folder"]), CALLER)
        self._user = (AUTHORIZATION, f"Bearer {mesh['token']}")

    def channel(self, kind: str, carrier: Carrier) -> Channel:
        """A channel to one of the servers, over one carrier alone."""
        return Channel(
            NAME,
            [self._endpoint(kind, carrier)],
            proofs=self._proofs if kind in (FULL, NO_TELEMETRY) else no_proofs,
            carriers=(carrier.name,),
            prove=self._key.sign if kind != BARE else None,
            tls=self._tls,
        )

    def blocking(self, carrier: Carrier) -> BlockingChannel:
        """A blocking channel to the server with the full chain, over one socket alone."""
        return BlockingChannel(
            self._endpoint(FULL, carrier),
            self._proofs,
            carriers=(carrier.name,),
            prove=self._key.sign,
            tls=self._tls,
        )

    def _endpoint(self, kind: str, carrier: Carrier) -> Endpoint:
        """Where the carrier is a socket there is no other way: calls that cannot take it fail."""
        address = self.mesh["servers"][kind]
        ordinary = NOWHERE if carrier.is_socket else address["grpc"]
        return Endpoint(ordinary, tuple(address["lanes"]))

    def _proofs(self) -> Metadata:
        return (self._user, (CALLER_PROOF, self._key.token()))


class Stage:
    """Running servers, and the loop in which their callers live.

    Args:
        stack: what is opened is closed with it.
        plain: the peer's address and pid.
        mesh: what the mesh's servers said.
    """

    def __init__(self, stack: ExitStack, plain: Any, mesh: Ready) -> None:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._runner = stack.enter_context(runner)
        self._stack = stack
        self._targets: dict[tuple[str, str], Target] = {}
        self.ways = Ways(mesh)
        self.plain_address: str = plain["address"]
        self.plain = self._target(
            lambda: grpc.aio.insecure_channel(self.plain_address), plain["pid"]
        )

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do something in the callers' loop."""
        return self._runner.run(work)

    def target(self, kind: str, carrier: Carrier) -> Target:
        """One of the mesh's servers over a carrier; the same channel each time."""
        key = kind, carrier.name
        if key not in self._targets:
            self._targets[key] = self.another(kind, carrier)
        return self._targets[key]

    def another(self, kind: str, carrier: Carrier) -> Target:
        """The same over a channel of its own."""
        target = self._target(lambda: self.ways.channel(kind, carrier), self.ways.mesh["pid"])
        self.run(_take_lane(target, carrier))
        return target

    def flow(self, call: Call, pid: int, *, callers: int, seconds: float) -> Flow:
        """A stretch of callers; see `closed_loop`."""
        return self.run(closed_loop(call, pid, callers=callers, seconds=seconds))

    def _target(self, opened: Callable[[], grpc.aio.Channel], pid: int) -> Target:
        async def in_loop() -> grpc.aio.Channel:
            return opened()

        channel = self.run(in_loop())
        self._stack.callback(lambda: self.run(channel.close()))
        return Target(channel, pid)


async def _take_lane(target: Target, carrier: Carrier) -> None:
    """Make a first call, and see that it went by lane: plain gRPC would be measured else."""
    call: Any = target.get()
    await call
    by_lane = isinstance(getattr(call, "holder", None), ClientLane)
    if not by_lane:
        raise RuntimeError(f"calls over {carrier.name} went the ordinary way")


def part_s(run: Run) -> float:
    """A stretch of what needs few calls; half as long in a quick run, which is to be quick."""
    return run.stretch_s / (2 if run.quick else 1)


@contextmanager
def staged() -> Iterator[Stage]:
    """Everything that the suite needs; the garbage collector is as seldom as in the servers."""
    usual = gc.get_threshold()
    with ExitStack() as stack:
        plain = stack.enter_context(started(PLAIN))
        mesh: Any = stack.enter_context(started("", module=MODULE))
        stage = Stage(stack, plain, mesh)
        collect_seldom()
        stack.callback(gc.unfreeze)
        stack.callback(gc.set_threshold, *usual)
        yield stage
