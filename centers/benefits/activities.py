"""Use cases of activities: draft, submit, approve, read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from centers.benefits import stock_rows, wire
from centers.benefits.domain import NO_STOCK
from centers.benefits.errors import BenefitsReason
from engine.benefits.v1 import benefits_pb2
from mesh import audit
from mesh.definitions import Definitions, Version
from mesh.errors import MeshError, Violation
from mesh.paging import Page, PageRequest
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)
Respond = Callable[[benefits_pb2.Activity], Answer]
ActivityVersion = Version[benefits_pb2.Activity]


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Activities:
    """The life of activities. `respond` makes a call's answer, kept with its effect."""

    def __init__(
        self, store: Store, definitions: Definitions[benefits_pb2.Activity], ids: Ids
    ) -> None:
        self._store = store
        self._stocks = stock_rows.Stocks(store)
        self._definitions = definitions
        self._ids = ids

    async def draft(
        self, activity: benefits_pb2.Activity, actor: str, respond: Respond[Answer]
    ) -> Answer:
        """A new activity, or the next version of one.

        Raises:
            MeshError: DEPOSIT_INDUCEMENT, WINDOW_INVALID, SKU_FIXED, or a `DefinitionReason`.
        """
        _refuse_forbidden(activity)
        known_id, body = activity.definition.definition_id, wire.body(activity)
        activity_id = known_id or await self._ids.next()
        version_id = await self._ids.next()
        async with self._store.transaction() as tx:
            if known_id:
                version = await self._next(tx, known_id, body, version_id=version_id, actor=actor)
            else:
                version = await self._definitions.create(
                    tx, definition_id=activity_id, version_id=version_id, body=body, author=actor
                )
            audit.note(object=f"activity_id={activity_id}")
            return await self._answered(tx, version, respond)

    async def submit(self, activity_id: int, actor: str, respond: Respond[Answer]) -> Answer:
        """Put the draft in review."""
        async with self._store.transaction() as tx:
            version = await self._definitions.submit(tx, activity_id, actor=actor)
            return await self._answered(tx, version, respond)

    async def approve(self, activity_id: int, checker: str, respond: Respond[Answer]) -> Answer:
        """Open the version in review: its terms hold from now on, for claims to come."""
        async with self._store.transaction() as tx:
            version = await self._definitions.publish(tx, activity_id, checker=checker)
            body = version.body
            await stock_rows.open_stock(tx, activity_id, body.sku, wire.terms(body))
            return await self._answered(tx, version, respond)

    async def get(self, activity_id: int) -> benefits_pb2.Activity:
        """The version approved last, or the newest when none is.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        counted = (await self._stocks.of([activity_id])).get(activity_id)
        if counted is None:
            return wire.activity(await self._definitions.get(activity_id), NO_STOCK)
        return wire.activity(await self._definitions.published(activity_id), counted)

    async def page(self, request: PageRequest) -> Page[benefits_pb2.Activity]:
        """Activities in their newest version, newest activity first."""
        page = await self._definitions.page(request)
        stocks = await self._stocks.of([version.definition_id for version in page.entries])
        shown = [
            wire.activity(version, stocks.get(version.definition_id, NO_STOCK))
            for version in page.entries
        ]
        return Page(shown, page.next_token)

    async def _next(
        self,
        tx: Transaction,
        activity_id: int,
        body: benefits_pb2.Activity,
        *,
        version_id: int,
        actor: str,
    ) -> ActivityVersion:
        await stock_rows.refuse_other_sku(tx, activity_id, body.sku)
        await self._definitions.draft(tx, activity_id, version_id=version_id, author=actor)
        return await self._definitions.edit(tx, activity_id, lambda _: body, actor=actor)

    async def _answered(
        self, tx: Transaction, version: ActivityVersion, respond: Respond[Answer]
    ) -> Answer:
        counted = await stock_rows.stock_of(tx, version.definition_id)
        answer = respond(wire.activity(version, counted))
        tx.answer(answer)
        return answer


def _refuse_forbidden(activity: benefits_pb2.Activity) -> None:
    if activity.deposit_inducement:
        violation = Violation("activity.deposit_inducement", "must not be set")
        raise MeshError(BenefitsReason.DEPOSIT_INDUCEMENT, violations=[violation])
    terms = wire.terms(activity)
    if terms.start is not None and terms.end is not None and terms.end <= terms.start:
        violation = Violation("activity.end_time", "must lie after start_time")
        raise MeshError(BenefitsReason.WINDOW_INVALID, violations=[violation])
