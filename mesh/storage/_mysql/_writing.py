"""The connection of a writer: it has the turn of its database while a group runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from mesh.storage._base import Parameters, Statement
from mesh.storage._errors import StorageError
from mesh.storage._mysql._connection import Connection, Means
from mesh.storage._mysql._errors import ends_transaction
from mesh.storage._mysql._values import plain
from mesh.storage._statements import Prepared

T = TypeVar("T")

SAVEPOINT: Final = "SAVEPOINT unit"
UNDO: Final = "ROLLBACK TO SAVEPOINT unit"

TAKE_TURN: Final = (
    "BEGIN",
    "UPDATE engine_turn SET turn = turn + 1 WHERE id = 1",
    "SELECT turn, position FROM engine_turn WHERE id = 1",
)


class WritingConnection(Connection):
    """A connection that has the turn of its database while a group runs.

    What a unit begins with, or what undoes it, travels with the next statement: a round
    trip each would cost more than the statement. Statements of one unit that come at once
    are run one after another.
    """

    def __init__(self, raw: Any, means: Means) -> None:
        super().__init__(raw, means)
        self._ahead: list[str] = []
        self._is_ahead = False
        self._one = asyncio.Lock()
        self.is_whole = False
        """Whether the group's transaction still has all that its units did."""

    async def take_turn(self) -> tuple[int, int]:
        """Begin a group: wait for all other writers; this turn's number, the last position."""
        self._ahead.clear()
        await self._run(self._send_packet, TAKE_TURN)
        ((turn, position),) = await self._cursor.fetchall()
        self.is_whole = True
        return turn, position

    def begin_unit(self) -> None:
        """Mark where the unit begins."""
        self._ahead.append(SAVEPOINT)

    def undo_unit(self) -> None:
        """Go back to where the unit began."""
        if self._ahead and self._ahead[-1] == SAVEPOINT:
            self._ahead.pop()  # nothing ran since
        else:
            self._ahead.append(UNDO)

    async def execute_many(self, statement: Statement, sets: Sequence[Parameters]) -> int:
        """Run a statement once for each of several parameter sets; the rows hit in all."""
        if any(given.keys() != sets[0].keys() for given in sets):
            raise StorageError("the parameter sets have different names")
        prepared = self._prepare(statement, sets[0], many=True)
        bound = [self._bind(prepared, given) for given in sets]
        if prepared.plan.is_insert and not prepared.plan.varies:
            return await self._run(self._insert_many, bound, prepared=prepared)
        return await self._run(self._send_each, bound, prepared=prepared)

    async def end_group(self, texts: Sequence[str]) -> None:
        """Run complete SQL, of which the last is `COMMIT`."""
        undo = [text for text in self._taken_ahead() if text == UNDO]
        for packet in self._packets((*undo, *texts)):
            await self._run(self._send_packet, packet)
        self.is_whole = False

    async def roll_back(self) -> None:
        """End a group of which nothing is kept."""
        self._ahead.clear()
        self.is_whole = False
        await self.command("ROLLBACK")

    def close(self) -> None:
        self.is_whole = False
        super().close()

    def written(self, text: str, values: Sequence[Any]) -> str:
        """Complete SQL: the text with its values."""
        complete: str = self._cursor.mogrify(text, plain(values))
        return complete

    async def _run(
        self,
        act: Callable[..., Awaitable[T]],
        *given: Any,
        prepared: Prepared | None = None,
        limit_s: float | None = None,
    ) -> T:
        async with self._one:
            return await super()._run(act, *given, prepared=prepared, limit_s=limit_s)

    async def _send(self, text: str, values: Sequence[Any]) -> int:
        ahead = self._taken_ahead()
        self._is_ahead = bool(ahead)
        hit = await super()._send("; ".join((*ahead, text)), values)
        for left in range(len(ahead), 0, -1):
            self._is_ahead = left > 1
            await self._cursor.nextset()
            hit = self._cursor.rowcount
        if not self._raw.get_transaction_status():
            self.is_whole = False  # the statement committed what was before it
        return hit

    async def _insert_many(self, bound: Sequence[tuple[str, Sequence[Any]]]) -> int:
        await self._send_ahead()
        hit: int = await self._cursor.executemany(bound[0][0], [values for _, values in bound])
        return hit

    async def _send_each(self, bound: Sequence[tuple[str, Sequence[Any]]]) -> int:
        await self._send_ahead()
        texts = [self._cursor.mogrify(text, values) for text, values in bound]
        return sum([await self._send_packet(packet) for packet in self._packets(texts)])

    async def _send_ahead(self) -> None:
        if ahead := self._taken_ahead():
            self._is_ahead = True
            await self._send_packet(ahead)
            self._is_ahead = False

    def _packets(self, texts: Sequence[str]) -> Iterator[list[str]]:
        """Complete SQL in packets of bounded size; a larger text has one of its own."""
        packet: list[str] = []
        size = 0
        for text in texts:
            if packet and size + len(text) > self._means.options.max_packet_bytes:
                yield packet
                packet, size = [], 0
            packet.append(text)
            size += len(text)
        yield packet

    async def _send_packet(self, texts: Sequence[str]) -> int:
        hit: int = await self._cursor.execute("; ".join(texts))
        for _ in texts[1:]:
            await self._cursor.nextset()
            hit += self._cursor.rowcount
        return hit

    def _taken_ahead(self) -> list[str]:
        ahead, self._ahead = self._ahead, []
        return ahead

    def _refusal(self, error: Exception, prepared: Prepared | None) -> StorageError:
        if self._is_ahead or ends_transaction(error):
            self.is_whole = False
        return super()._refusal(error, prepared)
