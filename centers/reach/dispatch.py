"""Hands admitted contacts over to outside parties, and takes back what must not go out.

An errand is taken up in one short transaction, which looks once more at what may
have changed since admission and sets the time of the next try. Then the party is
asked, with the contact as its key. What it answers is stored in a second one. A
crash or a failure between the two leaves the time of the next try behind: so
nothing is lost, and the same key again does no harm.

Several processes may dispatch from one database: who sets the time of the next try
has the errand, and nobody else takes it up before then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import grpc
from msgspec.structs import replace

from centers.reach import wire
from centers.reach.admissions import RulesSource
from centers.reach.carrier import Carriers
from centers.reach.contacts import Withdrawal
from centers.reach.domain import Contact, Report, State
from centers.reach.errand import Action, Circumstances, Errand, Step, step
from centers.reach.rules import Rules
from mesh import context
from mesh.background import Background
from mesh.clock import Clock
from mesh.errors import ErrorView
from mesh.log import get_logger
from mesh.storage import StorageError
from mesh.telemetry import Meters

CONCURRENCY: Final = 32
"""Contacts handed over at once."""

LOOK_S: Final = 0.25
"""How often to look for what is due; what was admitted in this process is seen at once."""

MAX_CODE: Final = 64

_FOR_GOOD: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
"""Refusals that stay the same however often one asks."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """An errand whose time has come; `due_time` tells whether somebody took it up meanwhile."""

    contact_id: int
    due_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An errand that was taken up, and its contact."""

    contact: Contact
    errand: Errand


class ErrandStore(Protocol):
    """Where errands are held."""

    async def due(self, now: datetime, count: int) -> Sequence[Due]:
        """Errands that are due, oldest first; none of a scene that is stopped."""

    async def take(
        self,
        due: Due,
        step: Callable[[Contact, Errand, Circumstances], Step],
        now: datetime,
    ) -> Order | None:
        """Do what `step` says; the order when it says to go."""

    async def carried(
        self, contact_id: int, report: Report | None, rules: Rules, now: datetime
    ) -> None:
        """Record that a party took an errand over, and what it said."""


class Dispatcher(Background):
    """Runs errands when they are due, for as long as it is entered."""

    def __init__(
        self,
        *,
        store: ErrandStore,
        carriers: Carriers,
        wecom: Withdrawal,
        rules: RulesSource,
        clock: Clock,
        meters: Meters,
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._wecom = wecom
        self._rules = rules
        self._clock = clock
        self._handed_over = meters.counter("reach.dispatched")
        self._failed = meters.counter("reach.dispatch_failed")
        self._news = asyncio.Event()
        self._in_hand: set[int] = set()

    def wake(self) -> None:
        """Look now for what is due."""
        self._news.set()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                for due, rules in await self._due():
                    self._in_hand.add(due.contact_id)
                    group.create_task(self._handle(due, rules))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()

    async def _due(self) -> list[tuple[Due, Rules]]:
        """What is due and not in hand, as far as there are hands free, and the policy."""
        free = CONCURRENCY - len(self._in_hand)
        if not free:
            return []
        try:
            found = await self._store.due(self._clock.now(), CONCURRENCY)
            fresh = [due for due in found if due.contact_id not in self._in_hand][:free]
            rules = await self._rules() if fresh else None
        except StorageError as error:
            _log.warning("errands_unread", error=type(error).__name__)
            return []
        return [(due, rules) for due in fresh if rules is not None]

    async def _handle(self, due: Due, rules: Rules) -> None:
        try:
            await self._run_errand(due, rules)
            self._in_hand.discard(due.contact_id)
            self._news.set()
        except Exception as error:  # noqa: BLE001 - the outermost frame of an errand
            # It is due again at its time, or at the next look: never at once.
            self._failed.add()
            _log.warning("errand_failed", contact_id=due.contact_id, error=_kind(error))
        finally:
            self._in_hand.discard(due.contact_id)

    async def _run_errand(self, due: Due, rules: Rules) -> None:
        now = self._clock.now()

        def judge(contact: Contact, errand: Errand, found: Circumstances) -> Step:
            return step(contact, errand, rules, found, now)

        order = await self._store.take(due, judge, now)
        if order is None:
            return
        with context.using(on_behalf(order.contact)):
            if order.errand.action is Action.WITHDRAW:
                report = await self._withdraw(order)
                if report is None:
                    return
            else:
                report = await self._carry(order)
            await self._store.carried(due.contact_id, report, rules, self._clock.now())
        self._handed_over.add()

    async def _carry(self, order: Order) -> Report | None:
        carrier = self._carriers.of(order.contact.channel)
        try:
            return await carrier.carry(order.contact, order.errand.text)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _FOR_GOOD:
                raise
            return Report(state=State.FAILED, result_code=_kind(error))

    async def _withdraw(self, order: Order) -> Report | None:
        """What becomes of the contact; None when it must be tried again."""
        end = Report(state=order.errand.into, result_code=order.errand.result_code)
        try:
            report = await self._wecom.withdraw(order.contact.contact_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return end  # it was never handed over
        cancelled = report is not None and report.state is State.CANCELLED
        return end if cancelled else report


def on_behalf(contact: Contact) -> context.RequestContext:
    """As the service itself, for who asked for the contact, as part of its chain."""
    chain = wire.chain(contact.chain, contact.contact_id)
    return replace(context.EMPTY, on_behalf_of=contact.actor, chain=chain)


def _kind(error: Exception) -> str:
    """What kind of error it is, without its text."""
    if isinstance(error, grpc.aio.AioRpcError):
        return (ErrorView.from_rpc(error).reason or error.code().name)[:MAX_CODE]
    return type(error).__name__
