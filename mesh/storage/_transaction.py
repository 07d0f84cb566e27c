"""What a transaction is in every store: a unit of the writer's group, with its call's answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from google.protobuf.message import Message

from engine.mesh.v1.event_pb2 import Event
from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._groups import GroupWriter, Turn
from mesh.storage._unit import Unit
from mesh.telemetry import Tracer

SETS_AT_ONCE: Final = 500
"""Parameter sets written between two turns of the event loop."""


class GroupTransaction(ABC):
    """Begins when entered; at the end of the block it waits until it is durable.

    Args:
        writer: grants the turn.
        unit: its call, record and events.
        tracer: times the wait for the commit.
        published: called once it is durable, when it published something.
    """

    system: str
    """Names the database in spans."""

    def __init__(
        self, writer: GroupWriter, unit: Unit, tracer: Tracer, published: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._unit = unit
        self._tracer = tracer
        self._published = published
        self._turn: Turn | None = None

    @abstractmethod
    async def execute(
        self, statement: Statement, parameters: Parameters | Sequence[Parameters] | None = None
    ) -> int:
        """As `Transaction.execute`."""

    @abstractmethod
    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        """As `Transaction.fetch_all`."""

    @abstractmethod
    async def _begin(self, turn: Turn) -> Exception | None:
        """Begin the unit; what to raise when its call had its effect before."""

    @abstractmethod
    async def _keep(self, turn: Turn) -> None:
        """End the unit with its answer and its events, to be committed with the group."""

    @abstractmethod
    def _undo(self, turn: Turn) -> None:
        """Go back to where the unit began, and give the turn back."""

    async def __aenter__(self) -> Self:
        turn = self._turn = await self._writer.turn()
        try:
            answered = await self._begin(turn)
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
        except BaseException:
            self._undo(turn)
            raise
        self._unit.kept()
        await self._commit(turn)

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
        # Without this, what follows a roll-back by the database would commit by itself.
        if self._turn.left.cancelled() or not self._writer.is_whole:
            raise StoreUnavailable("the database rolled the transaction back, or was closed")
        return self._turn

    async def _commit(self, turn: Turn) -> None:
        try:
            await turn.commit(self._tracer, self.system)
        except StorageError:
            self._unit.undone()
            raise
