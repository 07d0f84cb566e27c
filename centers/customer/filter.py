"""The filter language of customer lists: a subset of AIP-160.

    filter    = condition { "AND" condition }
    condition = field operator value

    tier >= TIER_AUM20 AND has_wecom = true

Tiers and grades are compared in the order of their numbers: a customer who was
never assessed stands below C1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.customer.v1 import customer_pb2

EQUALITY: Final = ("=", "!=")
ORDER: Final = ("=", "!=", "<", "<=", ">", ">=")
MAX_INT64: Final = 2**63 - 1

_TOKEN = re.compile(r"\s*(?:(?P<symbol>[<>!]?=|[<>])|(?P<word>\w+)|(?P<other>\S))")


class FilterError(Exception):
    """A filter that cannot be read: where, and what may stand there.

    `position` counts characters from 1. The text that stands there is not
    repeated: people type names and numbers into filters.
    """

    def __init__(self, position: int, expected: str) -> None:
        self.position = position
        self.expected = expected
        super().__init__(f"at character {position}: expected {expected}")


@dataclass(frozen=True, slots=True)
class Condition:
    """A field compared with a value; all conditions of a filter must hold."""

    field: str
    operator: str
    value: int


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _FieldRule:
    """What a field may be compared with. `read` answers None for what it may not."""

    operators: Sequence[str]
    read: Callable[[str], int | None]
    values: str


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= MAX_INT64 else None


def _one_of(names: Mapping[str, int]) -> Callable[[str], int | None]:
    return names.get


def _enumeration(names: Mapping[str, int]) -> _FieldRule:
    return _FieldRule(ORDER, _one_of(names), "one of " + ", ".join(names))


_RULES: Final[Mapping[str, _FieldRule]] = {
    "tier": _enumeration(dict(customer_pb2.Tier.items())),
    "risk_grade": _enumeration(dict(customer_pb2.RiskGrade.items())),
    "has_wecom": _FieldRule(EQUALITY, _one_of({"true": 1, "false": 0}), "true or false"),
    "owner_id": _FieldRule(EQUALITY, _number, "a whole number"),
}


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, in its order; none for an empty one.

    Raises:
        FilterError: the text is not a filter; says where and what may stand there.
    """
    tokens = list(_tokens(text))
    if len(tokens) == 1:  # the end alone
        return ()
    conditions: list[Condition] = []
    rest = iter(tokens)
    while True:
        conditions.append(_condition(rest))
        joint = next(rest)
        if not joint.text:
            return tuple(conditions)
        if joint.text != "AND":
            raise FilterError(joint.position, "AND or the end")


def _tokens(text: str) -> Iterator[_Token]:
    """Words and symbols; last an empty one that marks the end."""
    stripped = text.rstrip()
    for match in _TOKEN.finditer(stripped):
        start = match.start(match.lastgroup or 0)
        yield _Token(match[match.lastgroup or 0], start + 1)
    yield _Token("", len(stripped) + 1)


def _condition(tokens: Iterator[_Token]) -> Condition:
    field = next(tokens)
    rule = _RULES.get(field.text)
    if rule is None:
        raise FilterError(field.position, "one of " + ", ".join(_RULES))
    operator = next(tokens)
    if operator.text not in rule.operators:
        expected = f"one of {' '.join(rule.operators)} after {field.text}"
        raise FilterError(operator.position, expected)
    literal = next(tokens)
    value = rule.read(literal.text)
    if value is None:
        raise FilterError(literal.position, f"{rule.values} for {field.text}")
    return Condition(field.text, operator.text, value)
