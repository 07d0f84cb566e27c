"""Any order of calls, repeated calls, crashes, jumping clocks and old copies.

A model keeps, number by number, what must be true. After each step every number
ever issued is in exactly one run, in the state that the model says.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from engine.sequencer.v1 import gapless_pb2 as pb
from mesh.errors import MeshError
from sequencer.entry import Witness
from sequencer.gapless.numbers import Fate
from tests.unit.sequencer.gapless.desk import Desk, definition, witness

LAST = 60
COUNTS = st.integers(1, 6)
PICK = st.integers(0, 2**16)
TTLS = st.sampled_from([1, 5, 60])

T = TypeVar("T")


@dataclass(frozen=True)
class Number:
    """What must be true of a number; `holder` is the token of its reservation, 0 for none."""

    fate: Fate
    holder: int
    expire: datetime


@dataclass(frozen=True)
class Past:
    """The store and the model at one time."""

    copy: bytes
    numbers: dict[int, Number]
    given_back: dict[int, set[int]]


class Numbers(RuleBasedStateMachine):
    """One client and one server, each of which remembers when the other does not."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp")
        self.runner = asyncio.Runner()
        self.desk = Desk(Path(self.folder.name), definition(max_value=LAST))
        self.done(self.desk.__aenter__())
        self.numbers: dict[int, Number] = {}
        self.held: list[pb.Reservation] = []
        self.used: set[int] = set()
        self.given_back: dict[int, set[int]] = {}
        self.past_numbers: dict[int, Number] = {}
        self.newest: Witness | None = None
        self.past: Past | None = None
        self.is_rewound = self.only_client_knows = False
        self.calls = 0

    def teardown(self) -> None:
        self.done(self.desk.__aexit__())
        self.runner.close()
        self.folder.cleanup()

    def done(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    @initialize()
    def begin(self) -> None:
        """A first number, so that there is something to pick from."""
        self.reserve(1, 60, again=False)

    @rule(count=COUNTS, ttl=TTLS, again=st.booleans())
    def reserve(self, count: int, ttl: int, *, again: bool) -> None:
        """The lowest numbers that are free, then new ones; asked again the same ones."""
        self.found_out()
        now = self.desk.clock.now()
        for number, one in self.numbers.items():
            if one.fate is Fate.RESERVED and one.expire <= now:
                self.numbers[number] = replace(one, fate=Fate.FREE)
        free = sorted(n for n, one in self.numbers.items() if one.fate is Fate.FREE)
        fresh = range(len(self.numbers) + 1, LAST + 1)
        expected = [*free, *fresh][:count]
        self.calls += 1

        def call() -> pb.Reservation:
            return self.done(
                self.desk.reserve(
                    count,
                    ttl=timedelta(seconds=ttl),
                    last=self.newest,
                    request_id=f"r{self.calls}",
                )
            )

        if len(expected) < count:
            assert refused(call) == "SEQUENCE_EXHAUSTED"
            return
        held = call()
        assert not again or call() == held
        assert [*held.numbers] == expected
        assert self.used.isdisjoint(expected), "a number that was confirmed is reissued"
        self.held.append(held)
        self.newest = witness(held)
        expire = now + timedelta(seconds=ttl)
        for number in expected:
            self.numbers[number] = Number(Fate.RESERVED, held.token, expire)

    @rule(pick=PICK, some=PICK, whole=st.booleans(), again=st.booleans())
    def confirm(self, pick: int, some: int, *, whole: bool, again: bool) -> None:
        """All that is asked for and held, or nothing; asked again the same."""
        self.found_out()
        held = self.held[pick % len(self.held)]
        asked = [] if whole else part(held.numbers, some)
        wanted = asked or self.not_given_back(held)
        self.calls += 1

        def call() -> list[int]:
            return self.done(
                self.desk.confirm(held, asked, last=self.newest, request_id=f"c{self.calls}")
            )

        why = self.why_not(held, wanted, named=bool(asked))
        if why:
            assert refused(call) == why
            return
        for _ in range(1 + again):
            assert call() == sorted(wanted)
        self.used |= {*wanted}
        for number in wanted:
            self.numbers[number] = replace(self.numbers[number], fate=Fate.CONFIRMED)

    @rule(pick=PICK, some=PICK, whole=st.booleans())
    def release(self, pick: int, some: int, *, whole: bool) -> None:
        """What it holds comes back; what it confirmed is refused."""
        self.found_out()
        held = self.held[pick % len(self.held)]
        asked = [] if whole else part(held.numbers, some)
        ours = [n for n in asked or held.numbers if self.numbers[n].holder == held.token]
        loose = [n for n in ours if self.numbers[n].fate in (Fate.RESERVED, Fate.FREE)]

        def call() -> list[int]:
            return self.done(self.desk.release(held, asked, last=self.newest))

        if asked and any(self.numbers[n].fate is Fate.CONFIRMED for n in ours):
            assert refused(call) == "NUMBERS_CONFIRMED"
            return
        assert call() == sorted(loose)
        self.given_back.setdefault(held.token, set()).update(loose)
        for number in loose:
            self.numbers[number] = replace(self.numbers[number], fate=Fate.FREE, holder=0)

    @precondition(lambda self: not self.only_client_knows)
    @rule(pick=PICK)
    def void(self, pick: int) -> None:
        """Any number but a confirmed one."""
        self.found_out()
        number = pick % len(self.numbers) + 1
        one = self.numbers[number]
        if one.fate is Fate.CONFIRMED:
            assert refused(lambda: self.done(self.desk.void(number))) == "NUMBERS_CONFIRMED"
            return
        assert self.done(self.desk.void(number)) == [number]
        self.numbers[number] = replace(one, fate=Fate.VOID)

    @rule(seconds=st.sampled_from([-3_600, -2, 1, 4, 30, 90]))
    def time_passes(self, seconds: float) -> None:
        """Or jumps, also back."""
        self.desk.clock.advance(seconds)

    @rule()
    def the_server_dies(self) -> None:
        """Its journal stays, as on its own disk."""
        self.done(self.desk.restart())

    @precondition(lambda self: not self.is_rewound)
    @rule()
    def a_copy_is_made(self) -> None:
        """Of the store alone."""
        given_back = {token: {*numbers} for token, numbers in self.given_back.items()}
        self.past = Past(self.desk.copied(), dict(self.numbers), given_back)

    @precondition(lambda self: self.past is not None and not self.is_rewound)
    @rule(who=st.sampled_from(["server", "client", "both"]))
    def the_store_is_put_back(self, who: str) -> None:
        """One of those who know survives."""
        assert self.past is not None
        known = self.done(self.state())
        self.done(self.desk.put_back(self.past.copy))
        self.is_rewound = self.done(self.state()) != known
        if who == "client" and self.newest is not None and self.client_knows(known):
            self.done(self.desk.restart(loses_journal=True))
            self.only_client_knows = self.is_rewound
        if who == "server":
            self.newest = None
        if self.is_rewound:
            self.past_numbers, self.given_back = self.past.numbers, self.past.given_back
        self.past = None

    def found_out(self) -> None:
        """The next call finds out: what was issued since, or open in the copy, is in doubt."""
        if not self.is_rewound:
            return
        self.is_rewound = self.only_client_knows = False
        lost = {n: one for n, one in self.numbers.items() if n not in self.past_numbers}
        for number, one in self.past_numbers.items():
            open_ = one.fate in (Fate.FREE, Fate.RESERVED)
            self.numbers[number] = replace(one, fate=Fate.LOST_TRACK) if open_ else one
        for number, one in lost.items():
            self.numbers[number] = replace(one, fate=Fate.LOST_TRACK, holder=0)

    async def state(self) -> tuple[int, int]:
        """Change number and position of the store."""
        async with self.desk.numbers.unit(7) as unit:
            head = (await unit.look([], None)).head
        return head.number, head.position

    def client_knows(self, known: tuple[int, int]) -> bool:
        """Whether the client was the last to change anything."""
        return self.newest is not None and (self.newest.number, self.newest.position) == known

    def not_given_back(self, held: pb.Reservation) -> list[int]:
        """The numbers that "all" stands for."""
        return [n for n in held.numbers if n not in self.given_back.get(held.token, set())]

    def why_not(self, held: pb.Reservation, wanted: Sequence[int], *, named: bool) -> str:
        """Why a confirm must be refused; empty when it must not."""
        ours = [self.numbers[n] for n in wanted if self.numbers[n].holder == held.token]
        if len(ours) != len(wanted) or not wanted:
            return "NUMBERS_NOT_HELD"
        if any(one.fate is Fate.VOID for one in ours):
            return "NUMBERS_VOID"
        now = self.desk.clock.now()
        doubtful = [one for one in ours if one.fate is Fate.LOST_TRACK]
        if doubtful and (not named or any(one.expire <= now for one in doubtful)):
            return "NUMBERS_IN_DOUBT"
        return ""

    @invariant()
    def each_number_is_in_one_state(self) -> None:
        """Runs lie side by side from the first number to the head, and say what the model says."""
        if self.is_rewound:
            return
        runs = self.done(self.desk.runs())
        assert [p for run in runs for p in run.positions] == [*range(len(self.numbers))]
        found = {p + 1: (run.fate, run.token) for run in runs for p in run.positions}
        assert found == {n: (one.fate, one.holder) for n, one in self.numbers.items()}
        used = {number for number, (fate, _) in found.items() if fate is Fate.CONFIRMED}
        assert used <= self.used


def part(numbers: Sequence[int], bits: int) -> list[int]:
    """Some of the numbers, at least one."""
    some = [number for place, number in enumerate(numbers) if bits >> place & 1]
    return some or [numbers[0]]


def refused(call: Any) -> str:
    """Why a call is refused."""
    try:
        call()
    except MeshError as error:
        return error.reason.name
    return "not refused"


TestNumbers = Numbers.TestCase
TestNumbers.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
