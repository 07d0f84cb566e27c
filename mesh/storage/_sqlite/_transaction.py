"""One transaction on SQLite: a savepoint of the writer's group."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError
from mesh.storage._groups import Turn
from mesh.storage._idempotency import FIND, KEEP
from mesh.storage._outbox import PUBLISH
from mesh.storage._sqlite._connection import Connection
from mesh.storage._sqlite._writer import Writer
from mesh.storage._transaction import SETS_AT_ONCE, GroupTransaction


class SQLiteTransaction(GroupTransaction):
    """Statements run inline, on the writer's connection."""

    system = "sqlite"
    _writer: Writer
    _connection: Connection

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

    async def _begin(self, turn: Turn) -> Exception | None:  # noqa: ARG002 - it is not cut off
        self._connection = self._writer.connection
        self._connection.command("SAVEPOINT unit")
        question = self._unit.question()
        if question is None:
            return None
        answered = self._unit.judge(self._connection.fetch(FIND, question))
        if answered is not None:
            self._connection.command("RELEASE unit")
        return answered

    async def _keep(self, turn: Turn) -> None:
        record = self._unit.close()
        if record is not None:
            self._connection.execute(KEEP, record)
        if self._unit.events:
            await self.execute(PUBLISH, [{"event": event} for event in self._unit.events])
            turn.committed = self._published
        self._connection.command("RELEASE unit")

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
