"""The interface of a store; every adapter passes the same contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from google.protobuf.message import Message
from sqlalchemy.sql.base import Executable

from engine.mesh.v1.event_pb2 import Event

Statement = Executable
"""A SQLAlchemy Core statement. Build it once at import where it is hot."""

Parameters = Mapping[str, Any]


class Row(Protocol):
    """One row: values by position or by column name as attribute."""

    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, index: int) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Transaction(Protocol):
    """Statements that take effect together or not at all.

    Keep it short: it holds the store's only writer. Take ids and call other
    services before it begins.
    """

    async def execute(
        self, statement: Statement, parameters: Parameters | Sequence[Parameters] | None = None
    ) -> int:
        """Run a writing statement, once or for each of several parameter sets.

        Returns the rows hit in all. The names of the sets must be the same.
        """

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        """Run a statement that answers rows (also `… RETURNING`)."""

    def answer(self, response: Message) -> None:
        """The answer of the call that this transaction is the effect of.

        Within a call that carries a `request_id` it is kept with the effect:
        the same call again gets the same answer. Required there once, before
        the transaction ends; elsewhere it does nothing.
        """

    def publish(self, event: Event) -> None:
        """Tell all others a fact that this transaction makes true.

        The event is kept in the store's outbox if and only if the transaction
        commits, after those that it published before. `mesh.events.event` makes one.
        """


class RelayTurn(Protocol):
    """The exclusive right to pass on what an outbox holds."""

    async def confirm(self) -> None:
        """Make sure that nobody else has it by now.

        Raises:
            StoreUnavailable: the connection that it hung on is lost.
        """


class Outbox(Protocol):
    """The events of committed transactions that the bus does not have yet, in their order."""

    async def read(
        self, limit: int, *, after: int = 0, max_bytes: int = ...
    ) -> Sequence[tuple[int, bytes]]:
        """Places and serialized events behind the place `after`.

        Answers as many as `max_bytes` allow, `limit` at most, and at least one when there is one.
        """

    async def remove(self, through: int) -> int:
        """Forget the events up to and including a place; how many there were."""

    async def wait(self) -> None:
        """Return once something was published through this store since `read` was last called.

        What other processes publish to the same database wakes nobody here.
        """

    def turn(self) -> AbstractAsyncContextManager[RelayTurn]:
        """The right, over all processes, to pass on what the outbox holds.

        Only who has it may read in order to pass on, so that the order is kept.

        Raises:
            StoreUnavailable: on entering, another process kept it for long.
        """


class Store(Protocol):
    """A database. Errors are `mesh.storage.StorageError`s; deadlines are the caller's."""

    @property
    def outbox(self) -> Outbox:
        """What its transactions published."""

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        """Rows of a short read outside any transaction."""

    def scan(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> AsyncIterator[Sequence[Row]]:
        """Rows of a long read, in blocks of at most 1,000, without holding up the loop.

        All blocks show the state that the scan began with. Who may stop early
        closes it at once by `contextlib.aclosing`; otherwise the garbage
        collector does.
        """

    async def execute(self, statement: Statement, parameters: Parameters | None = None) -> int:
        """Run one writing statement that is a transaction of its own; the rows hit.

        Durable when it returns. On a server it takes no turn and one round trip: it runs
        beside transactions, so it relies on nothing that it does not check itself (a key,
        a compare-and-set). It is bookkeeping, not the effect of the call that the task
        serves: neither the call's `request_id` nor its record is looked at. Cancelled, it
        took effect or not.

        Raises:
            IntegrityViolation: a constraint refused it; nothing was kept.
            OutcomeUnknown: the connection was lost while it ran.
            StoreUnavailable: nothing was kept.
            RuntimeError: the task is within a transaction of this store.
        """

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A writing transaction.

        It commits at the end of the block, which returns only when that is
        durable. An exception in the block, cancellation included, rolls it
        back; a cancellation that comes while the end waits for the disk does not.
        Transactions of one store do not nest.

        Raises:
            StoreUnavailable: on entering, no turn was to be had; on leaving, nothing was kept.
        """
