"""Use cases of the shelf: draft, submit, approve, suspend, resume, read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.product import wire
from centers.product.domain import CREDIT, Offer
from centers.product.errors import ProductReason
from centers.product.store import Shelf
from engine.product.v1 import product_pb2
from mesh import audit
from mesh.definitions import Definitions, Version
from mesh.errors import MeshError, Violation
from mesh.events import event
from mesh.paging import Page, PageRequest
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)
Respond = Callable[[product_pb2.Product], Answer]
ProductVersion = Version[product_pb2.Product]

ON_SALE: Final = product_pb2.PRODUCT_STATUS_ON_SALE
SUSPENDED: Final = product_pb2.PRODUCT_STATUS_SUSPENDED


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Products:
    """The life of products. `respond` makes a call's answer, kept with its effect.

    `changed` is called after what is told in an event.
    """

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        definitions: Definitions[product_pb2.Product],
        ids: Ids,
        *,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._definitions = definitions
        self._ids = ids
        self._changed = changed

    async def draft(
        self, product: product_pb2.Product, actor: str, respond: Respond[Answer]
    ) -> Answer:
        """A new product, or the next version of one.

        Raises:
            MeshError: RISK_NEEDED, CODE_TAKEN, CODE_FIXED, or a `DefinitionReason`.
        """
        _refuse_missing_risk(product)
        known_id, body = product.definition.definition_id, wire.body(product)
        product_id = known_id or await self._ids.next()
        version_id = await self._ids.next()
        async with self._store.transaction() as tx:
            if known_id:
                version = await self._next(tx, known_id, body, version_id=version_id, actor=actor)
            else:
                await self._shelf.add(tx, product_id, body.code)
                version = await self._definitions.create(
                    tx, definition_id=product_id, version_id=version_id, body=body, author=actor
                )
            audit.note(object=f"product_id={product_id}")
            answer = respond(wire.product(version, product_pb2.PRODUCT_STATUS_DRAFT))
            tx.answer(answer)
        return answer

    async def submit(self, product_id: int, actor: str, respond: Respond[Answer]) -> Answer:
        """Put the draft in review."""
        async with self._store.transaction() as tx:
            version = await self._definitions.submit(tx, product_id, actor=actor)
            answer = respond(wire.product(version, product_pb2.PRODUCT_STATUS_DRAFT))
            tx.answer(answer)
        return answer

    async def approve(self, product_id: int, checker: str, respond: Respond[Answer]) -> Answer:
        """Put the version in review on sale, unless the product is suspended."""
        async with self._store.transaction() as tx:
            version = await self._definitions.publish(tx, product_id, checker=checker)
            status = await self._shelf.sell(tx, product_id)
            answer = self._told(tx, version, status, respond)
        await self._changed()
        return answer

    async def suspend(self, product_id: int, respond: Respond[Answer]) -> Answer:
        """Take the product off the shelf.

        Raises:
            MeshError: NOT_ON_SALE, or a `DefinitionReason`.
        """
        version = await self._definitions.published(product_id)
        async with self._store.transaction() as tx:
            if not await self._shelf.move(tx, product_id, ON_SALE, SUSPENDED):
                raise MeshError(ProductReason.NOT_ON_SALE)
            answer = self._told(tx, version, SUSPENDED, respond)
        await self._changed()
        return answer

    async def resume(self, product_id: int, respond: Respond[Answer]) -> Answer:
        """Put the suspended product back.

        Raises:
            MeshError: NOT_SUSPENDED, or a `DefinitionReason`.
        """
        version = await self._definitions.published(product_id)
        async with self._store.transaction() as tx:
            if not await self._shelf.move(tx, product_id, SUSPENDED, ON_SALE):
                raise MeshError(ProductReason.NOT_SUSPENDED)
            answer = self._told(tx, version, ON_SALE, respond)
        await self._changed()
        return answer

    async def get(self, product_id: int, version: int = 0) -> product_pb2.Product:
        """A version; 0 for the one approved last, or the newest when none is."""
        status = await self._shelf.status(product_id)
        approved = status not in (
            product_pb2.PRODUCT_STATUS_UNSPECIFIED,
            product_pb2.PRODUCT_STATUS_DRAFT,
        )
        if approved and not version:
            found = await self._definitions.published(product_id)
        else:
            found = await self._definitions.get(product_id, version)
        return wire.product(found, status)

    async def page(
        self, request: PageRequest, product_class: product_pb2.ProductClass.ValueType
    ) -> Page[product_pb2.Product]:
        """Products in their newest version; those of other classes are left out of the page."""
        page = await self._definitions.page(request)
        statuses = await self._shelf.statuses()
        shown = [
            wire.product(version, statuses[version.definition_id])
            for version in page.entries
            if not product_class or version.body.product_class == product_class
        ]
        return Page(shown, page.next_token)

    async def offer(self, product_id: int) -> Offer:
        """The product as the shelf has it.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, or NOT_PUBLISHED.
        """
        version = await self._definitions.published(product_id)
        status = await self._shelf.status(product_id)
        return Offer(
            product_id=version.definition_id,
            version=version.version,
            product=version.body,
            on_sale=status == ON_SALE,
        )

    async def _next(
        self,
        tx: Transaction,
        product_id: int,
        body: product_pb2.Product,
        *,
        version_id: int,
        actor: str,
    ) -> ProductVersion:
        drafted = await self._definitions.draft(tx, product_id, version_id=version_id, author=actor)
        if drafted.body.code != body.code:
            raise MeshError(ProductReason.CODE_FIXED, metadata={"code": drafted.body.code})
        return await self._definitions.edit(tx, product_id, lambda _: body, actor=actor)

    def _told(
        self,
        tx: Transaction,
        version: ProductVersion,
        status: product_pb2.ProductStatus.ValueType,
        respond: Respond[Answer],
    ) -> Answer:
        shown = wire.product(version, status)
        tx.publish(event(product_pb2.ProductChanged(product=shown), key=version.definition_id))
        answer = respond(shown)
        tx.answer(answer)
        return answer


def _refuse_missing_risk(product: product_pb2.Product) -> None:
    if product.product_class in CREDIT:
        return
    violations = [
        Violation(f"product.{name}", "must be stated for a product to place money in")
        for name in ("issuer_risk", "own_risk")
        if not getattr(product, name)
    ]
    if violations:
        raise MeshError(ProductReason.RISK_NEEDED, violations=violations)
