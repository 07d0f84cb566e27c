"""The product centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from centers.product.catalogue import Catalogue
from centers.product.customer import CustomerProfiles
from centers.product.products import Products
from centers.product.rpc import ProductRpc
from centers.product.store import Receipts, Shelf
from centers.product.suitability import Suitability
from engine.product.v1 import product_pb2
from mesh.contract import Method
from mesh.definitions import Definitions
from mesh.ownership import CustomerScope, Ownerships
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

KIND: Final = "product"


def build(parts: Parts) -> Service:
    """The product centre from its parts."""
    ids = ServiceIds(parts)
    definitions = Definitions(
        parts.store, KIND, product_pb2.Product, parts.clock, name_of=lambda body: body.name
    )
    shelf = Shelf(parts.store)
    catalogue = Catalogue(
        shelf, definitions, parts.cache, clock=parts.clock, meters=parts.telemetry.meters
    )
    products = Products(
        parts.store, shelf, definitions, ids.of("product.product"), changed=catalogue.changed
    )
    suitability = Suitability(
        parts.store,
        Receipts(),
        offers=products,
        catalogue=catalogue,
        profiles=CustomerProfiles(parts.channel("customer")),
        ids=ids.of("product.receipt"),
        clock=parts.clock,
    )

    async def author(method: Method, row: Any) -> str | None:  # noqa: ARG001 - all ask for products
        return await definitions.author(row)

    contract = product_pb2.DESCRIPTOR.services_by_name["ProductService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=ProductRpc(products, suitability))],
        resources=[ids],
        scope_resolver=CustomerScope(Ownerships(parts.channel("customer"), parts.clock)),
        author_resolver=author,
        subscriptions=[catalogue.subscription()],
    )


BLUEPRINT: Final = Blueprint(
    name="product",
    build=build,
    after=("identity", "sequencer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=RIGHTS | {"ownership.read", "customer.batch_read"},
)
