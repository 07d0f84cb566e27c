"""Use cases of grants: claim, issue, redeem, revoke, read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.benefits import grant_rows, stock_rows, wire
from centers.benefits.domain import Claim, Grant, State
from centers.benefits.errors import BenefitsReason
from centers.benefits.task_rows import WITHDRAWN, Task
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh import audit
from mesh.clock import Clock, to_micros
from mesh.errors import MeshError
from mesh.events import event
from mesh.paging import Page, PageRequest
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)
Respond = Callable[[benefits_pb2.Grant], Answer]
RespondStock = Callable[[benefits_pb2.Stock], Answer]

TASK_WAIT: Final = timedelta(seconds=1)
"""How long a claim waits for the event that tells of its task."""

TASK_LOOK: Final = timedelta(milliseconds=20)


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class TaskBook(Protocol):
    """Knows of tasks."""

    async def find(self, task_id: int) -> Task | None:
        """The task, once the action centre has told of it."""


class Giving:
    """Gives benefits out of stock. `respond` makes a call's answer, kept with its effect."""

    def __init__(self, store: Store, tasks: TaskBook, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._grants = grant_rows.Grants(store)
        self._tasks = tasks
        self._ids = ids
        self._clock = clock

    async def claim(self, asked: Claim, respond: Respond[Answer]) -> Answer:
        """Grant while there is stock, else take a place on the wait list.

        The same activity, customer and reason get the same grant again, whatever
        became of it since. `asked.chain` is what the call carries; the task named
        in it adds what led to it.

        Raises:
            MeshError: ACTIVITY_NOT_OPEN, CLAIMS_NOT_BEGUN, CLAIMS_OVER, LIMIT_REACHED,
                WAIT_LIST_FULL, TASK_UNKNOWN, TASK_OF_ANOTHER_CUSTOMER, TASK_WITHDRAWN or
                IDS_UNAVAILABLE.
        """
        task = await self._task(asked)
        grant_id = await self._ids.next()
        async with self._store.transaction() as tx:
            found = await grant_rows.counter_of(tx, asked.activity_id, asked.customer_id)
            made = found.same(asked.reason_key)
            if made is None:
                now = self._clock.now()
                found.refuse(now)
                claim = asked if task is None else _on_task(asked, task)
                state = await stock_rows.take_one(tx, asked.activity_id, in_stock=found.in_stock)
                made = Grant(
                    grant_id=grant_id, claim=claim, state=state, create_time=now, update_time=now
                )
                await grant_rows.add(tx, made)
                return self._told(tx, made, respond)
            return _answered(tx, wire.grant(made), respond)

    async def issue(self, activity_id: int, quantity: int, respond: RespondStock[Answer]) -> Answer:
        """Put more in stock; those who wait longest have it before anybody else.

        Raises:
            MeshError: ACTIVITY_NOT_OPEN.
        """
        async with self._store.transaction() as tx:
            waiting = await stock_rows.issue(tx, activity_id, quantity)
            await self._promote(tx, activity_id, waiting)
            answer = respond(wire.stock(await stock_rows.stock_of(tx, activity_id)))
            tx.answer(answer)
        return answer

    async def redeem(self, grant_id: int, respond: Respond[Answer]) -> Answer:
        """The customer used it.

        Raises:
            MeshError: GRANT_NOT_FOUND or NOT_GRANTED.
        """
        async with self._store.transaction() as tx:
            before = await grant_rows.grant_of(tx, grant_id)
            if before.state is not State.GRANTED:
                raise MeshError(BenefitsReason.NOT_GRANTED, metadata={"state": before.state.name})
            made = await self._moved(tx, before, State.REDEEMED)
            await stock_rows.use(tx, before.claim.activity_id)
            return self._told(tx, made, respond)

    async def revoke(self, grant_id: int, why: str, respond: Respond[Answer]) -> Answer:
        """Take it back: once, however often it is asked; who waits longest gets it.

        Raises:
            MeshError: GRANT_NOT_FOUND or ALREADY_REDEEMED.
        """
        async with self._store.transaction() as tx:
            before = await grant_rows.grant_of(tx, grant_id)
            if before.state is State.REDEEMED:
                raise MeshError(BenefitsReason.ALREADY_REDEEMED)
            if before.state is State.REVOKED:
                return _answered(tx, wire.grant(before), respond)
            made = await self._moved(tx, before, State.REVOKED, why=why)
            activity_id = before.claim.activity_id
            if before.state is State.WAIT_LISTED:
                await stock_rows.leave(tx, activity_id)
                return self._told(tx, made, respond)
            answer = self._told(tx, made, respond)
            await self._promote(tx, activity_id, await stock_rows.give_back(tx, activity_id))
        return answer

    async def get(self, grant_id: int) -> benefits_pb2.Grant:
        """One grant.

        Raises:
            MeshError: GRANT_NOT_FOUND.
        """
        return wire.grant(await self._grants.get(grant_id))

    async def page(self, customer_id: int, request: PageRequest) -> Page[benefits_pb2.Grant]:
        """A customer's grants, newest first."""
        page = await self._grants.page(customer_id, request)
        return Page([wire.grant(made) for made in page.entries], page.next_token)

    async def _task(self, asked: Claim) -> Task | None:
        """The task that the claim is part of, once it is known here."""
        task_id, wait_s = asked.chain.task_id, TASK_WAIT.total_seconds()
        last = self._clock.monotonic() + wait_s
        while task_id:
            found = await self._tasks.find(task_id)
            if found is not None:
                return found
            if self._clock.monotonic() >= last:
                raise MeshError(BenefitsReason.TASK_UNKNOWN, retry_after_s=wait_s)
            await self._clock.sleep(TASK_LOOK.total_seconds())
        return None

    async def _moved(self, tx: Transaction, before: Grant, state: State, *, why: str = "") -> Grant:
        after = replace(before, state=state, update_time=self._clock.now())
        await grant_rows.move(tx, before, after, why=why)
        return after

    async def _promote(self, tx: Transaction, activity_id: int, count: int) -> None:
        """Grant to `count` of those who wait, of whom stock knows already."""
        now_us = to_micros(self._clock.now())
        while count:
            promoted = await grant_rows.promote(tx, activity_id, count, now_us)
            assert promoted, "the stock counts those who wait"
            for made in promoted:
                _publish(tx, wire.grant(made))
            count -= len(promoted)

    def _told(self, tx: Transaction, made: Grant, respond: Respond[Answer]) -> Answer:
        shown = wire.grant(made)
        _publish(tx, shown)
        return _answered(tx, shown, respond)


def _publish(tx: Transaction, shown: benefits_pb2.Grant) -> None:
    changed = benefits_pb2.GrantChanged(grant=shown)
    tx.publish(event(changed, key=shown.customer_id, chain=shown.chain))


def _answered(tx: Transaction, shown: benefits_pb2.Grant, respond: Respond[Answer]) -> Answer:
    audit.note(
        object=f"grant_id={shown.grant_id}", customer_id=shown.customer_id, chain=shown.chain
    )
    answer = respond(shown)
    tx.answer(answer)
    return answer


def _on_task(asked: Claim, task: Task) -> Claim:
    """The claim with what led to its task."""
    if task.customer_id != asked.customer_id:
        raise MeshError(BenefitsReason.TASK_OF_ANOTHER_CUSTOMER)
    if task.state in WITHDRAWN:
        raise MeshError(BenefitsReason.TASK_WITHDRAWN)
    chain = ChainIds()
    chain.MergeFrom(asked.chain)
    chain.MergeFrom(task.chain)  # numbers other than 0 replace
    return replace(asked, chain=chain)
