"""One transaction on MySQL: a savepoint of the writer's group."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.schema import ExecutableDDLElement

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError
from mesh.storage._groups import Turn
from mesh.storage._idempotency import FIND, KEEP
from mesh.storage._mysql._writer import Writer
from mesh.storage._mysql._writing import WritingConnection
from mesh.storage._transaction import SETS_AT_ONCE, GroupTransaction

T = TypeVar("T")


class MySQLTransaction(GroupTransaction):
    """A statement runs to its end even when the task is cancelled meanwhile.

    Cut off, it would take the connection and all of its group with it.
    """

    system = "mysql"
    _writer: Writer
    _connection: WritingConnection

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

    async def _begin(self, turn: Turn) -> Exception | None:
        self._connection = self._writer.connection
        self._connection.begin_unit()
        question = self._unit.question()
        if question is None:
            return None
        return self._unit.judge(await self._uncut(turn, self._connection.fetch(FIND, question)))

    async def _keep(self, turn: Turn) -> None:
        record = self._unit.close()
        if record is not None:
            await self._uncut(turn, self._connection.execute(KEEP, record))
            self._check()
        if self._unit.events:
            turn.events = self._unit.events
            turn.committed = self._published

    def _undo(self, turn: Turn) -> None:
        self._unit.undone()
        turn.leave(kept=False)

    async def _uncut(self, turn: Turn, statement: Coroutine[Any, Any, T]) -> T:
        task = turn.under_way = asyncio.create_task(statement)
        return await asyncio.shield(task)
