"""The types of events that the bank's systems hand in, and what each says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mesh.expression import INT, STRING, Catalogue, Field, FieldType

AMOUNT: Final = "amount_fen"
CLASS: Final = "class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A number or a text of an event.

    `amount` marks what is shown to nobody but the customer's owner. `codes` are the
    values that a text may have; empty for any.
    """

    name: str
    type: FieldType
    description: str
    required: bool = False
    amount: bool = False
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class EventType:
    """A type of events: its attributes by name, numbers and texts together."""

    name: str
    attributes: Mapping[str, Attribute]

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Names of its numbers."""
        return frozenset(a.name for a in self.attributes.values() if a.type is INT)

    @cached_property
    def texts(self) -> frozenset[str]:
        """Names of its texts."""
        return frozenset(a.name for a in self.attributes.values() if a.type is STRING)

    @cached_property
    def required(self) -> frozenset[str]:
        """Names of what no event of the type lacks."""
        return frozenset(a.name for a in self.attributes.values() if a.required)

    @cached_property
    def amounts(self) -> frozenset[str]:
        """Names of the numbers that are amounts of money."""
        return frozenset(a.name for a in self.attributes.values() if a.amount)

    @cached_property
    def codes(self) -> Mapping[str, frozenset[str]]:
        """Values that those texts may have which are not free."""
        return {a.name: a.codes for a in self.attributes.values() if a.codes}

    @cached_property
    def catalogue(self) -> Catalogue:
        """The fields that filters may name."""
        return Catalogue(
            Field(
                name=attribute.name,
                type=attribute.type,
                nullable=not attribute.required,
                description=attribute.description,
            )
            for attribute in self.attributes.values()
        )


def _type(name: str, attributes: Iterable[Attribute]) -> EventType:
    return EventType(name=name, attributes={each.name: each for each in attributes})


_CHANNEL: Final = Attribute(name="channel", type=STRING, description="Where it was done")

_AMOUNT: Final = Attribute(
    name=AMOUNT, type=INT, description="Amount in fen", required=True, amount=True
)

_OFFER: Final = Attribute(
    name="offer_id", type=INT, description="The pre-approved offer", required=True
)

INFLOW_CLASSES: Final = frozenset(
    {
        "SALARY",
        "OWN_OTHER_BANK",
        "THIRD_PARTY",
        "REDEMPTION",
        "LOAN_DISBURSEMENT",
        "INTERNAL_OWN",
    }
)
"""Where an inflow comes from. OWN_OTHER_BANK is the customer's own money from another bank."""

EVENT_TYPES: Final[Mapping[str, EventType]] = {
    each.name: each
    for each in (
        _type(
            "core.inflow",
            (
                _AMOUNT,
                Attribute(
                    name=CLASS,
                    type=STRING,
                    description="Where the money comes from",
                    required=True,
                    codes=INFLOW_CLASSES,
                ),
                _CHANNEL,
            ),
        ),
        _type(
            "loan.offer_viewed",
            (
                _OFFER,
                Attribute(
                    name="limit_fen", type=INT, description="Limit of the offer", amount=True
                ),
                _CHANNEL,
            ),
        ),
        _type(
            "loan.drawdown",
            (
                _AMOUNT,
                Attribute(name="offer_id", type=INT, description="The offer that was drawn on"),
            ),
        ),
    )
}
"""The catalogue. Events of other types are refused."""
