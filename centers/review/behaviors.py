"""Behaviours: what staff and system did, sealed one behind the other. Pure rules.

An entry holds the record as it was told, byte for byte; what it is looked up by is
read off the record again when the log is checked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from engine.mesh.v1 import policy_pb2
from engine.mesh.v1.event_pb2 import AuditRecord
from mesh.context import Principal, Scope
from mesh.seal import Head

EMPTY: Final = Head()
"""The head of a log without entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A record as an event brought it: `record` is a serialized `AuditRecord`."""

    event_id: str
    source: str
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What behaviours are looked up by."""

    actor: str
    branch_id: int
    customer_id: int
    task_id: int
    verb: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record at its place in the log; positions count from 1 without gaps."""

    position: int
    told: Told
    keys: Keys
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which behaviours are asked for; what is None does not matter."""

    actor: str | None = None
    branch_id: int | None = None
    customer_id: int | None = None
    task_id: int | None = None
    verb: str | None = None


def keys_of(record: AuditRecord) -> Keys:
    """What a record is looked up by."""
    return Keys(
        actor=record.actor,
        branch_id=record.branch_id,
        customer_id=record.customer_id,
        task_id=record.chain.task_id,
        verb=record.verb,
    )


def append(told: Told, keys: Keys, head: Head) -> Entry:
    """The entry behind the head of the log."""
    after = head.followed_by(_content(told, head.position + 1))
    return Entry(position=after.position, told=told, keys=keys, seal=after.seal)


def follows(entry: Entry, head: Head) -> bool:
    """Whether the entry is what `append` would have put behind the head."""
    try:
        keys = keys_of(AuditRecord.FromString(entry.told.record))
    except DecodeError:
        return False
    return entry == append(entry.told, keys, head)


def reach(asked: Filter, principal: Principal, scope: Scope) -> Filter | None:
    """The part of what is asked for that the caller may see; None when that is nothing.

    Who has all sees all, who has a branch what its people did, anybody else what he did.
    """
    if scope == policy_pb2.SCOPE_ALL:
        return asked
    if scope == policy_pb2.SCOPE_BRANCH and principal.branch_id:
        return _narrowed(asked, branch_id=principal.branch_id)
    if asked.actor not in (None, principal.subject):
        return None
    return _narrowed(asked, actor=principal.subject)


def _narrowed(asked: Filter, *, actor: str | None = None, branch_id: int | None = None) -> Filter:
    return Filter(
        actor=actor or asked.actor,
        branch_id=branch_id,
        customer_id=asked.customer_id,
        task_id=asked.task_id,
        verb=asked.verb,
    )


def _content(told: Told, position: int) -> bytes:
    place = json.dumps([position, told.event_id, told.source])
    return f"{place}\n".encode() + told.record
