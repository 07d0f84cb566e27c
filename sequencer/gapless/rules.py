"""The rules by which numbers are reserved, used and accounted for. Pure.

Who holds a number proves it by the token of its reservation, never by the time:
however the clock jumps, a number has one holder, since to give it to the next
one replaces the token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mesh.errors import MeshError
from sequencer.entry import Witness
from sequencer.errors import SequencerReason
from sequencer.gapless.errors import GaplessReason
from sequencer.gapless.numbers import Change, Fate, Head, Positions, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A wish for `count` numbers. `token` and `mark` are random numbers above 0."""

    count: int
    ttl: timedelta
    holder: str
    token: int
    mark: int


def reserve(
    head: Head, free: Sequence[Run], wish: Demand, *, capacity: int, now: datetime
) -> tuple[Change, Sequence[Run]]:
    """Reserve the lowest numbers: free ones, in their order, then such as were never issued.

    Answers the change, and the reserved runs in their order.

    Raises:
        MeshError: SEQUENCE_EXHAUSTED; not even a part is reserved then.
    """
    fresh = max(wish.count - sum(run.size for run in free), 0)
    if fresh > capacity - head.position:
        raise MeshError(
            SequencerReason.SEQUENCE_EXHAUSTED,
            metadata={"left": str(wish.count - fresh + capacity - head.position)},
        )
    moved = replace(head, number=head.number + 1, position=head.position + fresh)
    stamp = _Stamp(wish, moved.number, now)
    taken, rests = _taken(free, wish.count - fresh)
    reissued = tuple(stamp(run) for run in taken)
    issued: tuple[Run, ...] = ()
    if fresh:
        issued = (stamp(_fresh(head.position, fresh, wish.mark, now)),)
        moved = replace(moved, mark=wish.mark)
    due = now + wish.ttl if head.due is None else min(head.due, now + wish.ttl)
    change = Change(head=replace(moved, due=due), changed=reissued, added=(*rests, *issued))
    return change, (*reissued, *issued)


def confirm(
    head: Head, held: Sequence[Run], chosen: Positions | None, now: datetime
) -> tuple[Change | None, Sequence[Run]]:
    """Confirm numbers of a reservation, whose runs are `held`; None: all that it has.

    An expired number that nobody else has got is confirmed like any other. One in
    doubt is while its lease runs, when it is named: what was given back since the
    copy is not known. The change is None when all were confirmed before.

    Raises:
        MeshError: NUMBERS_NOT_HELD, NUMBERS_VOID or NUMBERS_IN_DOUBT; nothing is confirmed then.
    """
    wanted = [piece for run in held for piece, inside in run.pieces(chosen) if inside]
    expected = len(chosen) if chosen is not None else max((run.whole for run in held), default=1)
    if sum(piece.size for piece in wanted) != expected:
        raise MeshError(GaplessReason.NUMBERS_NOT_HELD)
    if any(piece.fate is Fate.VOID for piece in wanted):
        raise MeshError(GaplessReason.NUMBERS_VOID)
    doubtful = [piece for piece in wanted if piece.fate is Fate.LOST_TRACK]
    if doubtful and (chosen is None or any(piece.expire <= now for piece in doubtful)):
        raise MeshError(GaplessReason.NUMBERS_IN_DOUBT)

    def used(run: Run) -> Run:
        return run if run.fate is Fate.CONFIRMED else replace(run, fate=Fate.CONFIRMED, since=now)

    return _change(head, held, lambda run: _cut(run, chosen, used)), wanted


def release(
    head: Head, held: Sequence[Run], chosen: Positions | None, now: datetime
) -> tuple[Change | None, Sequence[Run]]:
    """Give numbers of a reservation back; None: all that are not confirmed.

    Answers the runs that came back. What it does not hold, or what is void or in
    doubt, stays as it is.

    Raises:
        MeshError: NUMBERS_CONFIRMED, of numbers that were chosen; nothing is given back then.
    """
    if chosen is not None:
        _refuse_confirmed(held, chosen)
    loose = [run for run in held if run.fate in (Fate.RESERVED, Fate.FREE)]
    back = [piece for run in loose for piece, inside in run.pieces(chosen) if inside]
    left = max((run.whole for run in held), default=0) - sum(run.size for run in back)

    def freed(run: Run) -> Run:
        return replace(run, fate=Fate.FREE, reservation=0, token=0, whole=0, since=now)

    def cut(run: Run) -> Iterator[Run]:
        for piece in _cut(run, chosen, freed) if run in loose else (run,):
            yield replace(piece, whole=left) if piece.token else piece

    return _change(head, held, cut), back


def void(
    head: Head, runs: Sequence[Run], chosen: Positions, *, reason: str, actor: str, now: datetime
) -> Change | None:
    """Declare numbers void; `runs` are those that they lie in.

    Raises:
        MeshError: NUMBERS_CONFIRMED; nothing is voided then.
    """
    _refuse_confirmed(runs, chosen)

    def voided(run: Run) -> Run:
        if run.fate is Fate.VOID:
            return run
        return replace(run, fate=Fate.VOID, holder=actor, reason=reason, since=now)

    return _change(head, runs, lambda run: _cut(run, chosen, voided))


def is_lost(head: Head, witness: Witness, mark: int | None) -> bool:
    """Whether a witness tells of what the store has forgotten; `mark` is that below its position.

    What was known when the store was last found put back has been set aside then.
    """
    if witness.epoch < head.epoch:
        return witness.position > head.fence
    if witness.epoch > head.epoch or witness.number > head.number:
        return True
    return witness.position > head.position or bool(witness.position and mark != witness.mark)


def fence(head: Head, known: Sequence[Witness], *, actor: str, now: datetime) -> Change:
    """Set aside what may have been used since the copy that the store was put back to.

    That is every number up to the highest that a witness knows, and in the copy
    every one that is neither confirmed nor void: it may have been since.
    """
    furthest = max(known, key=lambda witness: witness.position)
    epoch = max(head.epoch, *(witness.epoch for witness in known)) + 1
    number = max(head.number, *(witness.number for witness in known)) + 1
    moved = replace(head, number=number, epoch=epoch, fence=head.position, due=None)
    if furthest.position <= head.position:
        return Change(head=moved, doubted=now)
    jumped = replace(
        _fresh(head.position, furthest.position - head.position, furthest.mark, now),
        fate=Fate.LOST_TRACK,
        holder=actor,
    )
    stop = furthest.position
    moved = replace(moved, position=stop, fence=stop, mark=furthest.mark)
    return Change(head=moved, added=(jumped,), doubted=now)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Makes runs those of one reservation."""

    wish: Demand
    number: int
    now: datetime

    def __call__(self, run: Run) -> Run:
        return replace(
            run,
            fate=Fate.RESERVED,
            reservation=self.number,
            token=self.wish.token,
            whole=self.wish.count,
            holder=self.wish.holder,
            since=self.now,
            expire=self.now + self.wish.ttl,
        )


def _fresh(position: int, size: int, mark: int, now: datetime) -> Run:
    return Run(
        position=position,
        size=size,
        mark=mark,
        fate=Fate.FREE,
        holder="",
        since=now,
        expire=now,
    )


def _taken(free: Sequence[Run], count: int) -> tuple[list[Run], list[Run]]:
    """The lowest `count` positions of some runs, and what is left of the run that ends there."""
    taken: list[Run] = []
    for run in free:
        if not count:
            break
        part = min(run.size, count)
        taken.append(replace(run, size=part))
        count -= part
        if part < run.size:
            return taken, [replace(run, position=run.position + part, size=run.size - part)]
    return taken, []


def _cut(run: Run, chosen: Positions | None, act: Callable[[Run], Run]) -> Iterator[Run]:
    """The pieces of a run, with something done to those that are chosen."""
    for piece, inside in run.pieces(chosen):
        yield act(piece) if inside else piece


def _change(head: Head, runs: Sequence[Run], cut: Callable[[Run], Iterable[Run]]) -> Change | None:
    """The change that cuts each run; None when all stay what they are."""
    changed: list[Run] = []
    added: list[Run] = []
    for run in runs:
        first, *further = cut(run)
        if first != run:
            changed.append(first)
        added += further
    if not changed:
        return None
    moved = replace(head, number=head.number + 1)
    return Change(head=moved, changed=tuple(changed), added=tuple(added))


def _refuse_confirmed(runs: Sequence[Run], chosen: Positions) -> None:
    used = [run for run in runs if run.fate is Fate.CONFIRMED]
    if any(inside for run in used for _, inside in run.pieces(chosen)):
        raise MeshError(GaplessReason.NUMBERS_CONFIRMED)
