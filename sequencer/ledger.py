"""The rules by which a sequence's log grows: grant, take back, jump the fence. Pure.

Each answers the entry that is to be appended. Ranges that are granted anew
never overlap; a range that came back is granted again at most once at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mesh.errors import MeshError
from sequencer.definition import Definition, Kind, State, invalid
from sequencer.entry import MAX_TAILS, Action, Entry, Tail, Tip, Witness
from sequencer.errors import SequencerReason

MIN_SHARE: Final = 1_000
SHARE_BITS: Final = 20
"""A grant takes at most the 2**-20th part of what is left, or 1,000 ids if that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A client's wish for ids.

    `last` is the witness of its newest lease. `is_believed` is whether that may
    move the fence: anybody else could burn the sequence.
    """

    holder: str
    size: int
    last: Witness | None = None
    kind: Kind | None = None
    is_believed: bool = False

    @property
    def caller(self) -> str:
        """Who asks, whatever client id it gave."""
        return self.holder.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What an append gives to its entries: the mark that identifies it, and the time."""

    mark: int
    time: datetime


def created(definition: Definition, holder: str, stamp: Stamp) -> Entry:
    """The first entry of a log."""
    tip = Tip(number=1, mark=stamp.mark, epoch=0, position=0)
    return Entry(
        tip=tip,
        action=Action.CREATED,
        position=0,
        size=0,
        holder=holder,
        time=stamp.time,
        note=f"{definition.kind.name} {definition.name}",
    )


def changed(tip: Tip, holder: str, note: str, stamp: Stamp) -> Entry:
    """An entry that makes all servers look at the definition again."""
    return Entry(
        tip=_next(tip, stamp),
        action=Action.CHANGED,
        position=tip.position,
        size=0,
        holder=holder,
        time=stamp.time,
        note=note,
    )


def admit(definition: Definition, wish: Wish) -> None:
    """Check that the sequence may grant to somebody at all.

    Raises:
        MeshError: KIND_MISMATCH, SEQUENCE_CLOSED, CALLER_NOT_ALLOWED.
    """
    if definition.kind not in (Kind.SEGMENT, Kind.STRICT) or (
        wish.kind is not None and wish.kind is not definition.kind
    ):
        raise MeshError(
            SequencerReason.KIND_MISMATCH,
            f"The sequence '{definition.name}' is of kind {definition.kind.name}",
            metadata={"sequence": definition.name, "kind": definition.kind.name},
        )
    if definition.state is not State.ACTIVE:
        raise MeshError(
            SequencerReason.SEQUENCE_CLOSED,
            f"The sequence '{definition.name}' is {definition.state.name}",
            metadata={"sequence": definition.name, "state": definition.state.name},
        )
    if not definition.allows(wish.caller):
        raise MeshError(SequencerReason.CALLER_NOT_ALLOWED, metadata={"caller": wish.caller})


def grant(definition: Definition, tip: Tip, wish: Wish, stamp: Stamp) -> Entry:
    """Grant ids: a range that came back to a client that never had one, else the next ones.

    Fewer than asked for near the end of the sequence or of a round of its cycle.

    Raises:
        MeshError: SEQUENCE_EXHAUSTED.
    """
    if wish.last is None and tip.tails and definition.kind is Kind.SEGMENT:
        return _grant_again(definition, tip, wish, stamp)
    left = definition.capacity - tip.position
    if left <= 0:
        raise MeshError(
            SequencerReason.SEQUENCE_EXHAUSTED,
            f"The sequence '{definition.name}' has no ids left",
            metadata={"sequence": definition.name, "last": str(definition.id_at(tip.position - 1))},
        )
    share = max(left >> SHARE_BITS, MIN_SHARE)
    size = min(wish.size, share, left, definition.run_at(tip.position))
    return Entry(
        tip=replace(_next(tip, stamp), position=tip.position + size),
        action=Action.GRANTED,
        position=tip.position,
        size=size,
        holder=wish.holder,
        time=stamp.time,
    )


def _grant_again(definition: Definition, tip: Tip, wish: Wish, stamp: Stamp) -> Entry:
    tail, *others = tip.tails
    size = min(wish.size, tail.size, definition.run_at(tail.position))
    rest = Tail(number=tail.number, position=tail.position + size, size=tail.size - size)
    return Entry(
        tip=replace(_next(tip, stamp), tails=(*([rest] if rest.size else []), *others)),
        action=Action.GRANTED,
        position=tail.position,
        size=size,
        holder=wish.holder,
        time=stamp.time,
        source=tail.number,
    )


def take_back(tip: Tip, lease: Entry, used: int, stamp: Stamp) -> Entry | None:
    """Take back all of a lease but its first `used` ids; None when that is nothing.

    Of a lease from before a jump of the fence nothing comes back: who else has
    its ids is not known.

    Raises:
        MeshError: INVALID_ARGUMENT, when the lease has fewer ids.
    """
    if used > lease.size:
        raise invalid("used", f"the lease has {lease.size} ids")
    if used == lease.size or lease.tip.epoch < tip.epoch:
        return None
    number = tip.number + 1
    tail = Tail(number=number, position=lease.position + used, size=lease.size - used)
    return Entry(
        tip=replace(_next(tip, stamp), tails=_with(tip.tails, tail)),
        action=Action.RETURNED,
        position=tail.position,
        size=tail.size,
        holder=lease.holder,
        time=stamp.time,
        source=lease.number,
    )


def lost(tip: Tip, lease: Entry, used: int, count: int, stamp: Stamp) -> Entry:
    """Tell that of the first `used` ids of a lease the last `count` may be lost."""
    return Entry(
        tip=_next(tip, stamp),
        action=Action.LOST,
        position=lease.position + used - count,
        size=count,
        holder=lease.holder,
        time=stamp.time,
        source=lease.number,
    )


def fenced(
    tip: Tip, witnesses: Sequence[Witness], stamp: Stamp, *, holder: str, note: str
) -> Entry:
    """Jump behind all that the witnesses know to have been granted; what came back is given up."""
    position = max([tip.position, *(witness.position for witness in witnesses)])
    epoch = max([tip.epoch, *(witness.epoch for witness in witnesses)]) + 1
    return Entry(
        tip=Tip(
            number=tip.number + 1, mark=stamp.mark, epoch=epoch, position=position, fence=position
        ),
        action=Action.FENCED,
        position=tip.position,
        size=position - tip.position,
        holder=holder,
        time=stamp.time,
        note=note,
    )


def is_covered(tip: Tip, witness: Witness) -> bool:
    """Whether the fence has jumped over all that a witness of a lost log knows of."""
    return witness.epoch < tip.epoch and witness.position <= tip.fence


def _next(tip: Tip, stamp: Stamp) -> Tip:
    return replace(tip, number=tip.number + 1, mark=stamp.mark)


def _with(tails: tuple[Tail, ...], new: Tail) -> tuple[Tail, ...]:
    """The tails and one more by position, neighbours made one, the smallest given up if need be."""
    merged: list[Tail] = []
    for tail in sorted((*tails, new), key=lambda one: one.position):
        if merged and merged[-1].stop == tail.position:
            before = merged.pop()
            tail = replace(before, size=before.size + tail.size)  # noqa: PLW2901
        merged.append(tail)
    if len(merged) > MAX_TAILS:
        merged.remove(min(merged, key=lambda one: one.size))
    return tuple(merged)
