"""The centre's records in a SQL database; implements `records`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from google.protobuf.message import Message

from centers.identity import epoch_rows, session_rows
from centers.identity.account_rows import AccountReader, AccountWriter
from centers.identity.domain import Ended, Epochs, Revocation
from centers.identity.session_rows import SessionWriter
from mesh.clock import Clock
from mesh.storage import Store, Transaction


class IdentityRecords(AccountReader):
    """The centre's store; implements `records.Records`.

    Args:
        store: its database.
        clock: decides which sessions are still open.
        ended: told of the sessions that a transaction has ended, after its commit.
    """

    def __init__(
        self, store: Store, clock: Clock, ended: Callable[[Sequence[Revocation]], None]
    ) -> None:
        super().__init__(store)
        self._store = store
        self._clock = clock
        self._tell = ended

    async def ended(self, now: datetime) -> Ended:
        return await session_rows.ended(self._store, now)

    async def ended_since(self, place: int) -> Ended:
        return await session_rows.ended_since(self._store, place)

    async def enact(self, catalogue: str) -> None:
        await epoch_rows.enact(self._store, catalogue)

    async def epochs(self, catalogue: str) -> Epochs:
        return await epoch_rows.epochs(self._store, catalogue)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Changes]:
        ended: Sequence[Revocation] = ()
        try:
            async with self._store.transaction() as transaction:
                changes = _Changes(transaction, self._clock.now())
                yield changes
                ended = changes.ended
        finally:
            # Told even when the wait for the disk was cancelled or failed: the end may
            # be durable all the same, and to refuse a session too many does no harm.
            self._tell(ended)


class _Changes(AccountWriter, SessionWriter):
    """What happens within one transaction; implements `records.Changes`."""

    def __init__(self, transaction: Transaction, now: datetime) -> None:
        AccountWriter.__init__(self, transaction)
        SessionWriter.__init__(self, transaction, now)

    def answer(self, response: Message) -> None:
        self._transaction.answer(response)
