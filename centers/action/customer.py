"""The customer centre as the action centre sees it: how a customer is shown to a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc

from engine.customer.v1 import customer_pb2, customer_pb2_grpc

_NOT_FOR_HIM: Final = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A customer's masked name and telephone number. Not kept anywhere."""

    name: str = ""
    phone: str = ""


NOTHING: Final = Shown()


class CustomerClient:
    """Asks the customer centre over a channel, on behalf of the user of the call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = customer_pb2_grpc.CustomerServiceStub(channel)

    async def shown(self, customer_id: int) -> Shown:
        """What the user may see of the customer: nothing, when he is none of his.

        Raises:
            grpc.aio.AioRpcError: the customer centre or the Ark cannot be reached.
        """
        request = customer_pb2.GetPortraitRequest(customer_id=customer_id)
        try:
            answer = await self._stub.GetPortrait(request)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NOT_FOR_HIM:
                return NOTHING
            raise
        return Shown(name=answer.portrait.name, phone=answer.portrait.phone)
