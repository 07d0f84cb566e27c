"""Everything that was ever approved, read once for the many shelves that are made of it.

What is shown may be old for a moment; what is decided never is: a check or a proposal
reads its products from the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from centers.product import wire
from centers.product.store import Status
from engine.mesh.v1.event_pb2 import Event
from engine.product.v1 import product_pb2
from mesh.cache import Cache, Cached
from mesh.clock import Clock
from mesh.definitions import State, Version
from mesh.events import Subscription
from mesh.paging import Page, PageRequest
from mesh.telemetry import Meters

KEPT_S: Final = 2.0
"""For so long a shelf may be old where nobody is told: in other processes without Redis."""

ALL: Final = 1_000
"""Products on the shelf at the most: it is read as one page."""

_KEY: Final = "all"


class Published(Protocol):
    """Where the versions are."""

    async def page(
        self, request: PageRequest, *, state: State | None = None
    ) -> Page[Version[product_pb2.Product]]:
        """Products in the newest version that is in `state`."""


class Statuses(Protocol):
    """Where it stands which of them may be offered."""

    async def statuses(self) -> Mapping[int, Status]:
        """The status of every product."""


class Catalogue:
    """The approved products with their status, kept in the service's cache."""

    def __init__(
        self,
        shelf: Statuses,
        definitions: Published,
        cache: Cache,
        *,
        clock: Clock,
        meters: Meters,
    ) -> None:
        self._shelf = shelf
        self._definitions = definitions
        self._cached = Cached(
            cache,
            self._load,
            of=product_pb2.ListProductsResponse,
            name="catalogue",
            ttl_s=KEPT_S,
            meters=meters,
            clock=clock,
        )

    async def products(self) -> Sequence[product_pb2.Product]:
        """The products in the version that was approved last, on sale or not."""
        found = await self._cached.get(_KEY)
        return found.products if found else ()

    async def changed(self) -> None:
        """Read it anew; to be called once a change is in the database."""
        await self._cached.invalidate(_KEY)

    def subscription(self) -> Subscription:
        """Hears of changes whose process ended before it could tell."""

        def keys(_: Event) -> Sequence[str]:
            return (_KEY,)

        return self._cached.subscription(group="catalogue", topic="product", keys=keys)

    async def _load(self, _: str) -> product_pb2.ListProductsResponse:
        listing = PageRequest(listing="shelf", size=ALL, token="")
        page = await self._definitions.page(listing, state=State.PUBLISHED)
        statuses = await self._shelf.statuses()
        return product_pb2.ListProductsResponse(
            products=[
                wire.product(version, statuses[version.definition_id]) for version in page.entries
            ]
        )
