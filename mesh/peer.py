"""One process of a service, as a channel has it: its lanes, and the ordinary way beside them."""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc
from grpc import ChannelConnectivity

from mesh.lane.call import UnaryCall
from mesh.lane.client import ClientLane
from mesh.lane.dial import Endpoint, Way, can_dial, dial
from mesh.lane.frames import LaneError, NotServedError, RefusedError
from mesh.lane.hello import Prove
from mesh.lane.keeper import State
from mesh.log import get_logger
from mesh.plain import PlainChannel
from mesh.resilience import Health

MAX_LANES: Final = 2
"""Lanes to one process; the second one when the first is full."""
FIRST_BACKOFF_S: Final = 0.1
LAST_BACKOFF_S: Final = 2.0
"""Between attempts to open a lane; meanwhile calls go the ordinary way."""
PLAIN_S: Final = 30.0
"""How long a peer that has no lanes is not asked again."""
FORGET_S: Final = 2.0
"""How fast a measured latency loses its weight."""
WEIGHT: Final = 0.2
"""Of the newest latency in the average."""

OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # and how long an attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    ("grpc.use_local_subchannel_pool", 1),
)

_OPEN: Final = State.OPEN
_log = get_logger(__name__)


class Calls(Protocol):
    """Takes the calls that a peer's lane did not bring back."""

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        """Find another way for `call`, which may have run when it was `sent`."""

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        """Bring `call`, which has not run, to its end the ordinary way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """How the peers of a channel are reached."""

    way: Way = field(default_factory=Way)
    prove: Prove | None = None
    options: tuple[tuple[str, Any], ...] = OPTIONS


class Peer:
    """An endpoint that calls are sent to.

    Args:
        endpoint: where it is.
        dialling: how it may be reached.
        calls: takes calls that its lanes could not bring to an end.
        health: what becomes of the calls to it.
    """

    def __init__(
        self, endpoint: Endpoint, dialling: Dialling, calls: Calls, health: Health | None = None
    ) -> None:
        self.endpoint = endpoint
        self.health = health or Health()
        self._dialling = dialling
        self._calls = calls
        self._plain = PlainChannel(endpoint.address, dialling.options, dialling.way.tls)
        self._lanes: list[ClientLane] = []
        self._unclosed: set[ClientLane] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._dial_at = 0.0 if can_dial(endpoint, dialling.way) else float("inf")
        self._backoff_s = FIRST_BACKOFF_S
        self._has_failed = self._has_no_lanes = self._is_unreachable = False
        self._elsewhere: set[str] = set()
        self._latency_s = 0.0
        self._measured_at = 0.0

    @property
    def ordinary(self) -> grpc.aio.Channel:
        """The plain gRPC channel, opened when first asked for."""
        return self._plain.channel

    def bound(self, kind: str, path: str, serializers: tuple[Any, ...]) -> Any:
        """A method of the ordinary channel, bound once."""
        return self._plain.bound(kind, path, serializers)

    # Choosing.

    @property
    def is_lost(self) -> bool:
        """Whether the last attempt to connect failed, and nothing stands."""
        for lane in self._lanes:
            if lane.state is _OPEN:
                return False
        opened = self._plain.opened
        if opened is None:
            return self._is_unreachable
        return opened.get_state() is ChannelConnectivity.TRANSIENT_FAILURE

    @property
    def is_wanted(self) -> bool:
        """Whether calls may go here; a lost peer is dialled again when it is time."""
        for lane in self._lanes:  # asked twice for each call: nothing else is as quick
            if lane.state is _OPEN:
                return True
        if not self.is_lost:
            return True
        if not self._lanes and time.monotonic() >= self._dial_at:
            self._open()  # no call waits for it
        return False

    def state(self, try_to_connect: bool) -> ChannelConnectivity:
        """The state of the connection, as gRPC has them."""
        if any(lane.state is State.OPEN for lane in self._lanes):
            return ChannelConnectivity.READY
        if try_to_connect and self.lane("") is not None:
            return ChannelConnectivity.CONNECTING
        return self.ordinary.get_state(try_to_connect)

    def cost(self, now: float) -> float:
        """What a further call here is likely to take: calls under way times their latency."""
        load = 1
        for lane in self._lanes:
            load += lane.load
        return load * self._latency_s * math.exp((self._measured_at - now) / FORGET_S)

    def observe(self, seconds: float) -> None:
        """A call to this peer took so long."""
        self._latency_s += WEIGHT * (seconds - self._latency_s)
        self._measured_at = time.monotonic()

    # Lanes.

    def lane(self, path: str, *, opening: bool = True) -> ClientLane | None:
        """The lane for a call of a method; None: it goes the ordinary way.

        With `opening` it may be one that is being opened for the first time. After a
        failed attempt no call waits for the next one.
        """
        lanes = self._lanes
        if len(lanes) == 1:  # as almost always
            best = lanes[0]
            if best.state is _OPEN and not best.is_full and best.knows(path):
                return None if path in self._elsewhere else best
        if not lanes:
            if time.monotonic() < self._dial_at:
                return None
            self._open()
        best = min(lanes, key=_load) if len(lanes) > 1 else lanes[0]
        if best.state is State.OPENING:
            if self._has_failed or not opening:
                return None
        elif best.is_full and len(lanes) < MAX_LANES and time.monotonic() >= self._dial_at:
            self._open()
        if path in self._elsewhere or not best.knows(path):
            return None
        return best

    def _open(self) -> None:
        lane = ClientLane(self, prove=self._dialling.prove, program=_program())
        self._lanes.append(lane)
        self._unclosed.add(lane)
        lane.closed.add_done_callback(lambda _: self._unclosed.discard(lane))
        task = Context().run(asyncio.create_task, self._dial(lane), name="dial lane")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, lane: ClientLane) -> None:
        try:
            await dial(lane, self.endpoint, self._dialling.way, lambda: self.ordinary)
        except (NotServedError, RefusedError) as error:
            if isinstance(error, RefusedError):
                _log.warning("lane_refused", endpoint=self.endpoint.address, problem=str(error))
            self._has_no_lanes = True
            self._wait(PLAIN_S, unreachable=False)
            lane.lost(str(error))
        except LaneError as error:
            _log.debug("lane_not_opened", endpoint=self.endpoint.address, problem=str(error))
            self._wait(self._backoff_s * random.uniform(0.5, 1.0), unreachable=True)  # noqa: S311
            self._backoff_s = min(2 * self._backoff_s, LAST_BACKOFF_S)
            lane.lost(str(error))
        else:
            self._backoff_s = FIRST_BACKOFF_S
            self._has_failed = self._has_no_lanes = self._is_unreachable = False

    def _wait(self, seconds: float, *, unreachable: bool) -> None:
        self._dial_at = time.monotonic() + seconds
        self._has_failed = True
        self._is_unreachable = unreachable

    # What lanes tell.

    def returned(self, call: UnaryCall, *, sent: bool, reason: str) -> None:
        """Pass a call on that a lane did not bring back."""
        if self._has_no_lanes and not sent:
            self._calls.carry(call, self)
        else:
            self._calls.returned(call, self, sent=sent, reason=reason)

    def belongs_elsewhere(self, call: UnaryCall) -> None:
        """Remember that a method goes the ordinary way, and send the call there."""
        if len(self._elsewhere) < 1_024:
            self._elsewhere.add(call.path)
        self._calls.carry(call, self)

    def too_large(self, call: UnaryCall) -> None:
        """Send this one call the ordinary way."""
        self._calls.carry(call, self)

    @property
    def waits(self) -> bool:
        """Whether calls are under way on the ordinary channel."""
        return self._plain.is_busy

    def silent(self, reason: str) -> None:
        """End what is under way on the ordinary channel: its connection is as dead as the lane."""
        self._plain.lost(reason)

    def ended(self, lane: ClientLane) -> None:
        """A lane takes no more calls. A peer that sends us away is passed over for a while."""
        if lane in self._lanes:
            self._lanes.remove(lane)
        if lane.state is State.DRAINING:
            self._wait(FIRST_BACKOFF_S, unreachable=True)

    # The end.

    async def ready(self) -> None:
        """Return once a lane is open, or the ordinary channel connected."""
        if self.lane("") is not None:
            if self._tasks:  # dialling
                await asyncio.wait(list(self._tasks))
            if any(lane.state is State.OPEN for lane in self._lanes):
                return
        await self.ordinary.channel_ready()

    async def close(self, grace_s: float | None) -> None:
        """Let calls under way end for `grace_s` seconds, then give them up."""
        for task in self._tasks:
            task.cancel()
        lanes = list(self._unclosed)
        for lane in lanes:
            lane.close()
        closing = [lane.closed for lane in lanes if lane.state is State.DRAINING]
        if grace_s and closing:
            await asyncio.wait(closing, timeout=grace_s)
        for lane in lanes:
            lane.abandon("the channel was closed")
        await self._plain.close(grace_s)


def _load(lane: ClientLane) -> tuple[bool, int]:
    """One that is open comes before one that is not."""
    return lane.state is not State.OPEN, lane.load


def _program() -> str:
    return f"pid {os.getpid()}"
