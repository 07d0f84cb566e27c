"""What a service consumes, and what it does about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from engine.mesh.v1.event_pb2 import Event
from mesh.storage import Transaction

Effect: TypeAlias = Callable[[Transaction], Awaitable[None]]
"""What an event changes in the store of its consumer; it waits for nothing but its statements."""

Reaction: TypeAlias = Callable[[Event], Awaitable[Effect | None]]
"""Decides what an event changes. It may call services and take ids; it may run more than once.

None when there is nothing to change. The effect is applied once.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One topic, consumed by one group of the service.

    Args:
        group: name within the service: "tasks". It has the topic's events from the
            first that the bus still holds; another name begins there again.
        topic: the topic: "decision".
        react: asked for each event; for events of one key one after another.
        batch: events asked for at once, at most.
        concurrency: events reacted to at once, at most.
        transaction: events whose effects share one transaction, at most.
    """

    group: str
    topic: str
    react: Reaction
    batch: int = 1_000
    concurrency: int = 32
    transaction: int = 250
