"""One transaction: a savepoint of the writer's group, with the answer to its call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from google.protobuf.message import Message
from sqlalchemy.schema import ExecutableDDLElement

from engine.mesh.v1.event_pb2 import Event
from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._groups import Turn
from mesh.storage._idempotency import FIND, KEEP
from mesh.storage._mysql._writer import Writer
from mesh.storage._mysql._writing import WritingConnection
from mesh.storage._unit import Unit
from mesh.telemetry import Tracer

SETS_AT_ONCE: Final = 500
"""Parameter sets written by one statement under a deadline."""

T = TypeVar("T")


class MySQLTransaction:
    """Begins when entered; at the end of the block it waits until it is durable.

    A statement runs to its end even when the task is cancelled meanwhile: cut off, it
    would take the connection and all of its group with it.

    Args:
        writer: grants the connection.
        unit: its call, record and events.
        tracer: times the wait for the commit.
        published: called once it is durable, when it published something.
    """

    def __init__(
        self, writer: Writer, unit: Unit, tracer: Tracer, published: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._unit = unit
        self._tracer = tracer
        self._published = published
        self._turn: Turn | None = None

    async def __aenter__(self) -> Self:
        turn = self._turn = await self._writer.turn()
        self._connection: WritingConnection = self._writer.connection
        self._connection.begin_unit()
        try:
            answered = await self._look_up(turn)
        except BaseException:
            self._undo(turn)
            raise
        if answered is not None:
            # The record may be of this very group: it holds only once that is durable.
            await self._commit(turn)
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
            await self._keep(turn)
            self._check()
        except BaseException:
            self._undo(turn)
            raise
        self._unit.kept()
        await self._commit(turn)

    async def execute(
        self, statement: Statement, parameters: Parameters | Sequence[Parameters] | None = None
    ) -> int:
        turn = self._check()
        if isinstance(statement, ExecutableDDLElement):
            raise StorageError("tables are changed by migrations: here it would end the group")
        if parameters is None or isinstance(parameters, Mapping):
            return await self._uncut(turn, self._connection.execute(statement, parameters))
        changed = 0
        for start in range(0, len(parameters), SETS_AT_ONCE):
            sets = parameters[start : start + SETS_AT_ONCE]
            turn = self._check()
            changed += await self._uncut(turn, self._connection.execute_many(statement, sets))
        return changed

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        turn = self._check()
        return await self._uncut(turn, self._connection.fetch(statement, parameters))

    def answer(self, response: Message) -> None:
        self._check()
        self._unit.answer(response)

    def publish(self, event: Event) -> None:
        self._check()
        self._unit.publish(event)

    def _check(self) -> Turn:
        """Refuse what would not be part of the transaction."""
        if self._turn is None or self._turn.is_over:
            raise RuntimeError("the transaction is over, or was never entered")
        if self._turn.left.cancelled() or not self._connection.is_whole:
            raise StoreUnavailable("the database rolled the transaction back, or was closed")
        return self._turn

    async def _uncut(self, turn: Turn, statement: Coroutine[Any, Any, T]) -> T:
        task = turn.under_way = asyncio.create_task(statement)
        return await asyncio.shield(task)

    async def _look_up(self, turn: Turn) -> Exception | None:
        question = self._unit.question()
        if question is None:
            return None
        return self._unit.judge(await self._uncut(turn, self._connection.fetch(FIND, question)))

    async def _keep(self, turn: Turn) -> None:
        record = self._unit.close()
        if record is not None:
            await self._uncut(turn, self._connection.execute(KEEP, record))
        if self._unit.events:
            turn.events = self._unit.events
            turn.committed = self._published

    def _undo(self, turn: Turn) -> None:
        self._unit.undone()
        turn.leave(kept=False)

    async def _commit(self, turn: Turn) -> None:
        try:
            await turn.commit(self._tracer, "mysql")
        except StorageError:
            self._unit.undone()
            raise
