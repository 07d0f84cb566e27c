"""Use cases of contacts that were made: look at them, take one back, record what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

import grpc

from centers.reach.admissions import Answer, Respond
from centers.reach.asking import RETRY_AFTER_S, is_passing
from centers.reach.domain import WAITING, Contact, Cursor, Report, State
from centers.reach.errors import ReachReason
from mesh import context
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest

CURSOR_KEYS: Final = 2
TAKEN_BACK: Final = "TAKEN_BACK"


class ContactStore(Protocol):
    """Where contacts are held."""

    async def contact(self, contact_id: int) -> Contact | None:
        """The contact of that id."""

    async def newest(
        self, customer_id: int, *, after: Cursor | None, limit: int
    ) -> Sequence[Contact]:
        """Contacts of a customer, newest first, beginning after a cursor."""

    async def change(
        self,
        customer_id: int,
        contact_id: int,
        apply: Callable[[Contact], Contact],
        respond: Respond[Answer],
    ) -> Answer:
        """End a contact as `apply` says, which may refuse.

        Raises:
            MeshError: CONTACT_NOT_FOUND.
        """

    async def report(self, contact_id: int, report: Report, now: datetime) -> Contact | None:
        """The contact after a report; None when there is no such contact."""

    async def hold(self, scene_versions: Collection[int], told: datetime, *, held: bool) -> None:
        """Stop or resume versions of a scene, unless something newer was told of one."""


class Withdrawal(Protocol):
    """Takes messages back that wait in WeCom."""

    async def withdraw(self, contact_id: int) -> Report | None:
        """What became of the message; None when WeCom has not let go of it.

        Raises:
            grpc.aio.AioRpcError: it cannot be asked.
        """


class Flights(Protocol):
    """Knows what is being handed over at this moment, by whichever process."""

    async def landed(self, scene_versions: Collection[int]) -> None:
        """Return once nothing of these versions is; bounded in time."""


class ContactBook:
    """Contacts that were made. That the customer is in reach was checked before."""

    def __init__(
        self,
        store: ContactStore,
        wecom: Withdrawal,
        flights: Flights,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._wecom = wecom
        self._flights = flights
        self._clock = clock
        self._wake = wake

    async def get(self, customer_id: int, contact_id: int) -> Contact:
        """One contact of the customer.

        Raises:
            MeshError: CONTACT_NOT_FOUND.
        """
        found = await self.evidence(contact_id)
        if found.customer_id != customer_id:
            raise MeshError(ReachReason.CONTACT_NOT_FOUND)
        return found

    async def evidence(self, contact_id: int) -> Contact:
        """One contact, whoever's customer.

        Raises:
            MeshError: CONTACT_NOT_FOUND.
        """
        found = await self._store.contact(contact_id)
        if found is None:
            raise MeshError(ReachReason.CONTACT_NOT_FOUND)
        return found

    async def page(self, customer_id: int, request: PageRequest) -> Page[Contact]:
        """A page of the customer's contacts, newest first.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        rows = await self._store.newest(
            customer_id, after=request.after_numbers(CURSOR_KEYS), limit=request.limit
        )
        return request.page(rows, lambda contact: contact.cursor)

    async def cancel(self, customer_id: int, contact_id: int, respond: Respond[Answer]) -> Answer:
        """Take a contact back that has not gone out.

        Raises:
            MeshError: CONTACT_NOT_FOUND, CONTACT_GONE_OUT or CANCEL_UNAVAILABLE.
        """
        withdrawn = await self._withdrawn(await self.get(customer_id, contact_id))
        now = self._clock.now()

        def apply(contact: Contact) -> Contact:
            if contact.state is State.CANCELLED and withdrawn:
                return contact  # WeCom told of it before we did
            waits = contact.state is State.AWAIT_STAFF_CONFIRM and withdrawn
            if contact.state not in WAITING and not waits:
                raise MeshError(
                    ReachReason.CONTACT_GONE_OUT, metadata={"state": contact.state.name}
                )
            return contact.moved(State.CANCELLED, now, result_code=TAKEN_BACK)

        return await self._store.change(customer_id, contact_id, apply, respond)

    async def report(self, contact_id: int, report: Report) -> State:
        """Record what an outside party tells; where the contact stands now.

        Raises:
            MeshError: CONTACT_NOT_FOUND.
        """
        found = await self._store.report(contact_id, report, self._clock.now())
        if found is None:
            raise MeshError(ReachReason.CONTACT_NOT_FOUND)
        return found.state

    async def hold(self, *scene_versions: int, held: bool, told: datetime | None = None) -> None:
        """Stop or resume versions of a scene.

        Once they are stopped nothing of them is handed over any more. `told` is when
        that was decided, now by default: what was decided later holds.
        """
        await self._store.hold(scene_versions, told or self._clock.now(), held=held)
        if held:
            await self._flights.landed(scene_versions)
        else:
            self._wake()

    async def _withdrawn(self, contact: Contact) -> bool:
        """Whether a message that waits in WeCom was taken back there."""
        if contact.state is not State.AWAIT_STAFF_CONFIRM:
            return False
        try:
            with context.as_service():
                outcome = await self._wecom.withdraw(contact.contact_id)
        except grpc.aio.AioRpcError as error:
            if not is_passing(error):
                raise
            raise MeshError(ReachReason.CANCEL_UNAVAILABLE, retry_after_s=RETRY_AFTER_S) from error
        return outcome is not None and outcome.state is State.CANCELLED
