"""The product centre as the reach centre sees it: a judge of what suits whom."""

from __future__ import annotations

from typing import Final

import grpc

from centers.reach.asking import gate
from centers.reach.gates import Suitability
from engine.product.v1 import product_pb2, product_pb2_grpc

UNKNOWN_PRODUCT: Final = "UNKNOWN_PRODUCT"
_PREFIX: Final = "SUITABILITY_REASON_"


class ProductClient:
    """Asks over a channel; who asks and the deadline travel with the call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = product_pb2_grpc.ProductServiceStub(channel)

    async def suitability(self, customer_id: int, product_id: int) -> Suitability:
        """Whether the product suits the customer; a product that nobody knows does not.

        Raises:
            MeshError: GATE_UNAVAILABLE.
            grpc.aio.AioRpcError: the centre refuses.
        """
        request = product_pb2.ScreenSuitabilityRequest(
            customer_id=customer_id, product_id=product_id
        )
        try:
            with gate("product"):
                answer = await self._stub.ScreenSuitability(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return _judged(product_id, reasons=(UNKNOWN_PRODUCT,))
        check = answer.suitability_check
        reasons = tuple(_code(reason) for reason in check.reasons)
        return _judged(
            product_id,
            reasons=() if check.suitable else reasons or ("UNSUITABLE",),
            receipt_id=check.receipt_id,
            staff_qualification=check.staff_qualification,
        )


def _judged(
    product_id: int,
    *,
    reasons: tuple[str, ...],
    receipt_id: int = 0,
    staff_qualification: str = "",
) -> Suitability:
    return Suitability(
        receipt_id=receipt_id,
        product_id=product_id,
        reasons=reasons,
        staff_qualification=staff_qualification,
    )


def _code(reason: product_pb2.SuitabilityReason.ValueType) -> str:
    known = product_pb2.SuitabilityReason
    name = known.Name(reason) if reason in known.values() else str(int(reason))
    return name.removeprefix(_PREFIX)
