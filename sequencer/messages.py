"""What the contract's messages say, in the words of the service, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from engine.sequencer.v1 import sequencer_pb2 as pb
from sequencer.definition import (
    MAX_ID,
    Caller,
    Definition,
    Kind,
    Serial,
    highest_number,
    invalid,
)
from sequencer.directory import identity
from sequencer.entry import Entry, Witness
from sequencer.sdk.layout import Layout
from sequencer.sdk.serial import Reset
from sequencer.service import Standing

RETENTION_DAYS: Final = 400
STRICT_RETENTION_DAYS: Final = 30
"""A STRICT sequence has an entry for each call that takes ids."""

_RESETS: Final = {
    pb.SERIAL_RESET_UNSPECIFIED: Reset.NONE,
    pb.SERIAL_RESET_DAY: Reset.DAY,
    pb.SERIAL_RESET_MONTH: Reset.MONTH,
    pb.SERIAL_RESET_YEAR: Reset.YEAR,
}
_RESET_NUMBERS: Final = {reset: number for number, reset in _RESETS.items()}


def definition(wanted: pb.Sequence, now: datetime) -> Definition:
    """The sequence that is wanted, what is not said filled in."""
    made = Kind(wanted.kind or Kind.SEGMENT.value)
    increment = wanted.increment or 1
    usual = min(1, wanted.start) if wanted.HasField("start") else 1
    low = wanted.min_value if wanted.HasField("min_value") else usual
    serial = _serial(wanted.serial) if wanted.HasField("serial") else None
    most = MAX_ID if serial is None else min(highest_number(serial), MAX_ID)
    high = wanted.max_value if wanted.HasField("max_value") else most
    begin = low if increment > 0 else high
    short, has_layout = made is Kind.STRICT, wanted.HasField("layout")
    return Definition(
        uid=identity(wanted.name),
        name=wanted.name,
        kind=made,
        start=wanted.start if wanted.HasField("start") else begin,
        min_value=low,
        max_value=high,
        increment=increment,
        cycle=wanted.cycle,
        callers=callers(wanted),
        serial=serial,
        layout=_layout(wanted.layout) if has_layout or made is Kind.SNOWFLAKE else None,
        retention_days=wanted.retention_days
        or (STRICT_RETENTION_DAYS if short else RETENTION_DAYS),
        create_time=now,
    )


def kind(asked: pb.SequenceKind.ValueType) -> Kind | None:
    """The kind that is asked for; None when any will do."""
    return Kind(asked) if asked else None


def callers(wanted: pb.Sequence) -> tuple[Caller, ...]:
    """Who may take ids."""
    return tuple(Caller(name=one.name, daily_quota=one.daily_quota) for one in wanted.callers)


def revision(etag: str) -> int | None:
    """The revision that an etag stands for; None when there is none.

    Raises:
        MeshError: INVALID_ARGUMENT.
    """
    if not etag:
        return None
    if not etag.isdecimal():
        raise invalid("sequence.etag", "is none that this service gave")
    return int(etag)


def moment(request: Any, field: str) -> datetime | None:
    """The time in a field of a request; None when it is unset.

    Raises:
        MeshError: INVALID_ARGUMENT, when no calendar has it.
    """
    if not request.HasField(field):
        return None
    stamp: Timestamp = getattr(request, field)
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid(field, "is not within the years 1 to 9999") from error


def witness(message: pb.Witness) -> Witness:
    """A witness."""
    return Witness(
        number=message.number,
        mark=message.mark,
        epoch=message.epoch,
        position=message.position,
    )


def proof(one: Witness) -> pb.Witness:
    """The message of a witness."""
    return pb.Witness(number=one.number, mark=one.mark, epoch=one.epoch, position=one.position)


def sequence(standing: Standing) -> pb.Sequence:
    """The message of a sequence."""
    known, tip = standing.definition, standing.tip
    message = pb.Sequence(
        name=known.name,
        kind=pb.SequenceKind.ValueType(known.kind.value),
        start=known.start,
        min_value=known.min_value,
        max_value=known.max_value,
        increment=known.increment,
        cycle=known.cycle,
        lease_number=tip.number,
        callers=[pb.Caller(name=one.name, daily_quota=one.daily_quota) for one in known.callers],
        state=pb.SequenceState.ValueType(known.state.value),
        retention_days=known.retention_days,
        epoch=tip.epoch,
        remaining=standing.remaining,
        days_left=standing.days_left,
        returned=tip.returned,
        etag=str(known.revision),
    )
    if tip.position < known.capacity and known.kind is not Kind.SNOWFLAKE:
        message.next_value = known.id_at(tip.position)
    if known.serial is not None:
        message.serial.template, message.serial.zone = known.serial.template, known.serial.zone
        message.serial.reset = _RESET_NUMBERS[known.serial.reset]
    if known.layout is not None:
        message.layout.CopyFrom(_layout_message(known.layout))
    message.create_time.FromDatetime(known.create_time)
    return message


def lease(known: Definition, entry: Entry) -> pb.Lease:
    """The message of an entry."""
    message = pb.Lease(
        lease_number=entry.number,
        size=entry.size,
        client_id=entry.holder,
        action=pb.LeaseAction.ValueType(entry.action.value),
        increment=known.increment,
        witness=proof(entry.tip.witness),
        source_number=entry.source,
        note=entry.note,
    )
    if entry.size:
        message.first = known.id_at(entry.position)
    message.lease_time.FromDatetime(entry.time)
    return message


def _serial(message: pb.SerialFormat) -> Serial:
    return Serial(template=message.template, zone=message.zone, reset=_RESETS[message.reset])


def _layout(message: pb.SnowflakeLayout) -> Layout:
    usual = Layout()
    has_epoch = message.HasField("epoch_time")
    return Layout(
        time_bits=message.time_bits or usual.time_bits,
        worker_bits=message.worker_bits or usual.worker_bits,
        sequence_bits=message.sequence_bits or usual.sequence_bits,
        tick_ms=message.tick_ms or usual.tick_ms,
        epoch=message.epoch_time.ToDatetime(UTC) if has_epoch else usual.epoch,
    )


def _layout_message(layout: Layout) -> pb.SnowflakeLayout:
    message = pb.SnowflakeLayout(
        time_bits=layout.time_bits,
        worker_bits=layout.worker_bits,
        sequence_bits=layout.sequence_bits,
        tick_ms=layout.tick_ms,
    )
    message.epoch_time.FromDatetime(layout.epoch)
    return message
