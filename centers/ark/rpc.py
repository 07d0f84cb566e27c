"""The Ark's contract: messages to domain and back."""

from __future__ import annotations

from centers.ark import wire
from centers.ark.service import Ark, Asker
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from mesh import context
from mesh.telemetry import current_trace


class ArkRpc(ark_pb2_grpc.ArkServiceServicer):
    """Serves `engine.ark.v1.ArkService`."""

    def __init__(self, ark: Ark) -> None:
        self._ark = ark

    async def ImportCustomers(
        self, request: ark_pb2.ImportCustomersRequest, _: object
    ) -> ark_pb2.ImportCustomersResponse:
        tokens = await self._ark.take_in([wire.record(message) for message in request.records])
        return ark_pb2.ImportCustomersResponse(
            tokens=[
                ark_pb2.CustomerToken(cif=record.cif, customer_id=token)
                for record, token in zip(request.records, tokens, strict=True)
            ]
        )

    async def Query(self, request: ark_pb2.QueryRequest, _: object) -> ark_pb2.QueryResponse:
        fields = [wire.FIELDS[asked] for asked in request.fields]
        shown = await self._ark.show(request.customer_ids, fields, _asker())
        return ark_pb2.QueryResponse(records=[wire.masked_record(one) for one in shown])

    async def GetStatistics(
        self, _request: ark_pb2.GetStatisticsRequest, _: object
    ) -> ark_pb2.GetStatisticsResponse:
        statistics = await self._ark.statistics()
        response = ark_pb2.GetStatisticsResponse(customers=statistics.customers)
        if statistics.import_time is not None:
            response.import_time.FromDatetime(statistics.import_time)
        return response


def _asker() -> Asker:
    request, trace = context.current(), current_trace()
    return Asker(
        user=request.actor,
        service=request.service,
        purpose=request.purpose,
        trace_id=trace.trace_hex if trace else "",
    )
