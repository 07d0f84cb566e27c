"""What events and reversals must keep to be taken in. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from centers.decision.domain import Event, Reversal
from centers.decision.errors import DecisionReason
from centers.decision.event_types import EVENT_TYPES, EventType
from mesh.errors import MeshError, Violation
from mesh.privacy import holds_personal_number

AHEAD_US: Final = 300_000_000
"""How far a clock of the bank's systems may be ahead of ours: five minutes."""

MAX_NAMED: Final = 50
"""Violations that one error names, at most."""

_PERSONAL: Final = "holds what looks like a telephone or identity number: send a code"

_WORD: Final = re.compile("[a-z_]{1,40}")

_Fault = tuple[DecisionReason, Violation]


def check(events: Sequence[Event], reversals: Sequence[Reversal], now_us: int) -> None:
    """Refuse a request that holds what cannot be taken in.

    Raises:
        MeshError: EVENT_TYPE_UNKNOWN, FIELD_UNKNOWN, EVENT_INVALID or TIME_INVALID: the
            first that was met, with at most 50 places.
    """
    found = list(islice(_faults(events, reversals, now_us), MAX_NAMED))
    if found:
        reason, first = found[0]
        detail = f"{first.field}: {first.description}"
        raise MeshError(reason, detail, violations=[violation for _, violation in found])


def _faults(
    events: Sequence[Event], reversals: Sequence[Reversal], now_us: int
) -> Iterator[_Fault]:
    latest_us = now_us + AHEAD_US
    for index, event in enumerate(events):
        if not 0 < event.occurred_us <= latest_us:
            yield _mistimed(f"events[{index}]")
        event_type = EVENT_TYPES.get(event.event_type)
        if event_type is None:
            yield _unknown_type(f"events[{index}]")
        elif not _fits(event_type, event):
            yield from _attribute_faults(f"events[{index}]", event_type, event)
    for index, reversal in enumerate(reversals):
        if not 0 < reversal.occurred_us <= latest_us:
            yield _mistimed(f"reversals[{index}]")
        if reversal.event_type not in EVENT_TYPES:
            yield _unknown_type(f"reversals[{index}]")
        if holds_personal_number(reversal.reason):
            yield _invalid(f"reversals[{index}].reason", _PERSONAL)


def _fits(event_type: EventType, event: Event) -> bool:
    """Whether there is no fault: asked for every event, so that only faulty ones cost more."""
    numbers, texts, codes = event.numbers, event.texts, event_type.codes
    return (
        numbers.keys() <= event_type.numbers
        and texts.keys() <= event_type.texts
        and all(name in numbers or name in texts for name in event_type.required)
        and all(texts.get(name, "") in known for name, known in codes.items())
        and all(numbers.get(name, 0) >= 0 for name in event_type.amounts)
        and not any(
            holds_personal_number(text) for name, text in texts.items() if name not in codes
        )
    )


def _attribute_faults(place: str, event_type: EventType, event: Event) -> Iterator[_Fault]:
    for kind, given, known in (
        ("numbers", event.numbers, event_type.numbers),
        ("texts", event.texts, event_type.texts),
    ):
        listed = f"{event_type.name} has the {kind} {', '.join(sorted(known)) or '(none)'}"
        for name in given:
            if name not in known:
                where = f"{place}.{kind}[{_repeatable(name)}]"
                yield DecisionReason.FIELD_UNKNOWN, Violation(where, listed)
    yield from _value_faults(place, event_type, event)


def _value_faults(place: str, event_type: EventType, event: Event) -> Iterator[_Fault]:
    for name in sorted(event_type.required):
        if name not in event.numbers and name not in event.texts:
            kind = "numbers" if name in event_type.numbers else "texts"
            yield _invalid(f"{place}.{kind}[{name}]", "is needed")
    for name, codes in event_type.codes.items():
        if name in event.texts and event.texts[name] not in codes:
            yield _invalid(f"{place}.texts[{name}]", f"must be one of {', '.join(sorted(codes))}")
    for name in sorted(event_type.amounts):
        if event.numbers.get(name, 0) < 0:
            yield _invalid(f"{place}.numbers[{name}]", "must not be negative")

    for name in sorted(event_type.texts - event_type.codes.keys()):
        if holds_personal_number(event.texts.get(name, "")):
            yield _invalid(f"{place}.texts[{name}]", _PERSONAL)


def _repeatable(name: str) -> str:
    """The name, unless somebody may have put a value where the name belongs."""
    return name if _WORD.fullmatch(name) else "?"


def _invalid(place: str, description: str) -> _Fault:
    return DecisionReason.EVENT_INVALID, Violation(place, description)


def _unknown_type(place: str) -> _Fault:
    listed = f"must be one of {', '.join(EVENT_TYPES)}"
    return DecisionReason.EVENT_TYPE_UNKNOWN, Violation(f"{place}.event_type", listed)


def _mistimed(place: str) -> _Fault:
    description = "must lie after 1970 and at most five minutes ahead of now"
    return DecisionReason.TIME_INVALID, Violation(f"{place}.occurred_time", description)
