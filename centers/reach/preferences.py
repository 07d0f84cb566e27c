"""Use cases of preferences: refusals, consents, quiet hours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from centers.reach.domain import Channel, ContactClass
from centers.reach.errors import ReachReason
from centers.reach.preference import (
    NO_QUIET,
    Preference,
    Preferences,
    Said,
    quietened,
    refuses_everything,
    stated,
)
from centers.reach.quiet import QuietHours
from mesh.clock import Clock
from mesh.errors import MeshError

Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a customer said, of which contacts, and how it was learned."""

    customer_id: int
    channel: Channel
    contact_class: ContactClass
    said: Said
    evidence: str


class PreferenceStore(Protocol):
    """Where preferences are held."""

    async def change(
        self,
        customer_id: int,
        say: Callable[[Preferences], Preference],
        respond: Callable[[Preference], Answer],
        now: datetime,
    ) -> Answer:
        """Store what `say` makes of all that he said before.

        With a refusal, what is refused and has not gone out is taken back.
        """

    async def preferences(self, customer_ids: Collection[int]) -> Mapping[int, Preferences]:
        """What these customers said; nothing of those who said nothing."""


class PreferenceBook:
    """Records what customers say. That the customer is in reach was checked before."""

    def __init__(self, store: PreferenceStore, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    async def state(self, statement: Statement, respond: Callable[[Preference], Answer]) -> Answer:
        """Record a refusal or a consent.

        Raises:
            MeshError: OPT_OUT_IMPOSSIBLE.
        """
        if statement.contact_class is ContactClass.REGULATORY:
            raise MeshError(ReachReason.OPT_OUT_IMPOSSIBLE)
        now = self._clock.now()
        new = Preference(
            customer_id=statement.customer_id,
            channel=statement.channel,
            contact_class=statement.contact_class,
            said=statement.said,
            said_time=now,
            quiet=NO_QUIET,
            evidence=statement.evidence,
            update_time=now,
        )
        answer = await self._store.change(
            statement.customer_id, lambda before: stated(before, new), respond, now
        )
        self._wake()
        return answer

    async def rest(
        self, customer_id: int, quiet: QuietHours, respond: Callable[[Preference], Answer]
    ) -> Answer:
        """Record quiet hours, in place of those before."""
        now = self._clock.now()
        new = Preference(
            customer_id=customer_id,
            channel=Channel.ALL,
            contact_class=ContactClass.ALL,
            said=Said.NOTHING,
            said_time=now,
            quiet=quiet,
            evidence="",
            update_time=now,
        )
        return await self._store.change(
            customer_id, lambda before: quietened(before, new), respond, now
        )

    async def refusing(self, customer_ids: Sequence[int], contact_class: ContactClass) -> list[int]:
        """Those who refuse every channel of a class, in the order asked, each once."""
        found = await self._store.preferences(customer_ids)
        return [
            customer_id
            for customer_id in dict.fromkeys(customer_ids)
            if refuses_everything(found.get(customer_id, ()), contact_class)
        ]
