"""A desk from which customers are contacted: the real store and use cases, with parties at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from centers.reach import tables, wire
from centers.reach.admission import OPEN, Gates
from centers.reach.admission_rows import AdmissionStore
from centers.reach.admissions import Admissions, Ask
from centers.reach.app import BLUEPRINT
from centers.reach.carrier import Carriers
from centers.reach.contact_store import ContactStore
from centers.reach.contacts import ContactBook
from centers.reach.dispatch import Dispatcher
from centers.reach.domain import Chain, Channel, Contact, ContactClass, Report, State
from centers.reach.errand_store import ErrandStore
from centers.reach.events import Reactions
from centers.reach.flight_rows import Flights
from centers.reach.gates import Passage, Rendered, Script
from centers.reach.preference_rows import PreferenceStore
from centers.reach.preferences import PreferenceBook, Statement
from centers.reach.projection_rows import Task, Tasks, learn_task
from centers.reach.rules import DEMO, Rules
from engine.action.v1 import action_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.reach.v1 import reach_pb2
from mesh.clock import ManualClock
from mesh.events import event
from mesh.storage import Address, Store, migrations, open_store
from mesh.telemetry import Meters, NullTracer
from tests.chosen import Stores

STAFF = 7
TEXT = "您好，您关注的产品今日起售。"


class Ids:
    def __init__(self, first: int = 1) -> None:
        self._ids = count(first)

    async def next(self) -> int:
        return next(self._ids)


@dataclass
class Gate:
    """Says what the test wants the other centres to say."""

    gates: Gates = OPEN
    rendered: Rendered = field(
        default_factory=lambda: Rendered(material_id=5, version=2, text=TEXT, sha256="ab")
    )
    product_ids: tuple[int, ...] = ()

    async def ask(self, *_: object) -> Passage:
        return Passage(gates=self.gates, rendered=self.rendered, product_ids=self.product_ids)


@dataclass
class Party:
    """An outside party: keeps what it was handed, and answers as it is told to."""

    answer: Report | None = None
    handed: list[tuple[int, str]] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    failure: Exception | None = None
    outcome: Report | None = field(default_factory=lambda: Report(state=State.CANCELLED))
    gate: asyncio.Event | None = None
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def carry(self, contact: Contact, text: str) -> Report | None:
        self.busy.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        async with self.news:
            self.handed.append((contact.contact_id, text))
            self.news.notify_all()
        return self.answer

    async def withdraw(self, contact_id: int) -> Report | None:
        if self.failure is not None:
            raise self.failure
        self.withdrawn.append(contact_id)
        return self.outcome


class Desk:
    """The centre without its door."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.rules: Rules = DEMO
        self.gate = Gate()
        self.sms = Party(Report(state=State.SENT))
        self.calls = Party()
        self.wecom = Party(Report(state=State.AWAIT_STAFF_CONFIRM))
        self.ids = Ids()
        self.admissions = Admissions(
            store=AdmissionStore(store),
            tasks=Tasks(store),
            gate=self.gate,
            receipts=Ids(9_000),
            rules=self.in_force,
            clock=clock,
            wake=lambda: None,
        )
        self.contacts = ContactBook(
            ContactStore(store), self.wecom, Flights(store, clock), clock, lambda: None
        )
        self.preferences = PreferenceBook(PreferenceStore(store), clock, lambda: None)
        self.reactions = Reactions(clock)

    async def in_force(self) -> Rules:
        return self.rules

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            store=ErrandStore(self.store),
            carriers=Carriers(sms=self.sms, calls=self.calls, wecom=self.wecom),
            wecom=self.wecom,
            rules=self.in_force,
            clock=self.clock,
            meters=Meters(),
        )

    async def ask(
        self,
        customer_id: int = 1,
        channel: Channel = Channel.SMS,
        contact_class: ContactClass = ContactClass.MARKETING,
        *,
        task_id: int = 0,
        **changes: Any,
    ) -> reach_pb2.Contact:
        ask = Ask(
            contact_id=await self.ids.next(),
            customer_id=customer_id,
            channel=channel,
            contact_class=contact_class,
            staff_id=STAFF,
            actor="rm007",
            script=Script(material_id=5),
            task_id=task_id,
            product_id=0,
        )
        answer = await self.admissions.ask(
            replace(ask, **changes),
            lambda made: reach_pb2.SendSmsResponse(contact=wire.contact(made)),
        )
        return answer.contact

    async def state(self, contact_id: int) -> State:
        return (await self.contacts.evidence(contact_id)).state

    async def store_state(self, contact_id: int, state: State) -> None:
        """Put a contact into a state, as a crash may have left it."""
        change = sa.update(tables.contact).where(tables.contact.c.contact_id == contact_id)
        async with self.store.transaction() as tx:
            await tx.execute(change.values(state=int(state)))

    async def contact(self, contact_id: int) -> Contact:
        return await self.contacts.evidence(contact_id)

    async def say(
        self,
        said: Any,
        channel: Channel = Channel.ALL,
        customer_id: int = 1,
        contact_class: ContactClass = ContactClass.ALL,
    ) -> None:
        statement = Statement(
            customer_id=customer_id,
            channel=channel,
            contact_class=contact_class,
            said=said,
            evidence="H5",
        )
        await self.preferences.state(
            statement,
            lambda made: reach_pb2.RecordOptOutResponse(preference=wire.preference(made)),
        )

    async def task(
        self, task_id: int, customer_id: int = 1, *, scene: int = 40, owner: int = STAFF
    ) -> None:
        async with self.store.transaction() as tx:
            await learn_task(
                tx,
                Task(
                    task_id=task_id,
                    customer_id=customer_id,
                    owner_id=owner,
                    state=action_pb2.TASK_STATE_ASSIGNED,
                    chain=Chain(
                        scene_version=scene, trigger_id=41, opportunity_id=42, task_id=task_id
                    ),
                    update_time=self.clock.now(),
                ),
            )

    async def hear(
        self, react: Callable[[Event], Awaitable[Any]], payload: Any, when: datetime | None = None
    ) -> None:
        """Consume an event as the runtime does."""
        effect = await react(event(payload, key=1, time=when or self.clock.now()))
        if effect is not None:
            async with self.store.transaction() as tx:
                await effect(tx)

    async def dispatch(self) -> None:
        """Run everything that is due now, to its end."""
        dispatcher = self.dispatcher()
        store = ErrandStore(self.store)
        seen: set[Any] = set()
        while fresh := [due for due in await store.due(self.clock.now(), 100) if due not in seen]:
            seen.update(fresh)
            for due in fresh:
                await dispatcher._handle(due, self.rules)

    async def told(self) -> list[reach_pb2.Contact]:
        """The contacts of all events so far, in their order."""
        events = [Event.FromString(raw) for _, raw in await self.store.outbox.read(10_000)]
        name = reach_pb2.ContactChanged.DESCRIPTOR.full_name
        return [
            reach_pb2.ContactChanged.FromString(one.payload).contact
            for one in events
            if one.type == name
        ]

    async def errands(self) -> int:
        (row,) = await self.store.fetch_all(sa.select(sa.func.count()).select_from(tables.errand))
        return int(row[0])

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())


@pytest.fixture
def database(tmp_path: Path, stores: Stores) -> Address:
    place = stores.address(tmp_path, "reach")
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(place, BLUEPRINT.migrations)
    return place


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(database: Address, clock: ManualClock) -> AsyncIterator[Store]:
    async with open_store(database, tracer=NullTracer(), clock=clock) as store:
        yield store


@pytest.fixture
def desk(store: Store, clock: ManualClock) -> Desk:
    return Desk(store, clock)
