"""The customer centre as the performance centre sees it: who looks after whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import grpc

from centers.performance.errors import PerformanceReason
from mesh.errors import MeshError
from mesh.ownership import Owner, OwnerSource

RETRY_AFTER_S: Final = 1.0
_AWAY: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class CustomerOwners:
    """Asks for owners, and says what to do when there is no answer."""

    def __init__(self, source: OwnerSource) -> None:
        self._source = source

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        """Owners by customer; customers that are unknown are left out.

        Raises:
            MeshError: OWNERS_UNAVAILABLE.
        """
        if not customer_ids:
            return {}
        try:
            return await self._source.owners(customer_ids)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY:
                raise
            away = PerformanceReason.OWNERS_UNAVAILABLE
            raise MeshError(away, retry_after_s=RETRY_AFTER_S) from error
