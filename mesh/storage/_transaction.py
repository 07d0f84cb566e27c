"""One transaction: a savepoint of the writer's group, with the answer to its call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

from google.protobuf.message import Message

from engine.mesh.v1.event_pb2 import Event
from mesh.clock import Clock, to_micros
from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._idempotency import (
    FIND,
    KEEP,
    IdempotentCall,
    Replayed,
    idempotent_call,
    verdict,
)
from mesh.storage._outbox import PUBLISH
from mesh.storage._record import call_record
from mesh.storage._writer import Turn, Writer
from mesh.telemetry import SpanKind, Tracer, current_trace

SETS_AT_ONCE: Final = 500
"""Parameter sets written between two turns of the event loop."""


class SQLiteTransaction:
    """Begins when entered; at the end of the block it waits until it is durable.

    Args:
        writer: grants the connection.
        effects: the calls that had their effect; shared by a store's transactions.
        clock: dates the answers.
        tracer: times the wait for the disk.
        published: called once it is durable, when it published something.
    """

    def __init__(
        self,
        writer: Writer,
        effects: WeakSet[IdempotentCall],
        clock: Clock,
        tracer: Tracer,
        published: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._effects = effects
        self._clock = clock
        self._tracer = tracer
        self._call = idempotent_call.get()
        self._record = call_record.get()
        self._has_record = False
        self._published = published
        self._answer: bytes | None = None
        self._events: list[Parameters] = []
        self._turn: Turn | None = None

    async def __aenter__(self) -> Self:
        self._turn = await self._writer.turn()
        try:
            self._connection.command("SAVEPOINT unit")
            answered = self._look_up()
            if answered is not None:
                self._connection.command("RELEASE unit")
        except BaseException:
            self._undo(self._turn)
            raise
        if answered is not None:
            # The record may be of this very group: it holds only once that is durable.
            await self._commit(self._turn)
            if self._record is not None and isinstance(answered, Replayed):
                self._record.taken = True  # with the effect, the first time
            raise answered
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._turn is not None, "left without having been entered"
        turn = self._turn
        if error is not None:
            self._undo(turn)
            return
        try:
            self._check()
            self._keep_answer()
            self._take_record()
            await self._keep_events(turn)
            self._connection.command("RELEASE unit")
        except BaseException:
            self._undo(turn)
            raise
        if self._call is not None:
            self._effects.add(self._call)
        await self._commit(turn)

    async def execute(
        self, statement: Statement, parameters: Parameters | Sequence[Parameters] | None = None
    ) -> int:
        if parameters is None or isinstance(parameters, Mapping):
            self._check()
            return self._connection.execute(statement, parameters)
        changed = 0
        for start in range(0, len(parameters), SETS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            self._check()
            sets = parameters[start : start + SETS_AT_ONCE]
            changed += self._connection.execute_many(statement, sets)
        return changed

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        self._check()
        return self._connection.fetch(statement, parameters)

    def answer(self, response: Message) -> None:
        self._check()
        if self._answer is not None:
            raise RuntimeError("the transaction has its answer already")
        self._answer = response.SerializeToString()

    def publish(self, event: Event) -> None:
        self._check()
        self._events.append({"event": event.SerializeToString()})

    def _check(self) -> None:
        """Refuse what would not be part of the transaction."""
        if self._turn is None or (self._turn.left.done() and not self._turn.left.cancelled()):
            raise RuntimeError("the transaction is over, or was never entered")
        # Without this, what follows a roll-back by the database would commit by itself.
        if self._turn.left.cancelled() or not self._connection.in_transaction:
            raise StoreUnavailable("the database rolled the transaction back, or was closed")

    def _look_up(self) -> Exception | None:
        if self._call is None:
            return None
        if self._call in self._effects:
            raise RuntimeError("a call with a request id had its transaction already")
        found = self._connection.fetch(FIND, self._call.key)
        return verdict(self._call, found[0]) if found else None

    def _keep_answer(self) -> None:
        if self._call is None:
            return
        if self._answer is None:
            raise RuntimeError("a call with a request id ended its transaction without an answer")
        record = {
            **self._call.key,
            "request_hash": self._call.request_hash,
            "response": self._answer,
            "created_at": to_micros(self._clock.now()),
        }
        self._connection.execute(KEEP, record)

    def _take_record(self) -> None:
        if self._record is None or self._record.taken:
            return
        self.publish(self._record.event())
        self._record.taken = self._has_record = True

    def _leave_record(self) -> None:
        """Leave it to another transaction: this one has no effect."""
        if self._record is not None and self._has_record:
            self._record.taken = self._has_record = False

    async def _keep_events(self, turn: Turn) -> None:
        if self._events:
            await self.execute(PUBLISH, self._events)
            turn.committed = self._published

    def _undo(self, turn: Turn) -> None:
        self._leave_record()
        try:
            if self._connection.in_transaction:
                self._connection.command("ROLLBACK TO unit")
                self._connection.command("RELEASE unit")
        except StorageError:
            # It cannot be undone alone: rather none of the group than half of one.
            with suppress(StorageError):
                self._connection.command("ROLLBACK")
        finally:
            turn.leave(kept=False)

    async def _commit(self, turn: Turn) -> None:
        turn.leave(kept=True)
        trace = current_trace()
        if trace is None or not trace.sampled:
            failure = await turn.settled
        else:
            with self._tracer.span("sql COMMIT", SpanKind.CLIENT, trace) as span:
                span.set("db.system", "sqlite")
                span.set("db.operation", "COMMIT")
                failure = await turn.settled
        if failure is not None:
            self._leave_record()
            if self._call is not None:
                self._effects.discard(self._call)
            raise StoreUnavailable("the transaction was not committed") from failure
