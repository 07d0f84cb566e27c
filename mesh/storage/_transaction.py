"""One transaction on SQLite: a savepoint of the writer's group, with the answer to its call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from google.protobuf.message import Message

from engine.mesh.v1.event_pb2 import Event
from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._groups import Turn
from mesh.storage._idempotency import FIND, KEEP
from mesh.storage._outbox import PUBLISH
from mesh.storage._unit import Unit
from mesh.storage._writer import Writer
from mesh.telemetry import Tracer

SETS_AT_ONCE: Final = 500
"""Parameter sets written between two turns of the event loop."""


class SQLiteTransaction:
    """Begins when entered; at the end of the block it waits until it is durable.

    Args:
        writer: grants the connection.
        unit: its call, record and events.
        tracer: times the wait for the disk.
        published: called once it is durable, when it published something.
    """

    def __init__(
        self, writer: Writer, unit: Unit, tracer: Tracer, published: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._unit = unit
        self._tracer = tracer
        self._published = published
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
            self._unit.answered(answered)
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
            await self._keep_events(turn)
            self._connection.command("RELEASE unit")
        except BaseException:
            self._undo(turn)
            raise
        self._unit.kept()
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
        self._unit.answer(response)

    def publish(self, event: Event) -> None:
        self._check()
        self._unit.publish(event)

    def _check(self) -> None:
        """Refuse what would not be part of the transaction."""
        if self._turn is None or self._turn.is_over:
            raise RuntimeError("the transaction is over, or was never entered")
        # Without this, what follows a roll-back by the database would commit by itself.
        if self._turn.left.cancelled() or not self._connection.in_transaction:
            raise StoreUnavailable("the database rolled the transaction back, or was closed")

    def _look_up(self) -> Exception | None:
        question = self._unit.question()
        if question is None:
            return None
        return self._unit.judge(self._connection.fetch(FIND, question))

    def _keep_answer(self) -> None:
        record = self._unit.close()
        if record is not None:
            self._connection.execute(KEEP, record)

    async def _keep_events(self, turn: Turn) -> None:
        if self._unit.events:
            await self.execute(PUBLISH, [{"event": event} for event in self._unit.events])
            turn.committed = self._published

    def _undo(self, turn: Turn) -> None:
        self._unit.undone()
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
        try:
            await turn.commit(self._tracer, "sqlite")
        except StorageError:
            self._unit.undone()
            raise
