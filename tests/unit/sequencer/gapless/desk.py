"""Gapless numbers over a database of their own, for tests: asked, killed, put back."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from engine.sequencer.v1 import gapless_pb2 as pb
from mesh.clock import ManualClock
from mesh.storage import IdempotentCall, Replayed, SQLiteStore, idempotent_call, migrations
from mesh.telemetry import Meters, NullTracer
from sequencer.app import BLUEPRINT
from sequencer.definition import Definition, Kind, State
from sequencer.directory import Admit
from sequencer.entry import Witness
from sequencer.gapless import Gapless, Memory, SqlGaps, SqlNumbers, Watch
from sequencer.gapless.claims import Asked, Claim, Held
from sequencer.gapless.numbers import Run
from sequencer.gapless.tables import as_run, head_table, run_table

NAME = "loan.contract"
HOLDER = "mesh:loan/a"
TTL = timedelta(seconds=60)


class Clock(ManualClock):
    """A clock that may also step back."""


def definition(*, start: int = 1, max_value: int = 10**9, increment: int = 1) -> Definition:
    """A GAPLESS sequence."""
    return Definition(
        uid=7,
        name=NAME,
        kind=Kind.GAPLESS,
        start=start,
        min_value=1,
        max_value=max_value,
        increment=increment,
        cycle=False,
        create_time=datetime(2026, 11, 26, tzinfo=UTC),
        retention_days=400,
    )


class Definitions:
    """One sequence, whatever the name."""

    def __init__(self, only: Definition) -> None:
        self.only = only

    async def definition(self, name: str, admit: Admit | None = None) -> Definition:
        """The sequence."""
        assert name.startswith(NAME)
        return self.only

    async def known(self, name: str) -> Definition:
        """The sequence."""
        return await self.definition(name)

    def drain(self) -> None:
        """Have it reserve no more."""
        self.only = replace(self.only, state=State.DRAINING)


class Peers:
    """The other servers, and what they remember."""

    def __init__(self) -> None:
        self.known: list[Witness] = []

    async def witnesses(self, name: str) -> Sequence[Witness]:
        """What they have seen."""
        assert name == NAME
        return self.known


class PaperJournal:
    """A journal that a test can lose."""

    def __init__(self) -> None:
        self.pages: dict[int, Witness] = {}

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one is known."""
        known = self.pages.get(sequence)
        if known is None or known.age < witness.age:
            self.pages[sequence] = witness

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence."""
        return self.pages.get(sequence)


class Desk:
    """A server of gapless numbers. An async context manager.

    `numbers(held)` and so on are what its calls answer; with a request id a call is
    the same however often it comes.
    """

    def __init__(self, folder: Path, only: Definition | None = None) -> None:
        self.path = folder / "sequencer.db"
        self.clock = Clock(datetime(2026, 11, 26, 8, tzinfo=UTC))
        self.definitions = Definitions(only or definition())
        self.journal = PaperJournal()
        self.peers = Peers()
        self.meters = Meters()
        self.path.write_bytes(_empty())

    async def __aenter__(self) -> Self:
        self.store = SQLiteStore(self.path, tracer=NullTracer(), clock=self.clock)
        await self.store.__aenter__()
        self.gaps = SqlGaps(self.store)
        self.numbers = SqlNumbers(self.store)
        watch = Watch(self.numbers, Memory(self.journal), self.peers, self.clock, self.meters)
        self.gapless = Gapless(self.definitions, watch, self.clock, self.meters)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.__aexit__(None, None, None)

    async def restart(self, *, loses_journal: bool = False) -> None:
        """Start anew on the same database."""
        await self.__aexit__()
        if loses_journal:
            self.journal = PaperJournal()
        await self.__aenter__()

    async def put_back(self, copy: bytes) -> None:
        """Put the database back to a copy while nothing runs."""
        await self.__aexit__()
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink()
        self.path.write_bytes(copy)
        await self.__aenter__()

    def copied(self) -> bytes:
        """A copy of the database as it is now."""
        copy = self.path.with_suffix(".copy")
        with sqlite3.connect(self.path) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        source.close()
        target.close()
        found = copy.read_bytes()
        copy.unlink()
        return found

    async def reserve(
        self,
        count: int = 1,
        *,
        ttl: timedelta = TTL,
        last: Witness | None = None,
        believed: bool = True,
        holder: str = HOLDER,
        request_id: str = "",
    ) -> pb.Reservation:
        """Reserve numbers."""
        asked = Asked(name=NAME, holder=holder, last=last, is_believed=believed)

        def respond(held: Held) -> pb.ReserveNumbersResponse:
            return pb.ReserveNumbersResponse(reservation=_reservation(held))

        with _call("ReserveNumbers", request_id, f"{count} {ttl}"):
            try:
                answer = await self.gapless.reserve(asked, count, ttl, respond)
            except Replayed as replay:
                answer = pb.ReserveNumbersResponse.FromString(replay.response)
        return answer.reservation

    async def confirm(
        self,
        held: pb.Reservation,
        numbers: Sequence[int] = (),
        *,
        last: Witness | None = None,
        request_id: str = "",
    ) -> list[int]:
        """Confirm numbers of a reservation."""
        asked = Asked(name=NAME, holder=HOLDER, last=last, is_believed=True)
        with _call("ConfirmNumbers", request_id, f"{held.token} {numbers}"):
            try:
                answer = await self.gapless.confirm(
                    asked,
                    _claim(held, numbers),
                    lambda done: pb.ConfirmNumbersResponse(numbers=done.numbers),
                )
            except Replayed as replay:
                answer = pb.ConfirmNumbersResponse.FromString(replay.response)
        return [*answer.numbers]

    async def release(
        self,
        held: pb.Reservation,
        numbers: Sequence[int] = (),
        *,
        last: Witness | None = None,
        request_id: str = "",
    ) -> list[int]:
        """Give numbers of a reservation back."""
        asked = Asked(name=NAME, holder=HOLDER, last=last, is_believed=True)
        with _call("ReleaseNumbers", request_id, f"{held.token} {numbers}"):
            try:
                answer = await self.gapless.release(
                    asked,
                    _claim(held, numbers),
                    lambda done: pb.ReleaseNumbersResponse(numbers=done.numbers),
                )
            except Replayed as replay:
                answer = pb.ReleaseNumbersResponse.FromString(replay.response)
        return [*answer.numbers]

    async def void(self, *numbers: int, reason: str = "spoiled") -> list[int]:
        """Declare numbers void."""
        answer = await self.gapless.void(
            Asked(name=NAME, holder="ops"),
            numbers,
            reason,
            lambda done: pb.VoidNumbersResponse(numbers=done.numbers),
        )
        return [*answer.numbers]

    async def runs(self) -> list[Run]:
        """All runs, in their order."""
        found = sa.select(run_table).order_by(run_table.c.position)
        return [as_run(row) for row in await self.store.fetch_all(found)]

    async def position(self) -> int:
        """How many numbers were issued."""
        rows = await self.store.fetch_all(sa.select(head_table.c.position))
        return rows[0].position if rows else 0


def witness(held: pb.Reservation) -> Witness:
    """The witness that a reservation carries."""
    told = held.witness
    return Witness(number=told.number, mark=told.mark, epoch=told.epoch, position=told.position)


@cache
def _empty() -> bytes:
    """The service's database as it begins."""
    assert BLUEPRINT.migrations is not None
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        path = Path(folder) / "sequencer.db"
        migrations.upgrade(path, BLUEPRINT.migrations)
        return path.read_bytes()


@contextmanager
def _call(method: str, request_id: str, content: str) -> Iterator[None]:
    """A call as the chain shows it to the store."""
    call = IdempotentCall(
        caller="mesh:loan",
        method=f"/engine.sequencer.v1.GaplessService/{method}",
        request_id=request_id,
        request_hash=content.encode()[:64],
    )
    token = idempotent_call.set(call if request_id else None)
    try:
        yield
    finally:
        idempotent_call.reset(token)


def _claim(held: pb.Reservation, numbers: Sequence[int]) -> Claim:
    return Claim(reservation=held.reservation, token=held.token, numbers=tuple(numbers))


def _reservation(held: Held) -> pb.Reservation:
    told = held.witness
    made = pb.Reservation(reservation=held.reservation, token=held.token, numbers=held.numbers)
    made.witness.number, made.witness.mark = told.number, told.mark
    made.witness.epoch, made.witness.position = told.epoch, told.position
    return made
