"""What the Ark holds, and the masks behind which it shows it. Pure rules.

A mask hides the length of what it hides: the number of stars is fixed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from engine.mesh.v1 import policy_pb2

FEN_PER_YUAN: Final = 100
BAND_EDGES_YUAN: Final = (50_000, 200_000, 500_000, 1_000_000, 3_000_000, 6_000_000)
BANDS: Final = ("<50k", "50k-200k", "200k-500k", "500k-1M", "1M-3M", "3M-6M", ">=6M")

Mask = Callable[[Any], str]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Record:
    """A customer in clear. It has no repr, so that no log or trace can show one."""

    cif: str
    name: str
    phone: str
    id_card: str
    aum_fen: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Held:
    """A record as it lies in the Ark: under its token, with the time of its import."""

    customer_id: int
    record: Record
    import_time: datetime


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `Record` and the kind of personal data that its contract says it is."""

    name: str
    sensitivity: policy_pb2.Sensitivity.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """What may leave the Ark of one customer: masked values by field name."""

    customer_id: int
    values: Mapping[str, str]
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """How much the Ark holds; `import_time` is None when it holds nothing."""

    customers: int
    import_time: datetime | None


def mask_for(field: Field) -> Mask | None:
    """The mask for a field's kind of data; None means that the field is not shown."""
    return _MASKS.get(field.sensitivity)


def masked(held: Held, masks: Mapping[str, Mask]) -> Masked:
    """The fields named in `masks`, each behind its mask."""
    values = {name: mask(getattr(held.record, name)) for name, mask in masks.items()}
    return Masked(customer_id=held.customer_id, values=values, as_of=held.import_time)


def mask_name(name: str) -> str:
    """The first character: "王**"."""
    return name[:1] + "**"


def mask_phone(phone: str) -> str:
    """The first three and the last four digits: "138****1234"."""
    return _ends(phone, first=3, last=4, stars=4)


def mask_id_card(number: str) -> str:
    """The first three and the last four characters: "330***********123X"."""
    return _ends(number, first=3, last=4, stars=11)


def mask_account(number: str) -> str:
    """The last four digits: "********4321"."""
    return _ends(number, first=0, last=4, stars=8)


def amount_band(fen: int) -> str:
    """The band of an amount, in yuan: "50k-200k"; an edge belongs to the band above it."""
    return BANDS[bisect_right(BAND_EDGES_YUAN, fen // FEN_PER_YUAN)]


def repeated(values: Sequence[str]) -> Sequence[tuple[int, int]]:
    """Places of values that occurred before, each with the first place."""
    first: dict[str, int] = {}
    places = ((index, first.setdefault(value, index)) for index, value in enumerate(values))
    return [(index, before) for index, before in places if index != before]


def _ends(text: str, *, first: int, last: int, stars: int) -> str:
    """The ends of a text that is longer than both together; of a shorter one nothing."""
    if len(text) <= first + last:
        return "*" * stars
    return text[:first] + "*" * stars + text[-last:]


_MASKS: Final[Mapping[policy_pb2.Sensitivity.ValueType, Mask]] = {
    policy_pb2.SENSITIVITY_NAME: mask_name,
    policy_pb2.SENSITIVITY_PHONE: mask_phone,
    policy_pb2.SENSITIVITY_ID_CARD: mask_id_card,
    policy_pb2.SENSITIVITY_ACCOUNT: mask_account,
    policy_pb2.SENSITIVITY_AMOUNT: amount_band,
}
