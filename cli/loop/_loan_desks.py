"""The front line in the loan scenario: calls, and messages that want the same contact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bank.catalogue import INFLOW_PRODUCT, INFLOW_SCRIPT, LOAN_PRODUCT, LOAN_SCRIPT
from bank.loans import EXPECTED, LoanCast
from cli.loop._loan_strategies import Feed, Feeds
from cli.loop.catalogue import Shelf
from cli.loop.desks import GREETING, USERNAMES, Desk, Words
from cli.loop.people import People, together, until
from engine.action.v1 import action_pb2
from engine.reach.v1 import reach_pb2

_OFFER: Final = GREETING | {"product_name": "稳利三十天"}


class LoanDesks:
    """Works the tasks of both scenes."""

    def __init__(self, people: People, parts: LoanCast, shelf: Shelf) -> None:
        self._people = people
        self._parts = parts
        self._shelf = shelf
        staff = {owner.staff_id for owner in parts.owners.values()}
        self._usernames = {staff_id: USERNAMES[staff_id] for staff_id in sorted(staff)}
        self._desks = {s: Desk(people, name) for s, name in self._usernames.items()}
        self._credit: Mapping[int, action_pb2.Task] = {}
        self._wealth: Mapping[int, action_pb2.Task] = {}

    async def open(self, feeds: Feeds) -> None:
        """Wait for the tasks of both scenes."""
        await self._people.sign_on(self._usernames.values())
        self._credit = await self._tasks(feeds.credit, EXPECTED["tasks"])
        self._wealth = await self._tasks(feeds.wealth, EXPECTED["wealth_tasks"])

    async def attempt(self) -> Sequence[reach_pb2.Contact]:
        """Call about loans and write about inflows, all at once; the contacts as they ended."""
        asked = [*((Desk.dial, task, self._loan(task)) for task in self._credit.values())]
        asked += [(Desk.text, task, self._offer(task)) for task in self._wealth.values()]
        # Side by side for each customer, so that both scenes ask in the same instant.
        asked.sort(key=lambda one: one[1].customer_id)
        contacts = await together(
            asked, lambda one: one[0](self._desk(one[1]), one[1].customer_id, one[2])
        )
        admitted = [one for one in contacts if _is_admitted(one)]
        ended = await together(admitted, lambda one: self._desk(one).ended(one))
        return [*ended, *(one for one in contacts if not _is_admitted(one))]

    async def complete(self, contacts: Sequence[reach_pb2.Contact]) -> None:
        """End the tasks of those whom one scene alone wanted, with what came of them."""
        alone = {*self._parts.talked, *self._parts.unanswered}

        async def complete(contact: reach_pb2.Contact) -> None:
            if contact.customer_id in self._parts.drawdowns:
                outcome = action_pb2.OUTCOME_INTERESTED
            elif contact.reached:
                outcome = action_pb2.OUTCOME_NO_INTENT
            else:
                outcome = action_pb2.OUTCOME_UNREACHABLE
            desk, task_id = self._desk(contact), contact.chain.task_id
            await desk.start(task_id)
            await desk.complete(task_id, outcome, contact.contact_id)

        await together((one for one in contacts if one.customer_id in alone), complete)

    async def _tasks(self, feed: Feed, count: int) -> Mapping[int, action_pb2.Task]:
        async def on_desks() -> list[action_pb2.Task]:
            desks = self._desks.values()
            found = await together(desks, lambda desk: desk.open_tasks(feed.scene_id))
            return [task for tasks in found for task in tasks]

        tasks = await until(on_desks, lambda found: len(found) >= count)
        return {task.customer_id: task for task in tasks}

    def _loan(self, task: action_pb2.Task) -> Words:
        return Words(
            script_id=self._shelf.scripts[LOAN_SCRIPT.title],
            slots=GREETING,
            product_id=self._shelf.products[LOAN_PRODUCT],
            task_id=task.task_id,
        )

    def _offer(self, task: action_pb2.Task) -> Words:
        return Words(
            script_id=self._shelf.scripts[INFLOW_SCRIPT.title],
            slots=_OFFER,
            product_id=self._shelf.products[INFLOW_PRODUCT],
            task_id=task.task_id,
        )

    def _desk(self, one: action_pb2.Task | reach_pb2.Contact) -> Desk:
        return self._desks[self._parts.owners[one.customer_id].staff_id]


def _is_admitted(contact: reach_pb2.Contact) -> bool:
    return contact.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED
