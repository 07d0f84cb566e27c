"""The Ark as the customer centre sees it: a source of masked values."""

from __future__ import annotations

from datetime import UTC
from typing import Final

import grpc

from centers.customer.domain import MaskedValues
from centers.customer.errors import CustomerReason
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from mesh import context
from mesh.errors import MeshError

PURPOSE: Final = "service"
RETRY_AFTER_S: Final = 1.0

_FIELDS: Final = (
    ark_pb2.ARK_FIELD_NAME,
    ark_pb2.ARK_FIELD_PHONE,
    ark_pb2.ARK_FIELD_ID_CARD,
    ark_pb2.ARK_FIELD_AUM,
)


class ArkClient:
    """Asks the Ark over a channel; user, service and deadline travel with the call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ark_pb2_grpc.ArkServiceStub(channel)

    async def masked(self, customer_id: int) -> MaskedValues | None:
        """What the Ark shows of the customer; None when it does not know him.

        Raises:
            MeshError: ARK_UNAVAILABLE.
            grpc.aio.AioRpcError: the Ark refuses; the mesh tells the caller why.
        """
        request = ark_pb2.QueryRequest(customer_ids=[customer_id], fields=_FIELDS)
        try:
            with context.with_purpose(PURPOSE):
                answer = await self._stub.Query(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            unavailable = CustomerReason.ARK_UNAVAILABLE
            raise MeshError(unavailable, retry_after_s=RETRY_AFTER_S) from error
        return _values(answer.records[0]) if answer.records else None


def _values(record: ark_pb2.MaskedRecord) -> MaskedValues:
    return MaskedValues(
        name=record.name,
        phone=record.phone,
        id_card=record.id_card,
        aum_band=record.aum_band,
        as_of=record.as_of.ToDatetime(tzinfo=UTC),
    )
