"""Products and checks as the contract shows them."""

from __future__ import annotations

from centers.product.domain import Check, Offer, risk_of
from engine.product.v1 import product_pb2
from mesh.definitions import Version, to_message

READ_ONLY = ("definition", "risk", "status")
"""Fields of a product that its author does not write."""


def body(product: product_pb2.Product) -> product_pb2.Product:
    """What the author says of a product, without what the centre says."""
    written = product_pb2.Product()
    written.CopyFrom(product)
    for field in READ_ONLY:
        written.ClearField(field)  # type: ignore[arg-type]
    return written


def product(
    version: Version[product_pb2.Product], status: product_pb2.ProductStatus.ValueType
) -> product_pb2.Product:
    """A version of a product; what was never approved is a draft whatever the shelf says."""
    message = product_pb2.Product()
    message.CopyFrom(version.body)
    message.definition.CopyFrom(to_message(version))
    message.risk = risk_of(version.body)
    message.status = status if version.is_published else product_pb2.PRODUCT_STATUS_DRAFT
    return message


def offer(shown: product_pb2.Product) -> Offer:
    """An approved product as the rules see it."""
    return Offer(
        product_id=shown.definition.definition_id,
        version=shown.definition.version,
        product=shown,
        on_sale=shown.status == product_pb2.PRODUCT_STATUS_ON_SALE,
    )


def check(found: Check) -> product_pb2.SuitabilityCheck:
    """A receipt."""
    message = product_pb2.SuitabilityCheck(
        receipt_id=found.receipt_id,
        customer_id=found.customer_id,
        product_id=found.offer.product_id,
        product_version=found.offer.version,
        suitable=found.suitable,
        reasons=found.reasons,
        risk_grade=found.risk_grade,
        risk=found.offer.risk,
        staff_qualification=found.offer.product.staff_qualification,
    )
    message.create_time.FromDatetime(found.time)
    return message
