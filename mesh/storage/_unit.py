"""What a transaction does about the call it serves, the call's record and its own events.

It is the same in every store; a store's transaction asks, and runs the statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias
from weakref import WeakSet

from google.protobuf.message import Message

from engine.mesh.v1.event_pb2 import Event
from mesh.clock import Clock, to_micros
from mesh.storage._base import Parameters, Row
from mesh.storage._idempotency import IdempotentCall, Replayed, idempotent_call, verdict
from mesh.storage._record import call_record

Effects: TypeAlias = WeakSet[IdempotentCall]
"""The calls that had their effect; shared by a store's transactions."""


class Unit:
    """The call, its record and the events of one transaction.

    Made where the transaction is: it takes the call that the task serves.

    Args:
        effects: the calls that had their effect.
        clock: dates the answer.
        is_bookkeeping: it is not the effect of a call, whatever the task serves.
    """

    def __init__(self, effects: Effects, clock: Clock, *, is_bookkeeping: bool = False) -> None:
        self.events: list[bytes] = []
        self._effects = effects
        self._clock = clock
        self._call = None if is_bookkeeping else idempotent_call.get()
        self._record = None if is_bookkeeping else call_record.get()
        self._has_record = False
        self._counts = False
        self._answer: bytes | None = None

    def question(self) -> Parameters | None:
        """What to look up by `FIND` before the block runs; None: nothing."""
        if self._call is None:
            return None
        if self._call in self._effects:
            raise RuntimeError("a call with a request id had its transaction already")
        return self._call.key

    def judge(self, found: Sequence[Row]) -> Exception | None:
        """What to raise for the rows that were looked up."""
        return verdict(self._call, found[0]) if self._call is not None and found else None

    def answered(self, answer: Exception) -> None:
        """The verdict is durable, and will be raised."""
        if self._record is not None and isinstance(answer, Replayed):
            self._record.taken = True  # with the effect, the first time

    def answer(self, response: Message) -> None:
        """Take the call's answer."""
        if self._answer is not None:
            raise RuntimeError("the transaction has its answer already")
        self._answer = response.SerializeToString()

    def publish(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event.SerializeToString())

    def close(self) -> Parameters | None:
        """End the block: the answer to keep by `KEEP`, if any. Takes the call's record."""
        if self._call is not None and self._answer is None:
            raise RuntimeError("a call with a request id ended its transaction without an answer")
        if self._record is not None and not self._record.taken:
            self.publish(self._record.event())
            self._record.taken = self._has_record = True
        if self._call is None:
            return None
        return {
            **self._call.key,
            "request_hash": self._call.request_hash,
            "response": self._answer,
            "created_at": to_micros(self._clock.now()),
        }

    def kept(self) -> None:
        """The unit is part of its group: its call may have no other effect."""
        if self._call is not None:
            self._effects.add(self._call)
            self._counts = True

    def undone(self) -> None:
        """It had no effect: the record and the call are left to another transaction."""
        if self._record is not None and self._has_record:
            self._record.taken = self._has_record = False
        if self._call is not None and self._counts:
            self._effects.discard(self._call)
            self._counts = False
