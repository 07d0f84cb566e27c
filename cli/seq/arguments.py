"""What commands of `engine seq` are given, read into the contract's messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import fail

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb

JS_SAFE: Final = 2**53 - 1
"""The highest whole number that JavaScript and spreadsheets keep exactly."""

JS_LAYOUT: Final = "41:5:7"
"""53 bits: 69 years, 32 workers with 128 ids a millisecond each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Reads whole numbers within bounds: the `parser` of an option or argument."""

    low: int
    high: int

    def __call__(self, text: str) -> int:
        """The number; another ends the program with the exit code of a wrong command line."""
        number = self.read(text)
        if number is None:
            raise typer.BadParameter(f"'{text}' is no whole number {self}")
        return number

    def read(self, text: str) -> int | None:
        """The number; None when it is none, or out of bounds."""
        try:
            number = int(text)
        except ValueError:
            return None
        return number if self.low <= number <= self.high else None

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


INT64: Final = Whole(low=-(2**63), high=2**63 - 1)
"""Ids, and what else the contract has as an int64."""

COUNTED: Final = Whole(low=0, high=INT64.high)
POSITIVE: Final = Whole(low=1, high=INT64.high)
INCREMENT: Final = Whole(low=-1_000_000_000, high=1_000_000_000)
BITS: Final = Whole(low=0, high=2**31 - 1)
"""A part of a layout; the contract has it as an int32, and the sequencer says what works."""

Name = Annotated[str, typer.Argument(help="Name of the sequence: 'customer.follow_up'.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Kind(StrEnum):
    """The guarantee of a sequence."""

    SEGMENT = "segment"
    STRICT = "strict"
    GAPLESS = "gapless"
    SNOWFLAKE = "snowflake"

    @property
    def message(self) -> pb.SequenceKind.ValueType:
        """The contract's."""
        from engine.sequencer.v1 import sequencer_pb2 as pb

        return pb.SequenceKind.Value(f"SEQUENCE_KIND_{self.name}")


class Reset(StrEnum):
    """When the numbers of a serial begin anew."""

    NEVER = "never"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


def js_max(max_value: int | None) -> int:
    """The last id of a sequence whose ids are to be safe in JavaScript."""
    if max_value is not None and max_value > JS_SAFE:
        fail(f"--max {max_value} is more than --js allows", f"At most {JS_SAFE} is.", code=2)
    return JS_SAFE if max_value is None else max_value


def caller(text: str) -> pb.Caller:
    """NAME or NAME=QUOTA."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    name, equals, quota = text.partition("=")
    number = COUNTED.read(quota.replace(",", "")) if equals else 0
    if not name or number is None:
        fail(
            f"'{text}' is no caller",
            "Write NAME or NAME=IDS_A_DAY: mesh:action=100000 for a service, a user's id else."
            f" Ids a day are {COUNTED}.",
            code=2,
        )
    return pb.Caller(name=name, daily_quota=number)


def serial(template: str, zone: str, reset: Reset) -> pb.SerialFormat:
    """How serials are written; the sequencer says what is wrong with a template."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    name = "UNSPECIFIED" if reset is Reset.NEVER else reset.name
    number = pb.SerialReset.Value(f"SERIAL_RESET_{name}")
    return pb.SerialFormat(template=template, zone=zone, reset=number)


def layout(text: str, epoch: str, *, js: bool) -> pb.SnowflakeLayout:
    """TIME:WORKER:SEQUENCE bits and perhaps :MILLISECONDS of a tick."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    parts = (text or (JS_LAYOUT if js else "41:10:12")).split(":")
    numbers = [number for part in parts if (number := BITS.read(part)) is not None]
    if len(parts) not in (3, 4) or len(numbers) != len(parts):
        fail(
            f"--layout {text} is no layout",
            "Write TIME:WORKER:SEQUENCE bits, and :MS for the tick if it is not 1 ms: 41:10:12."
            f" Each is {BITS}.",
            code=2,
        )
    time_bits, worker_bits, sequence_bits, *tick = numbers
    bits = time_bits + worker_bits + sequence_bits
    if js and bits > 53:
        fail(f"--layout {text} has {bits} bits", "With --js ids have 53 at most.", code=2)
    made = pb.SnowflakeLayout(
        time_bits=time_bits,
        worker_bits=worker_bits,
        sequence_bits=sequence_bits,
        tick_ms=tick[0] if tick else 1,
    )
    if epoch:
        made.epoch_time.FromDatetime(datetime.combine(day(epoch), datetime.min.time(), UTC))
    return made


def day(text: str) -> date:
    """A date; ends the program when it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"'{text}' is no date", "Write it as 2026-11-26.", code=2)


def confirm(question: str) -> None:
    """Ask a person; ends the program unless he says yes, or when nobody is there to ask."""
    import sys

    if not sys.stdin.isatty():
        fail("this asks before it acts, and nobody is there to answer", "Say --yes.", code=2)
    if not typer.confirm(question):
        fail("nothing was changed")
