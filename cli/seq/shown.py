"""How messages of the sequencer are shown: plain in pipes, easier to read on terminals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cli.output import fail, terminal

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb

STYLES: Final = {
    "active": "green",
    "draining": "yellow",
    "retired": "dim",
    "fenced": "bold red",
    "returned": "cyan",
    "lost": "bold red",
    "void": "yellow",
    "lost_track": "bold red",
    "expired": "yellow",
}
"""Of states and actions on terminals."""

CENTURY_DAYS: Final = 36_525

_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def amount(number: int) -> str:
    """How many: with separators for people, digits alone for programs."""
    return f"{number:,}" if terminal() else str(number)


def days(found: pb.Sequence) -> str:
    """How many days the ids of a sequence last; empty when nothing tells."""
    if not found.HasField("days_left"):
        return ""
    if terminal() and found.days_left > CENTURY_DAYS:
        return "over a century"
    return f"{found.days_left:.1f}"


def word(name: str, prefix: str) -> str:
    """The name of an enum's value as a word: SEQUENCE_STATE_ACTIVE is 'active'."""
    return name.removeprefix(prefix).lower()


def kind(found: pb.Sequence) -> str:
    """The guarantee of a sequence."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    return word(pb.SequenceKind.Name(found.kind), "SEQUENCE_KIND_")


def state(found: pb.Sequence) -> str:
    """Where a sequence is in its life."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    return word(pb.SequenceState.Name(found.state), "SEQUENCE_STATE_")


def moment(stamp: Any) -> str:
    """A time in UTC, to the second."""
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M:%S}Z"


def plain(text: str) -> str:
    """Text that others chose, without what would move a cursor or break a line."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def when(text: str, now: datetime) -> datetime:
    """The moment that a person means: '2026-11-26', '2026-11-26T09:30', '90m', '2h', '7d' (ago).

    UTC unless it says otherwise. Ends the program when it is none.
    """
    try:
        if text[-1:] in _UNITS and text[:-1].isdecimal():
            return now - int(text[:-1]) * _UNITS[text[-1]]
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        fail(
            f"'{text}' is no time",
            "Write it as 2026-11-26, 2026-11-26T09:30 (UTC), or as 90m, 2h, 7d for so long ago.",
            code=2,
        )
