"""Who is served of a group, and what is handed out. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

DEFAULT_EVENTS: Final = 500
MAX_BYTES: Final = 4 << 20
"""Most bytes of events in one request or answer; a gRPC message may have 16 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupKey:
    """A group, named with its service, and a topic that it consumes."""

    group: str
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A serialized event at its place; `dead_letter_id` is 0 for one that is handed out first."""

    position: int
    event: bytes
    dead_letter_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """An event that a group gives up; `dead_letter_id` is 0 when for the first time."""

    position: int
    dead_letter_id: int
    attempts: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of events that a group was given."""

    position: int = 0
    buried: Sequence[Burial] = ()
    replayed: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.position or self.buried or self.replayed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A member asks for the next events of its group."""

    key: GroupKey
    member: str
    most: int
    wait_s: float
    settlement: Settlement
    leaving: bool = False
    renewing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """How far a group is."""

    key: GroupKey
    position: int
    lag: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that a group could not consume."""

    key: GroupKey
    logged: Logged
    attempts: int
    error: str
    time: datetime
    replaying: bool


@dataclass(slots=True)
class Lease:
    """That a member is served, until a time."""

    member: str
    until: float


class Leases:
    """Which member of each group is served; times are seconds of one monotonic clock.

    They are not kept over a restart: then the first that asks is served, and who
    was served before is a stand-by. Events may be handed out twice by that, as by
    any crash.
    """

    def __init__(self) -> None:
        self._held: dict[GroupKey, Lease] = {}

    def take(self, key: GroupKey, member: str, now: float, *, for_s: float) -> Lease | None:
        """Serve the member for that long; None while another one is served."""
        if self._is_held_by_another(key, member, now):
            return None
        lease = self._held[key] = Lease(member, now + for_s)
        return lease

    def renew(self, key: GroupKey, member: str, now: float, *, for_s: float) -> bool:
        """Serve the member for that long at least; False while another one is served.

        Later calls of the member may have come first: what they took stays theirs.
        """
        if self._is_held_by_another(key, member, now):
            return False
        lease = self._held.setdefault(key, Lease(member, now))
        lease.member, lease.until = member, max(lease.until, now + for_s)
        return True

    def shorten(self, key: GroupKey, lease: Lease, now: float, *, for_s: float) -> None:
        """Let a lease end after that long, unless a later call of the member took one."""
        if self._held.get(key) is lease:
            lease.until = now + for_s

    def release(self, key: GroupKey, lease: Lease) -> None:
        """End a lease, unless a later call of the member took one."""
        if self._held.get(key) is lease:
            del self._held[key]

    def _is_held_by_another(self, key: GroupKey, member: str, now: float) -> bool:
        held = self._held.get(key)
        return held is not None and held.member != member and now < held.until


def fitting(sizes: Sequence[int], max_bytes: int = MAX_BYTES) -> int:
    """How many of the first fit together; at least one, when there is one."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > max_bytes:
            return max(count, 1)
    return len(sizes)
