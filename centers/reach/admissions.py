"""Use cases of admission: ask for a contact, and whether one could be had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias, TypeVar

from google.protobuf.message import Message

from centers.reach.admission import Attempt, ChannelState, Gates, Snapshot, channel_state, decide
from centers.reach.domain import (
    CHANNELS,
    NO_CHAIN,
    Channel,
    Check,
    Contact,
    ContactClass,
    Decision,
    Finding,
    Receipt,
    State,
)
from centers.reach.errand import HOLDS_FOR, Errand, sending
from centers.reach.errors import ReachReason
from centers.reach.gates import Passage, Script
from centers.reach.projection_rows import Task
from centers.reach.rules import Rules
from mesh.clock import Clock
from mesh.errors import MeshError, Violation
from mesh.privacy import holds_personal_number

Answer = TypeVar("Answer", bound=Message)
Respond: TypeAlias = Callable[[Contact], Answer]
"""Makes the call's answer from a contact as stored; kept in the same transaction."""

Judge: TypeAlias = Callable[[Task | None, Snapshot], tuple[Contact, Errand | None]]
"""Makes the contact, and what is to be done about it, from what the transaction reads."""

TASK_WAIT: Final = timedelta(seconds=1)
"""How long a call waits to hear of its task: events lag a little."""

TASK_LOOK: Final = timedelta(milliseconds=50)

OFFERS_PRODUCT: Final = "OFFERS_PRODUCT"
"""Why a contact of another class than marketing is refused."""

_STATES: Final = {
    Decision.ADMITTED: State.QUEUED,
    Decision.DEFERRED: State.DEFERRED,
    Decision.DENIED: State.DENIED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A contact that somebody asks for. `task_id` and `product_id` are 0 for none."""

    contact_id: int
    customer_id: int
    channel: Channel
    contact_class: ContactClass
    staff_id: int
    actor: str
    script: Script
    task_id: int
    product_id: int


class AdmissionStore(Protocol):
    """Where contacts are admitted."""

    async def admit(
        self,
        customer_id: int,
        task_id: int,
        since: datetime,
        judge: Judge,
        respond: Respond[Answer],
    ) -> Answer:
        """Read, decide, consume and write, all at once or not at all.

        `since` is how far back contacts matter. What `judge` raises undoes it.
        """

    async def look(self, attempt: Attempt, since: datetime) -> Snapshot:
        """What admission would read now, but for the scene."""


class TaskBook(Protocol):
    """Knows of tasks."""

    async def is_known(self, task_id: int) -> bool:
        """Whether the action centre has told of it."""


class Gate(Protocol):
    """Asks the gates that other centres keep."""

    async def ask(
        self, channel: Channel, customer_id: int, staff_id: int, product_id: int, script: Script
    ) -> Passage:
        """What they say.

        Raises:
            MeshError: GATE_UNAVAILABLE.
        """


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


RulesSource: TypeAlias = Callable[[], Awaitable[Rules]]
"""Answers the contact policy in force."""


class Admissions:
    """Admits contacts. That the customer is in the caller's reach was checked before."""

    def __init__(
        self,
        *,
        store: AdmissionStore,
        tasks: TaskBook,
        gate: Gate,
        receipts: Ids,
        rules: RulesSource,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._gate = gate
        self._receipts = receipts
        self._rules = rules
        self._clock = clock
        self._wake = wake

    async def ask(self, ask: Ask, respond: Respond[Answer]) -> Answer:
        """The contact: admitted, deferred or denied, with its receipt.

        Raises:
            MeshError: PERSONAL_DATA_IN_SLOT, TASK_UNKNOWN, TASK_NOT_YOURS,
                GATE_UNAVAILABLE or IDS_UNAVAILABLE.
        """
        _refuse_personal_data(ask.script)
        await self._await_task(ask.task_id)
        passage = await self._gate.ask(
            ask.channel, ask.customer_id, ask.staff_id, ask.product_id, ask.script
        )
        receipt_id = await self._receipts.next()
        rules = await self._rules()

        def judge(task: Task | None, snapshot: Snapshot) -> tuple[Contact, Errand | None]:
            if ask.task_id and (task is None or not task.is_for(ask.customer_id, ask.staff_id)):
                raise MeshError(ReachReason.TASK_NOT_YOURS)
            return _judged(
                ask,
                task,
                passage=passage,
                rules=rules,
                snapshot=snapshot,
                receipt_id=receipt_id,
                now=self._clock.now(),
            )

        since = self._since(rules)
        answer = await self._store.admit(ask.customer_id, ask.task_id, since, judge, respond)
        self._wake()
        return answer

    async def contactable(
        self, customer_id: int, contact_class: ContactClass
    ) -> list[ChannelState]:
        """For each channel whether a contact would be admitted now, why not, and when."""
        rules = await self._rules()
        attempts = [
            Attempt(customer_id=customer_id, channel=channel, contact_class=contact_class)
            for channel in CHANNELS
        ]
        snapshot = await self._store.look(attempts[0], self._since(rules))
        now = self._clock.now()
        return [channel_state(attempt, rules, snapshot, now) for attempt in attempts]

    def _since(self, rules: Rules) -> datetime:
        return self._clock.now() - rules.memory - HOLDS_FOR

    async def _await_task(self, task_id: int) -> None:
        wait_s = TASK_WAIT.total_seconds()
        last = self._clock.monotonic() + wait_s
        while task_id and not await self._tasks.is_known(task_id):
            if self._clock.monotonic() >= last:
                raise MeshError(ReachReason.TASK_UNKNOWN, retry_after_s=wait_s)
            await self._clock.sleep(TASK_LOOK.total_seconds())


def _judged(
    ask: Ask,
    task: Task | None,
    *,
    passage: Passage,
    rules: Rules,
    snapshot: Snapshot,
    receipt_id: int,
    now: datetime,
) -> tuple[Contact, Errand | None]:
    """The contact as admission decides, and its errand when it is to go out."""
    chain = task.chain if task else NO_CHAIN
    attempt = Attempt(
        customer_id=ask.customer_id,
        channel=ask.channel,
        contact_class=ask.contact_class,
        scene_version=chain.scene_version,
    )
    gates = _of_class(passage, ask.contact_class)
    verdict = decide(attempt, rules, snapshot, gates, now)
    rendered = passage.rendered
    deferred = verdict.decision is Decision.DEFERRED
    contact = Contact(
        contact_id=ask.contact_id,
        customer_id=ask.customer_id,
        channel=ask.channel,
        contact_class=ask.contact_class,
        state=_STATES[verdict.decision],
        chain=chain,
        staff_id=ask.staff_id,
        actor=ask.actor,
        material_id=rendered.material_id,
        material_version=rendered.version,
        text_sha256=rendered.sha256,
        product_id=ask.product_id,
        receipt=Receipt(
            receipt_id=receipt_id,
            decision=verdict.decision,
            checks=verdict.checks,
            reason=verdict.reason,
            policy_version=rules.version,
            inputs_sha256=verdict.inputs_sha256,
            create_time=now,
            next_time=verdict.go_time if deferred else None,
            suitability_receipt_id=gates.suitability_receipt_id,
        ),
        create_time=now,
        update_time=now,
        go_time=verdict.go_time if deferred else now,
    )
    if verdict.decision is Decision.DENIED:
        return contact, None
    return contact, sending(contact, text=rendered.text, product_ids=passage.product_ids)


def _of_class(passage: Passage, contact_class: ContactClass) -> Gates:
    """What the gates say; what speaks of a product is marketing, whatever it is called."""
    if contact_class is ContactClass.MARKETING or not passage.product_ids:
        return passage.gates
    return replace(passage.gates, content=Finding(Check.CONTENT, False, OFFERS_PRODUCT))


def _refuse_personal_data(script: Script) -> None:
    violations = [
        Violation(f"content.slots[{index}]", "holds what looks like a telephone or identity number")
        for index, value in enumerate(script.slots.values())
        if holds_personal_number(value)
    ]
    if violations:
        raise MeshError(ReachReason.PERSONAL_DATA_IN_SLOT, violations=violations)
