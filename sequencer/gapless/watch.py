"""Transactions over numbers, on a store that may have been put back to an older copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from google.protobuf.message import Message

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.storage import call_record, idempotent_call
from mesh.telemetry import Meters
from sequencer.definition import Definition, invalid
from sequencer.entry import Witness
from sequencer.errors import SequencerReason
from sequencer.gapless import rules
from sequencer.gapless.claims import Asked
from sequencer.gapless.errors import GaplessReason
from sequencer.gapless.memory import Memory, Peers
from sequencer.gapless.unit import Look, Numbers, Unit, Wanted

FENCE_ATTEMPTS: Final = 3
"""How often a call looks at a store anew that was put back meanwhile."""

MAX_NUMBER: Final = 2**62
"""No sequence has changed, or was put back, more often."""

_log: Final = get_logger(__name__)

Answer = TypeVar("Answer", bound=Message)
Act = Callable[[Unit, Look], Awaitable[tuple[Witness, Answer]]]
"""Does something to a sequence in a transaction: the witness of it, and the call's answer."""


class Watch:
    """Compares what the store says with what this server and the client remember.

    A store that was put back shows there, and what may have been used since the
    copy is set aside before anything else is done.

    Args:
        numbers: where they are kept.
        memory: what this server knows of them.
        peers: are asked as well, before numbers are set aside.
        clock: dates what is set aside.
        meters: counts how often the store was found put back.
    """

    def __init__(
        self, numbers: Numbers, memory: Memory, peers: Peers, clock: Clock, meters: Meters
    ) -> None:
        self._numbers = numbers
        self._memory = memory
        self._peers = peers
        self._clock = clock
        self._fences = meters.counter("sequencer.gapless.fences")

    async def within(
        self, definition: Definition, asked: Asked, act: Act[Answer], wanted: Wanted = None
    ) -> Answer:
        """Do something in a transaction, once the store has been found to know all it should."""
        _refuse_impossible(definition, asked.last)
        for _ in range(FENCE_ATTEMPTS):
            try:
                async with self._numbers.unit(definition.uid) as unit:
                    look, lost = await self._looked_at(unit, definition, asked, wanted)
                    _refuse_lost(lost)
                    witness, answer = await act(unit, look)
            except _RewoundError:
                await self._fence(definition, asked)
            else:
                self._memory.note(definition.uid, witness)
                return answer
        raise MeshError(GaplessReason.STORE_REWOUND, retry_after_s=1.0)

    async def _looked_at(
        self, unit: Unit, definition: Definition, asked: Asked, wanted: Wanted = None
    ) -> tuple[Look, Sequence[Witness]]:
        """The sequence, and the witnesses that it does not bear out."""
        own = self._memory.newest(definition.uid)
        known = [one for one in (own, asked.last) if one is not None]
        look = await unit.look(known, wanted)
        lost = [one for one, mark in look.found if rules.is_lost(look.head, one, mark)]
        believed = [one for one in lost if asked.is_believed or one == own]
        if lost and not believed:
            raise MeshError(SequencerReason.FENCE_REFUSED)
        return look, believed

    async def _fence(self, definition: Definition, asked: Asked) -> None:
        """Set aside what the store has forgotten, in a transaction of its own.

        The call may be refused for what it asks; that the store was put back stays known.
        """
        told = await self._peers.witnesses(definition.name)
        possible = [one for one in told if one.position <= definition.capacity]
        with of_no_call():
            async with self._numbers.unit(definition.uid) as unit:
                look, lost = await self._looked_at(unit, definition, asked)
                if not lost:
                    return
                head = look.head
                known = [*lost, *possible]
                change = rules.fence(head, known, actor=asked.holder, now=self._clock.now())
                await unit.apply(change)
        self._memory.note(definition.uid, change.head.witness)
        self._fences.add()
        _log.error(
            "gapless_store_put_back",
            sequence=definition.name,
            numbers_jumped=change.head.position - head.position,
            epoch=change.head.epoch,
            by_client=asked.last in lost,
        )


class _RewoundError(Exception):
    """The store was put back to an older copy."""


def _refuse_lost(lost: Sequence[Witness]) -> None:
    if lost:
        raise _RewoundError


def _refuse_impossible(definition: Definition, last: Witness | None) -> None:
    if last is None:
        return
    if last.position > definition.capacity or max(last.number, last.epoch) > MAX_NUMBER:
        raise invalid("last", "is not a witness of this sequence")


@contextmanager
def of_no_call() -> Iterator[None]:
    """Do what is not the effect of the call: its answer and record wait for another transaction."""
    call, record = idempotent_call.set(None), call_record.set(None)
    try:
        yield
    finally:
        idempotent_call.reset(call)
        call_record.reset(record)
