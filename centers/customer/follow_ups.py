"""Use cases of follow-ups: what was said to a customer and what comes next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from centers.customer.domain import Change, Cursor, Draft, FollowUp, holds_personal_number
from centers.customer.errors import CustomerReason
from mesh.clock import Clock
from mesh.errors import MeshError, Violation
from mesh.paging import Page, PageRequest

CURSOR_KEYS = 2
TEXTS = ("summary", "next_step")

Answer = TypeVar("Answer", bound=Message)


class FollowUpStore(Protocol):
    """Where follow-ups are held.

    `respond` makes the call's answer from the follow-up as stored; it is kept in
    the same transaction, so that a repeated call gets the same answer.
    """

    async def add(self, follow_up: FollowUp, respond: Callable[[FollowUp], Answer]) -> Answer:
        """Store a new follow-up."""

    async def change(
        self,
        customer_id: int,
        follow_up_id: int,
        apply: Callable[[FollowUp], FollowUp],
        respond: Callable[[FollowUp], Answer],
    ) -> Answer:
        """Replace a follow-up by what `apply` makes of it.

        Raises:
            MeshError: FOLLOW_UP_NOT_FOUND, or ETAG_MISMATCH when it was changed meanwhile.
        """

    async def follow_up(self, customer_id: int, follow_up_id: int) -> FollowUp | None:
        """The follow-up, when it is this customer's."""

    async def newest(
        self, customer_id: int, *, after: Cursor | None, limit: int
    ) -> Sequence[FollowUp]:
        """Follow-ups of a customer, newest first, beginning after a cursor."""


class Ids(Protocol):
    """Where ids of new follow-ups come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class FollowUps:
    """Records and changes follow-ups. That the customer is in reach was checked before."""

    def __init__(self, store: FollowUpStore, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock

    async def create(
        self,
        customer_id: int,
        draft: Draft,
        author: str,
        respond: Callable[[FollowUp], Answer],
    ) -> Answer:
        """Record a follow-up of the customer.

        Raises:
            MeshError: PERSONAL_DATA_IN_TEXT.
        """
        _refuse_personal_data(draft, TEXTS)
        follow_up_id = await self._ids.next()
        now = self._clock.now()
        follow_up = FollowUp(
            follow_up_id=follow_up_id,
            customer_id=customer_id,
            summary=draft.summary,
            next_step=draft.next_step,
            next_time=draft.next_time,
            author=author,
            create_time=now,
            update_time=now,
        )
        return await self._store.add(follow_up, respond)

    async def get(self, customer_id: int, follow_up_id: int) -> FollowUp:
        """One follow-up of the customer.

        Raises:
            MeshError: FOLLOW_UP_NOT_FOUND.
        """
        found = await self._store.follow_up(customer_id, follow_up_id)
        if found is None:
            raise MeshError(CustomerReason.FOLLOW_UP_NOT_FOUND)
        return found

    async def page(self, customer_id: int, request: PageRequest) -> Page[FollowUp]:
        """A page of the customer's follow-ups, newest first.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        rows = await self._store.newest(
            customer_id, after=request.after_numbers(CURSOR_KEYS), limit=request.limit
        )
        return request.page(rows, lambda follow_up: follow_up.cursor)

    async def update(
        self,
        customer_id: int,
        follow_up_id: int,
        change: Change,
        etag: str,
        respond: Callable[[FollowUp], Answer],
    ) -> Answer:
        """Change a follow-up; with an etag only while that is the present one.

        Raises:
            MeshError: UPDATE_INVALID, PERSONAL_DATA_IN_TEXT, FOLLOW_UP_NOT_FOUND or
                ETAG_MISMATCH.
        """
        _refuse_empty(change)
        _refuse_personal_data(change.draft, change.fields)

        def apply(present: FollowUp) -> FollowUp:
            if etag and etag != present.etag:
                raise MeshError(CustomerReason.ETAG_MISMATCH, metadata={"etag": present.etag})
            return change.applied(present, self._clock.now())

        return await self._store.change(customer_id, follow_up_id, apply, respond)


def _refuse_empty(change: Change) -> None:
    if not change.fields:
        violation = Violation("update_mask", "name at least one field, or set one")
        raise MeshError(CustomerReason.UPDATE_INVALID, violations=[violation])
    if "summary" in change.fields and not change.draft.summary:
        violation = Violation("follow_up.summary", "must not be empty")
        raise MeshError(CustomerReason.UPDATE_INVALID, violations=[violation])


def _refuse_personal_data(draft: Draft, fields: Collection[str]) -> None:
    violations = [
        Violation(f"follow_up.{name}", "holds what looks like a telephone or identity number")
        for name in TEXTS
        if name in fields and holds_personal_number(getattr(draft, name))
    ]
    if violations:
        raise MeshError(CustomerReason.PERSONAL_DATA_IN_TEXT, violations=violations)
