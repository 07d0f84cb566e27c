"""Triggers become known: to the store, to all others, and to the decision they follow from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from centers.decision import wire
from centers.decision.domain import Trigger
from centers.decision.trigger_rows import Triggers
from engine.decision.v1 import decision_pb2 as pb
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.events import event
from mesh.storage import Transaction

TURN: Final = 500
"""Events made between two turns of the event loop: some milliseconds."""


async def fire(tx: Transaction, triggers: Triggers, fired: Sequence[Trigger]) -> None:
    """Keep triggers and tell of each, to be consumed in order for each customer."""
    await triggers.add(tx, fired)
    for number, trigger in enumerate(fired, 1):
        if number % TURN == 0:
            await asyncio.sleep(0)
        told = pb.TriggerFired(trigger=wire.trigger(trigger))
        tx.publish(event(told, key=trigger.customer_id, chain=_chain(trigger)))


async def take_back(
    tx: Transaction, triggers: Triggers, reversed_: Sequence[Trigger], reason: str
) -> None:
    """Mark triggers reversed and tell of each; `reason` is a code."""
    await triggers.reverse(tx, reversed_)
    for trigger in reversed_:
        shown = wire.trigger(trigger)
        shown.reversed = True
        told = pb.TriggerReversed(trigger=shown, reason=reason)
        tx.publish(event(told, key=trigger.customer_id, chain=_chain(trigger)))


def _chain(trigger: Trigger) -> ChainIds:
    return ChainIds(trigger_id=trigger.trigger_id)
