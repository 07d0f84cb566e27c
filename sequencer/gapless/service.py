"""What can be done with gapless numbers: reserve, confirm, release, void.

Each is one transaction, in which its answer is kept when the call has a request id.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.telemetry import Meters
from sequencer.definition import Definition, Kind, State, invalid
from sequencer.directory import Admit
from sequencer.entry import Witness
from sequencer.errors import SequencerReason
from sequencer.gapless import rules
from sequencer.gapless.claims import Asked, Claim, Held
from sequencer.gapless.numbers import Change, Head, Positions, Run
from sequencer.gapless.unit import Free, HeldRuns, Look, Unit
from sequencer.gapless.watch import Answer, Watch, of_no_call

DEFAULT_TTL: Final = timedelta(seconds=60)

UNISSUED: Final = -1
"""Stands for the position of a number that nobody ever had."""

_SECRET_BITS: Final = 62

Respond = Callable[[Held], Answer]


class Definitions(Protocol):
    """The sequences that there are."""

    async def definition(self, name: str, admit: Admit) -> Definition:
        """The sequence of a name; a period that `admit` lets be made is made."""

    async def known(self, name: str) -> Definition:
        """The sequence of a name; looking at one never makes it."""


class Gapless:
    """The use cases. `respond` makes a call's answer, which is kept with its effect.

    Args:
        definitions: finds sequences.
        watch: does things to their numbers.
        clock: says whether a lease has run out; nothing else depends on it.
        meters: counts numbers reserved, confirmed, released and voided.
        secret: makes tokens and marks, of so many bits.
    """

    def __init__(
        self,
        definitions: Definitions,
        watch: Watch,
        clock: Clock,
        meters: Meters,
        *,
        secret: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._definitions = definitions
        self._watch = watch
        self._clock = clock
        self._secret = secret
        self._count = {
            what: meters.counter(f"sequencer.gapless.{what}")
            for what in ("reserved", "confirmed", "released", "voided")
        }

    async def known(self, name: str) -> Definition:
        """The GAPLESS sequence of a name.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND or KIND_MISMATCH.
        """
        return _gapless(await self._definitions.known(name))

    async def reserve(
        self, asked: Asked, count: int, ttl: timedelta, respond: Respond[Answer]
    ) -> Answer:
        """Reserve so many numbers, the lowest there are.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH, SEQUENCE_CLOSED,
                CALLER_NOT_ALLOWED, QUOTA_EXHAUSTED, SEQUENCE_EXHAUSTED or FENCE_REFUSED.
        """
        with of_no_call():  # a period may be made, which is not what the call answers
            found = await self._definitions.definition(
                asked.name, lambda serial: _refuse_closed(_gapless(serial), asked.caller)
            )
        definition = _gapless(found)
        wish = rules.Demand(
            count=count, ttl=ttl, holder=asked.holder, token=self._draw(), mark=self._draw()
        )

        async def act(unit: Unit, look: Look) -> tuple[Witness, Answer]:
            _refuse_closed(definition, asked.caller)  # here: an answer given before stands
            head, free, now = look.head, look.runs, self._clock.now()
            if head.due is not None and head.due <= now:
                head = replace(head, due=await unit.expire(now))
                free = await unit.free(count)
            change, runs = rules.reserve(head, free, wish, capacity=definition.capacity, now=now)
            await unit.apply(change)
            await _heed_quota(unit, definition, asked.caller, count, now)
            held = Held(
                numbers=_ids(definition, runs),
                witness=change.head.witness,
                reservation=change.head.number,
                token=wish.token,
                expire=now + ttl,
            )
            return _told(unit, held, respond)

        answer = await self._watch.within(definition, asked, act, Free(most=count))
        self._count["reserved"].add(count)
        return answer

    async def confirm(self, asked: Asked, claim: Claim, respond: Respond[Answer]) -> Answer:
        """Declare numbers of a reservation used, all of them or none; again, the same.

        Accepted also after the lease ran out, as long as nobody else got them.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH, NUMBERS_NOT_HELD, NUMBERS_VOID,
                NUMBERS_IN_DOUBT or FENCE_REFUSED.
        """
        return await self._settle(asked, claim, respond, "confirmed", rules.confirm)

    async def release(self, asked: Asked, claim: Claim, respond: Respond[Answer]) -> Answer:
        """Give numbers of a reservation back; those that it does not hold stay as they are.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH, NUMBERS_CONFIRMED or FENCE_REFUSED.
        """
        return await self._settle(asked, claim, respond, "released", rules.release)

    async def void(
        self, asked: Asked, numbers: Sequence[int], reason: str, respond: Respond[Answer]
    ) -> Answer:
        """Declare numbers void, whoever holds them; they are never issued again.

        Raises:
            MeshError: SEQUENCE_NOT_FOUND, KIND_MISMATCH, NUMBERS_CONFIRMED, or
                INVALID_ARGUMENT for a number that was never issued.
        """
        definition = await self.known(asked.name)

        async def act(unit: Unit, look: Look) -> tuple[Witness, Answer]:
            head = look.head
            chosen = positions_of(definition, numbers, head.position)
            if chosen is None or UNISSUED in chosen:
                raise invalid("numbers", "one of them was never issued")
            runs = await unit.around(sorted(chosen))
            change = rules.void(
                head, runs, chosen, reason=reason, actor=asked.holder, now=self._clock.now()
            )
            if change is not None:
                head = change.head
                await unit.apply(change)
            return _told(unit, Held(numbers=numbers, witness=head.witness), respond)

        answer = await self._watch.within(definition, asked, act)
        self._count["voided"].add(len(numbers))
        return answer

    async def _settle(
        self, asked: Asked, claim: Claim, respond: Respond[Answer], what: str, rule: _Rule
    ) -> Answer:
        definition = await self.known(asked.name)
        settled = 0

        async def act(unit: Unit, look: Look) -> tuple[Witness, Answer]:
            nonlocal settled
            head = look.head
            chosen = positions_of(definition, claim.numbers, head.position)
            change, runs = rule(head, look.runs, chosen, self._clock.now())
            if change is not None:
                head = change.head
                await unit.apply(change)
                settled = sum(run.size for run in runs)
            return _told(unit, Held(numbers=_ids(definition, runs), witness=head.witness), respond)

        wanted = HeldRuns(reservation=claim.reservation, token=claim.token)
        answer = await self._watch.within(definition, asked, act, wanted)
        self._count[what].add(settled)
        return answer

    def _draw(self) -> int:
        return self._secret(_SECRET_BITS) + 1


class _Rule(Protocol):
    """Confirms or releases."""

    def __call__(
        self, head: Head, held: Sequence[Run], chosen: Positions | None, now: datetime, /
    ) -> tuple[Change | None, Sequence[Run]]: ...


def positions_of(definition: Definition, numbers: Collection[int], before: int) -> Positions | None:
    """The positions of numbers, below `before` or UNISSUED; None when no numbers are named."""
    if not numbers:
        return None
    found = (definition.position_of(number, before) for number in numbers)
    return frozenset(UNISSUED if position is None else position for position in found)


def _gapless(definition: Definition) -> Definition:
    if definition.kind is not Kind.GAPLESS:
        raise MeshError(
            SequencerReason.KIND_MISMATCH,
            metadata={"sequence": definition.name, "kind": definition.kind.name},
        )
    return definition


def _refuse_closed(definition: Definition, caller: str) -> None:
    if definition.state is not State.ACTIVE:
        raise MeshError(
            SequencerReason.SEQUENCE_CLOSED,
            metadata={"sequence": definition.name, "state": definition.state.name},
        )
    if not definition.allows(caller):
        raise MeshError(SequencerReason.CALLER_NOT_ALLOWED, metadata={"caller": caller})


async def _heed_quota(
    unit: Unit, definition: Definition, caller: str, count: int, now: datetime
) -> None:
    """Count what a caller with a quota reserves; what it gives back counts too."""
    quota = definition.quota(caller)
    if quota and await unit.take(caller, now.date().isoformat(), count) > quota:
        raise MeshError(
            SequencerReason.QUOTA_EXHAUSTED,
            metadata={"caller": caller, "daily_quota": str(quota)},
        )


def _ids(definition: Definition, runs: Sequence[Run]) -> Sequence[int]:
    return [definition.id_at(position) for run in runs for position in run.positions]


def _told(unit: Unit, held: Held, respond: Respond[Answer]) -> tuple[Witness, Answer]:
    answer = respond(held)
    unit.answer(answer)
    return held.witness, answer
