"""Makes events: what the payload does not say comes from the call that is being served."""

from __future__ import annotations

import random
import re
import time as wall
from datetime import datetime
from functools import lru_cache
from typing import Final

from google.protobuf.message import Message

from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import Event
from mesh import context
from mesh.clock import to_micros
from mesh.telemetry import current_trace

MAX_KEY: Final = 128
MAX_PAYLOAD_BYTES: Final = 262_144
MAX_ACTOR: Final = 200
DATE: Final = len("YYYY-MM-DD")

_NANOS: Final = 1_000_000_000


def event(
    payload: Message,
    *,
    key: str | int = "",
    topic: str = "",
    chain: ChainIds | None = None,
    time: datetime | None = None,
) -> Event:
    """An event that tells `payload`; give it to `Transaction.publish`.

    Actor, chain ids, business date and trace are those of the call or event
    that this task serves.

    Args:
        payload: a message of a contract; no personal data, no amounts.
        key: events of one topic and key are consumed in their order, usually those
            of a customer; 0 or nothing when their order does not matter.
        topic: the area of the payload's package by default, "action" for `engine.action.v1`.
        chain: chain ids that this change made known; they go before those of the call.
        time: when it happened, aware; now by default.

    Raises:
        ValueError: the key or the payload is too long, or there is no topic, or what
            the call carries is too long.
    """
    serving, trace = context.current(), current_trace()
    told = Event(
        event_id=_next_id(),
        topic=topic or _area(payload.DESCRIPTOR.file.package),
        type=payload.DESCRIPTOR.full_name,
        payload=payload.SerializeToString(),
        key=str(key or ""),
        actor=serving.actor,
        business_date=serving.business_date,
        traceparent=trace.header if trace else "",
    )
    for known in (serving.chain, chain):
        if known is not None and known.ByteSize():
            told.chain.MergeFrom(known)  # numbers other than 0 replace
    if time is not None:
        seconds, micros = divmod(to_micros(time), 1_000_000)
        told.time.seconds, told.time.nanos = seconds, micros * 1_000
    else:
        told.time.seconds, told.time.nanos = divmod(wall.time_ns(), _NANOS)
    _check(told)
    return told


def _check(told: Event) -> None:
    """Refuse what the bus would: it would hold up all later events of the service."""
    if not _is_topic(told.topic):
        raise ValueError(f"{told.topic!r} cannot be a topic")
    if len(told.key) > MAX_KEY or len(told.payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"{told.type}: key or payload is longer than an event may carry")
    if len(told.actor) > MAX_ACTOR or len(told.business_date) > DATE:
        raise ValueError(f"{told.type}: actor or date of the call is longer than an event's")


@lru_cache(maxsize=256)
def _is_topic(name: str) -> bool:
    return re.fullmatch("[a-z][a-z0-9_.-]{0,63}", name) is not None


@lru_cache(maxsize=256)
def _area(package: str) -> str:
    """The area in "engine.AREA.v1"."""
    parts = package.split(".")
    if len(parts) < 3:
        raise ValueError(f"package {package!r} names no area: give the event a topic")
    return parts[1]


class _Ids:
    """Event ids as UUIDv7 lays them out: milliseconds, their 4,096th parts, 62 random bits.

    The random bits tell processes apart (`random` is seeded anew in a forked
    one); the time never steps back within a process, whatever the clock does.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        self._last = ticks = max(self._last + 1, wall.time_ns() * 4_096 // 1_000_000)
        head = (ticks >> 12) << 16 | 0x7000 | (ticks & 0xFFF)
        return f"{head << 64 | 1 << 63 | random.getrandbits(62):032x}"


_next_id: Final = _Ids()
