"""What a sequence is: its kind, its ids and who may take them. Pure.

Inside the service a sequence is counted in *positions* 0, 1, 2, …; which id a
position has follows from the definition alone. So nothing else needs to know of
increments, descending ids or rounds of a cycle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from mesh.errors import MeshError, MeshReason, Violation
from sequencer.sdk.layout import MAX_BITS, Layout
from sequencer.sdk.serial import Reset, SerialFormat, SerialTemplateError

MAX_ID: Final = 2**63 - 1
MIN_ID: Final = -(2**63)
MAX_POSITION: Final = 2**63 - 1
JS_SAFE: Final = 2**53 - 1
"""The highest whole number that JavaScript and spreadsheets keep exactly."""

NAME: Final = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")
PERIODS: Final = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}


class Kind(Enum):
    """The guarantee of a sequence; the numbers are the contract's."""

    SEGMENT = 1
    STRICT = 2
    GAPLESS = 3
    SNOWFLAKE = 4


class State(Enum):
    """Where a sequence is in its life; the numbers are the contract's."""

    ACTIVE = 1
    DRAINING = 2
    RETIRED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who may take ids: "mesh:action" or a user's id; `daily_quota` 0 is any number."""

    name: str
    daily_quota: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serial:
    """How serials are written: a template, the zone that dates them, when they begin anew."""

    template: str
    zone: str = ""
    reset: Reset = Reset.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A sequence as it was made, and its state.

    `uid` identifies it for ever, whatever it is called; a period of a serial has
    that of its `parent`. `revision` rises with each change.
    """

    uid: int
    name: str
    kind: Kind
    start: int
    min_value: int
    max_value: int
    increment: int
    cycle: bool
    create_time: datetime
    retention_days: int
    state: State = State.ACTIVE
    callers: tuple[Caller, ...] = ()
    serial: Serial | None = None
    layout: Layout | None = None
    parent: int = 0
    revision: int = 1

    @property
    def first_round(self) -> int:
        """Ids from `start` to the end."""
        end = self.max_value if self.increment > 0 else self.min_value
        return (end - self.start) // self.increment + 1

    @property
    def later_round(self) -> int:
        """Ids of each further round of a cycle."""
        return (self.max_value - self.min_value) // abs(self.increment) + 1

    @property
    def capacity(self) -> int:
        """Positions that there are."""
        return MAX_POSITION if self.cycle else min(self.first_round, MAX_POSITION)

    def id_at(self, position: int) -> int:
        """The id of a position below `capacity`."""
        if position < self.first_round:
            return self.start + position * self.increment
        begin = self.min_value if self.increment > 0 else self.max_value
        return begin + (position - self.first_round) % self.later_round * self.increment

    def run_at(self, position: int) -> int:
        """How many positions from this one on have evenly spaced ids: what is left of its round."""
        if position < self.first_round:
            return self.first_round - position
        return self.later_round - (position - self.first_round) % self.later_round

    def position_of(self, id_: int, before: int) -> int | None:
        """The newest position below `before` that has the id; None when there is none."""
        steps, off = divmod(id_ - self.start, self.increment)
        first = steps if not off and 0 <= steps < self.first_round else None
        if before > self.first_round and (later := self._later_of(id_, before)) is not None:
            return later
        return first if first is not None and first < before else None

    def _later_of(self, id_: int, before: int) -> int | None:
        begin = self.min_value if self.increment > 0 else self.max_value
        steps, off = divmod(id_ - begin, self.increment)
        if off or not 0 <= steps < self.later_round:
            return None
        rounds = (before - self.first_round - 1 - steps) // self.later_round
        return self.first_round + rounds * self.later_round + steps if rounds >= 0 else None

    def allows(self, caller: str) -> bool:
        """Whether somebody may take ids."""
        return not self.callers or any(caller == one.name for one in self.callers)

    def quota(self, caller: str) -> int:
        """Ids that a caller may take within a day; 0 is any number."""
        return next((one.daily_quota for one in self.callers if one.name == caller), 0)

    def same_ids(self, other: Definition) -> bool:
        """Whether both make the same ids under the same guarantee."""
        return self._ids() == other._ids()

    def _ids(self) -> tuple[object, ...]:
        return (
            self.kind,
            self.start,
            self.min_value,
            self.max_value,
            self.increment,
            self.cycle,
            self.serial,
            self.layout,
        )


def split(name: str) -> tuple[str, str]:
    """The name of a sequence, and the period behind its "@"; empty when it has none.

    Raises:
        MeshError: INVALID_ARGUMENT.
    """
    base, at, period = name.partition("@")
    if not NAME.match(base):
        raise invalid("name", "is not a name such as 'customer.follow_up'")
    if at and not _is_period(period):
        raise invalid("name", "the period behind '@' is not YYYY, YYYYMM or YYYYMMDD")
    return base, period


def _is_period(text: str) -> bool:
    form = PERIODS.get(len(text))
    if form is None or not (text.isascii() and text.isdecimal()):
        return False
    try:
        datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def check(wanted: Definition) -> Definition:
    """The definition, when a sequence can be made of it.

    Raises:
        MeshError: INVALID_ARGUMENT, with what to change.
    """
    if not MIN_ID <= wanted.min_value <= wanted.start <= wanted.max_value <= MAX_ID:
        raise invalid("sequence.start", "is not between min_value and max_value")
    if wanted.increment == 0:
        raise invalid("sequence.increment", "is 0")
    if wanted.cycle and wanted.kind is not Kind.SEGMENT:
        raise invalid("sequence.cycle", "only a SEGMENT sequence may begin again")
    if (wanted.layout is not None) is not (wanted.kind is Kind.SNOWFLAKE):
        raise invalid("sequence.layout", "belongs to kind SNOWFLAKE")
    if wanted.layout is not None and not 0 < wanted.layout.bits <= MAX_BITS:
        raise invalid("sequence.layout", "has more than 63 bits")
    if wanted.serial is not None and wanted.kind is Kind.SNOWFLAKE:
        raise invalid("sequence.serial", "does not go with kind SNOWFLAKE")
    if wanted.serial is not None:
        _check_serial(wanted, wanted.serial)
    check_callers(wanted)
    return wanted


def highest_number(serial: Serial) -> int:
    """The highest number that serials can be written of.

    Raises:
        MeshError: INVALID_ARGUMENT, when the template cannot work.
    """
    try:
        return SerialFormat.parse(serial.template, zone=serial.zone, reset=serial.reset).highest
    except SerialTemplateError as error:
        raise invalid("sequence.serial", str(error)) from error


def _check_serial(wanted: Definition, serial: Serial) -> None:
    most = min(highest_number(serial), MAX_ID)
    if wanted.max_value > most:
        raise invalid("sequence.max_value", f"the template writes numbers up to {most}")
    if wanted.min_value < 0:
        raise invalid("sequence.min_value", "serials have no negative numbers")
    if wanted.cycle:
        raise invalid("sequence.cycle", "serials would repeat")


def check_callers(wanted: Definition) -> None:
    """Refuse callers that cannot be told apart, or counted.

    Raises:
        MeshError: INVALID_ARGUMENT.
    """
    names = [one.name for one in wanted.callers]
    if len({*names}) < len(names):
        raise invalid("sequence.callers", "names somebody twice")
    if wanted.kind is Kind.SNOWFLAKE and any(one.daily_quota for one in wanted.callers):
        raise invalid("sequence.callers", "ids of SNOWFLAKE are not counted: they have no quota")


def invalid(name: str, description: str) -> MeshError:
    """The refusal of a field's value."""
    return MeshError(
        MeshReason.INVALID_ARGUMENT,
        f"{name}: {description}",
        violations=[Violation(name, description)],
    )
