"""Messages of the Ark's contract as domain objects, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from centers.ark.domain import Field, Masked, Record
from engine.ark.v1 import ark_pb2
from mesh import contract

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


def record(message: ark_pb2.CustomerRecord) -> Record:
    """A customer in clear, as an import brings him."""
    return Record(
        cif=message.cif,
        name=message.name,
        phone=message.phone,
        id_card=message.id_card,
        aum_fen=message.aum_fen,
    )


def masked_record(shown: Masked) -> ark_pb2.MaskedRecord:
    """What the contract shows of a customer."""
    message = ark_pb2.MaskedRecord(customer_id=shown.customer_id)
    for name, value in shown.values.items():
        setattr(message, _SHOWN_AS.get(name, name), value)
    message.as_of.FromDatetime(shown.as_of)
    return message
