"""The Ark's contract: messages to domain and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from centers.ark.domain import Field, Masked, Record
from centers.ark.service import Ark, Asker
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from mesh import context, contract
from mesh.telemetry import current_trace

_RECORD_FIELDS: Final[Mapping[int, str]] = {
    ark_pb2.ARK_FIELD_NAME: "name",
    ark_pb2.ARK_FIELD_PHONE: "phone",
    ark_pb2.ARK_FIELD_ID_CARD: "id_card",
    ark_pb2.ARK_FIELD_CIF: "cif",
    ark_pb2.ARK_FIELD_AUM: "aum_fen",
}
_SHOWN_AS: Final[Mapping[str, str]] = {"aum_fen": "aum_band"}
"""Fields of MaskedRecord that are not named like those of CustomerRecord."""


def _field(name: str) -> Field:
    descriptor = ark_pb2.CustomerRecord.DESCRIPTOR.fields_by_name[name]
    return Field(name, contract.sensitivity(descriptor))


FIELDS: Final[Mapping[int, Field]] = {asked: _field(name) for asked, name in _RECORD_FIELDS.items()}
"""The record field that an `ArkField` asks for, with the sensitivity that its contract states."""


class ArkRpc(ark_pb2_grpc.ArkServiceServicer):
    """Serves `engine.ark.v1.ArkService`."""

    def __init__(self, ark: Ark) -> None:
        self._ark = ark

    async def ImportCustomers(
        self, request: ark_pb2.ImportCustomersRequest, _: object
    ) -> ark_pb2.ImportCustomersResponse:
        tokens = await self._ark.take_in([_record(message) for message in request.records])
        return ark_pb2.ImportCustomersResponse(
            tokens=[
                ark_pb2.CustomerToken(cif=record.cif, customer_id=token)
                for record, token in zip(request.records, tokens, strict=True)
            ]
        )

    async def Query(self, request: ark_pb2.QueryRequest, _: object) -> ark_pb2.QueryResponse:
        fields = [FIELDS[asked] for asked in request.fields]
        shown = await self._ark.show(request.customer_ids, fields, _asker())
        return ark_pb2.QueryResponse(records=[_masked_record(one) for one in shown])

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


def _record(message: ark_pb2.CustomerRecord) -> Record:
    return Record(
        cif=message.cif,
        name=message.name,
        phone=message.phone,
        id_card=message.id_card,
        aum_fen=message.aum_fen,
    )


def _masked_record(shown: Masked) -> ark_pb2.MaskedRecord:
    record = ark_pb2.MaskedRecord(customer_id=shown.customer_id)
    for name, value in shown.values.items():
        setattr(record, _SHOWN_AS.get(name, name), value)
    record.as_of.FromDatetime(shown.as_of)
    return record
