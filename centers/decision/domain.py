"""Events, verdicts and what follows from them. Pure.

Times are microseconds since 1970, UTC. Every request of events gets a stamp, a
time that is later than that of every request before it: `ingest_us` and
`reversed_us` are such stamps, so that facts tell in which order the log was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from engine.decision.v1 import decision_pb2 as pb

DAY_US: Final = 86_400_000_000

Attributes = Mapping[str, int | str]
"""Numbers and texts of an event by name, as filters see them."""


class Verdict(IntEnum):
    """What a model decided on an event; the numbers are the contract's and the database's."""

    FIRED = pb.VERDICT_FIRED
    FILTERED = pb.VERDICT_FILTERED
    BELOW_ABSOLUTE = pb.VERDICT_BELOW_ABSOLUTE
    BELOW_OWN = pb.VERDICT_BELOW_OWN
    EXCLUDED_CLASS = pb.VERDICT_EXCLUDED_CLASS
    REVERSED = pb.VERDICT_REVERSED
    COOLDOWN = pb.VERDICT_COOLDOWN
    WAITING = pb.VERDICT_WAITING
    ENDED_BY_EVENT = pb.VERDICT_ENDED_BY_EVENT
    NOT_LIVE = pb.VERDICT_NOT_LIVE
    ERROR = pb.VERDICT_ERROR


class Status(IntEnum):
    """Whether a version of a model looks at events; numbers as in the contract."""

    IDLE = pb.MODEL_STATUS_IDLE
    LIVE = pb.MODEL_STATUS_LIVE
    PAUSED = pb.MODEL_STATUS_PAUSED
    RETIRED = pb.MODEL_STATUS_RETIRED


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Event:
    """An event as it is handed in. It has no repr: it holds amounts."""

    event_type: str
    business_key: str
    customer_id: int
    occurred_us: int
    numbers: Mapping[str, int]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """An event is taken back; it may not have come yet."""

    event_type: str
    business_key: str
    occurred_us: int
    reason: str


class Fact(NamedTuple):
    """An event as the log holds it; a tuple, since a history has very many.

    The fields are those of the table, in its order.
    """

    customer_id: int
    event_type: str
    occurred_us: int
    business_key: str
    attributes: Attributes
    ingest_us: int
    reversed_us: int | None = None

    @property
    def place(self) -> tuple[int, str]:
        """Its place among the events of its type in the order of what happened."""
        return self.occurred_us, self.business_key

    @property
    def logged_place(self) -> tuple[int, int, str]:
        """Its place in the order in which events of its type are evaluated."""
        return self.ingest_us, self.occurred_us, self.business_key

    @property
    def born_reversed(self) -> bool:
        """Whether it was taken back before it was evaluated."""
        return not self.stands_at(self.ingest_us)

    def __repr__(self) -> str:
        # Neither logs nor traces may show amounts.
        return f"Fact({self.event_type}, {self.business_key})"

    def stands_at(self, stamp: int) -> bool:
        """Whether it was known and not taken back when the request of that stamp was evaluated."""
        return stands(self, stamp)


class Measured(Protocol):
    """What a history says of one event: rows of the log do, and `Measure`s."""

    @property
    def occurred_us(self) -> int: ...
    @property
    def value(self) -> int | str | None: ...
    @property
    def ingest_us(self) -> int: ...
    @property
    def reversed_us(self) -> int | None: ...


class Measure(NamedTuple):
    """The number of an event that a model measures; None when the event lacks it."""

    occurred_us: int
    value: int | str | None
    ingest_us: int
    reversed_us: int | None


class _Logged(Protocol):
    @property
    def ingest_us(self) -> int: ...
    @property
    def reversed_us(self) -> int | None: ...


def stands(logged: _Logged, stamp: int) -> bool:
    """Whether an event was known and not taken back when the request of `stamp` was evaluated."""
    return logged.ingest_us <= stamp and (logged.reversed_us is None or logged.reversed_us > stamp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a model decides on an event; `earlier` is the number of own events it compared with."""

    fact: Fact
    verdict: Verdict
    earlier: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A hit of a model."""

    trigger_id: int
    model_id: int
    model_version: int
    scene_id: int
    customer_id: int
    event_type: str
    business_key: str
    occurred_us: int
    create_us: int
    window_key: int
    reversed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """An event that fires at `due_us` unless an event of type `absent` comes before."""

    model_id: int
    model_version: int
    scene_id: int
    customer_id: int
    event_type: str
    business_key: str
    occurred_us: int
    due_us: int
    absent: str
    window_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request of events and reversals."""

    received: int
    duplicates: int
    stored: int
    reversed: int
    fired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A decision on an event, with the conditions that led to it. Ids are 0 where there is none."""

    business_key: str
    event_type: str
    occurred_us: int
    verdict: Verdict
    path: tuple[str, ...]
    trigger_id: int = 0
    model_version: int = 0
