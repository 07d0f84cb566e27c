"""Use cases of the carrier: accept a message, plan what becomes of it, list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from simulators.errors import SimulatorReason
from simulators.reports import Report
from simulators.sms.domain import Message, Plan, reports
from simulators.text import text_sha256

MAX_LISTED: Final = 100_000

Outcome = Callable[[Message, Plan | None], Sequence[Report]]
"""What is to be told of a message, given the plan for its customer."""


class MessageStore(Protocol):
    """Where messages and plans are held."""

    async def accept(self, message: Message, outcome: Outcome) -> Message:
        """Keep the message and owe its reports; the one kept before when there is one."""

    async def plan(self, plans: Collection[Plan]) -> None:
        """Replace the plans of these customers."""

    async def messages(self, customer_ids: Sequence[int], limit: int) -> Sequence[Message]:
        """The messages to the customers, or to all for none, in the order of acceptance."""


class Carrier:
    """Accepts messages. `owed` is called when there are new reports to tell."""

    def __init__(self, store: MessageStore, clock: Clock, owed: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._owed = owed

    async def accept(self, contact_id: int, customer_id: int, text: str) -> Message:
        """Accept a message; the same again is the same message.

        Raises:
            MeshError: KEY_REUSED.
        """
        message = Message(
            contact_id=contact_id,
            customer_id=customer_id,
            text_sha256=text_sha256(text),
            accept_time=self._clock.now(),
        )
        kept = await self._store.accept(message, reports)
        if not kept.is_same(message):
            raise MeshError(SimulatorReason.KEY_REUSED)
        self._owed()
        return kept

    async def plan(self, plans: Sequence[Plan]) -> None:
        """Say what becomes of messages from now on; of two plans for a customer the last holds."""
        await self._store.plan({plan.customer_id: plan for plan in plans}.values())

    async def messages(self, customer_ids: Sequence[int]) -> Sequence[Message]:
        """The messages to the customers, or to all for none, in the order of acceptance."""
        return await self._store.messages(customer_ids, MAX_LISTED)
