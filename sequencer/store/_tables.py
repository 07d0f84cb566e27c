"""The tables of sequences and their logs, and rows of them."""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import Row
from sequencer.definition import Caller, Definition, Kind, Serial, State
from sequencer.entry import Action, Entry, Tail, Tip
from sequencer.sdk.layout import Layout
from sequencer.sdk.serial import Reset

METADATA: Final = sa.MetaData()
MAX_NOTE: Final = 500

definitions: Final = sa.Table(
    "definition",
    METADATA,
    sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(110), nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("min_value", sa.BigInteger, nullable=False),
    sa.Column("max_value", sa.BigInteger, nullable=False),
    sa.Column("increment", sa.BigInteger, nullable=False),
    sa.Column("cycle", sa.SmallInteger, nullable=False),
    sa.Column("retention_days", sa.Integer, nullable=False),
    sa.Column("callers", sa.Text, nullable=False),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("layout", sa.Text, nullable=False),
    sa.Column("parent", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
    sa.Index("definition_name", "name"),
    sa.Index("definition_parent", "parent"),
)
names: Final = sa.Table(
    "sequence_name",
    METADATA,
    sa.Column("name", sa.String(110), primary_key=True),
    sa.Column("uid", sa.BigInteger, nullable=False),
)
entries: Final = sa.Table(
    "entry",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("action", sa.SmallInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("source", sa.BigInteger, nullable=False),
    sa.Column("caller", sa.String(150), nullable=False),
    sa.Column("client_id", sa.String(150), nullable=False),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    sa.Column("next_position", sa.BigInteger, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("tails", sa.Text, nullable=False),
    sa.Column("note", sa.String(MAX_NOTE), nullable=False),
    sa.Index("entry_position", "sequence", "position"),
    sa.Index("entry_source", "sequence", "source"),
    sa.Index("entry_time", "sequence", "time_us"),
)
floors: Final = sa.Table(
    "log_floor",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("lineage", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("capacity", sa.BigInteger, nullable=False),
)


def definition_values(definition: Definition) -> dict[str, Any]:
    """A row of `definition`."""
    return {
        "uid": definition.uid,
        "name": definition.name,
        "kind": definition.kind.value,
        "state": definition.state.value,
        "start": definition.start,
        "min_value": definition.min_value,
        "max_value": definition.max_value,
        "increment": definition.increment,
        "cycle": int(definition.cycle),
        "retention_days": definition.retention_days,
        "callers": callers_text(definition.callers),
        "serial": _serial_text(definition.serial),
        "layout": _layout_text(definition.layout),
        "parent": definition.parent,
        "revision": definition.revision,
        "create_us": to_micros(definition.create_time),
    }


def as_definition(row: Row) -> Definition:
    """The sequence of a row."""
    return Definition(
        uid=row.uid,
        name=row.name,
        kind=Kind(row.kind),
        state=State(row.state),
        start=row.start,
        min_value=row.min_value,
        max_value=row.max_value,
        increment=row.increment,
        cycle=bool(row.cycle),
        retention_days=row.retention_days,
        callers=_callers(row.callers),
        serial=_serial(row.serial),
        layout=_layout(row.layout),
        parent=row.parent,
        revision=row.revision,
        create_time=from_micros(row.create_us),
    )


def entry_values(entry: Entry) -> dict[str, Any]:
    """A row of `entry`, but for its sequence."""
    return {
        "number": entry.number,
        "mark": entry.tip.mark,
        "epoch": entry.tip.epoch,
        "action": entry.action.value,
        "position": entry.position,
        "size": entry.size,
        "source": entry.source,
        "caller": entry.caller,
        "client_id": entry.client_id,
        "time_us": to_micros(entry.time),
        "next_position": entry.tip.position,
        "fence": entry.tip.fence,
        "tails": tails_text(entry.tip.tails),
        "note": entry.note[:MAX_NOTE],
    }


def as_entry(row: Row) -> Entry:
    """The entry of a row."""
    return Entry(
        tip=as_tip(row),
        action=Action(row.action),
        position=row.position,
        size=row.size,
        holder=f"{row.caller}/{row.client_id}",
        time=from_micros(row.time_us),
        source=row.source,
        note=row.note,
    )


def as_tip(row: Row) -> Tip:
    """What was true after the entry of a row."""
    return Tip(
        number=row.number,
        mark=row.mark,
        epoch=row.epoch,
        position=row.next_position,
        fence=row.fence,
        tails=tails(row.tails),
    )


def callers_text(callers: tuple[Caller, ...]) -> str:
    """Callers as JSON: `[[name, daily quota], …]`; empty for none."""
    return json.dumps([[one.name, one.daily_quota] for one in callers]) if callers else ""


def tails_text(tails: tuple[Tail, ...]) -> str:
    """Tails as JSON: `[[number, position, size], …]`; empty for none."""
    rows = [[tail.number, tail.position, tail.size] for tail in tails]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def tails(text: str) -> tuple[Tail, ...]:
    """The tails of a text that `tails_text` made."""
    if not text:
        return ()
    return tuple(
        Tail(number=number, position=position, size=size)
        for number, position, size in json.loads(text)
    )


def _callers(text: str) -> tuple[Caller, ...]:
    if not text:
        return ()
    return tuple(Caller(name=name, daily_quota=quota) for name, quota in json.loads(text))


def _serial_text(serial: Serial | None) -> str:
    return json.dumps([serial.template, serial.zone, serial.reset.value]) if serial else ""


def _serial(text: str) -> Serial | None:
    if not text:
        return None
    template, zone, reset = json.loads(text)
    return Serial(template=template, zone=zone, reset=Reset(reset))


def _layout_text(layout: Layout | None) -> str:
    if layout is None:
        return ""
    bits = [layout.time_bits, layout.worker_bits, layout.sequence_bits]
    return json.dumps([*bits, layout.tick_ms, to_micros(layout.epoch)])


def _layout(text: str) -> Layout | None:
    if not text:
        return None
    time_bits, worker_bits, sequence_bits, tick_ms, epoch_us = json.loads(text)
    return Layout(
        time_bits=time_bits,
        worker_bits=worker_bits,
        sequence_bits=sequence_bits,
        tick_ms=tick_ms,
        epoch=from_micros(epoch_us),
    )
