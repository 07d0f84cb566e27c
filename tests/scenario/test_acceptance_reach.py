"""A4, cap race: whoever asks, a customer is contacted once; who refuses is not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bank.catalogue import SERVICE_SCRIPT
from cli.loop.catalogue import MAKER, Shelf
from cli.loop.customers import bind
from cli.loop.desks import GREETING, Desk, Words
from cli.loop.people import People, request_id, together, tried, until
from cli.loop.strategies import Strategies
from cli.names import LOADER
from engine.action.v1 import action_pb2
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from engine.review.v1 import review_pb2, review_pb2_grpc
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from loadtests.deployment import Platform
from mesh.registry import DirectoryRegistry
from tests.scenario.fixture import Books, Feed, bring_customers, launch, name_of, owner_of, view

SCENES = 3
TOGETHER = 48
"""Sends under way at once: all scenes, all relationship managers."""

GROUP = 12
RACING = 60

ADMITTED = reach_pb2.ADMISSION_DECISION_ADMITTED
DENIED = reach_pb2.ADMISSION_DECISION_DENIED
CAP = reach_pb2.ADMISSION_CHECK_CAP
OPT_OUT = reach_pb2.ADMISSION_CHECK_OPT_OUT
SECOND_US = 1_000_000


@pytest.fixture
def greeting(shelf: Shelf) -> Words:
    """What is said, of no product and for no task."""
    return Words(script_id=shelf.scripts[SERVICE_SCRIPT.title], slots=GREETING)


def a_scene(number: int) -> action_pb2.Scene:
    """One of the scenes that race, with an objective of its own."""
    return action_pb2.Scene(
        name=name_of("A4"),
        objective=f"a4_race_{number}",
        business=action_pb2.BUSINESS_WEALTH,
        nodes=[action_pb2.Node(name="Message", channels=[reach_pb2.CHANNEL_SMS])],
        success_metric="net_external_inflow",
    )


async def accepted(people: People, tokens: Sequence[int]) -> list[simulator_pb2.SentMessage]:
    """The messages to these customers that the carrier accepted."""
    carrier: Any = simulator_pb2_grpc.SmsSimulatorServiceStub(people.as_local(LOADER, "sms"))
    request = simulator_pb2.ListMessagesRequest(customer_ids=tokens)
    return list((await tried(lambda: carrier.ListMessages(request))).messages)


async def admissions(people: People, feeds: Sequence[Feed]) -> Counter[str]:
    """Side counts of the review, summed over the scenes."""
    review: Any = review_pb2_grpc.ReviewServiceStub(people.as_user(MAKER, "review"))

    async def of(feed: Feed) -> Counter[str]:
        request = review_pb2.GetFunnelRequest(scene_version=feed.version.scene_version)
        return Counter((await tried(lambda: review.GetFunnel(request))).funnel.counts)

    return sum(await together(feeds, of), Counter[str]())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("customers", [100, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_of_three_scenes_one_contacts_each_customer(
    customers: int, people: People, greeting: Words
) -> None:
    """Of three messages asked for in the same instant one is sent, two are denied for the cap."""
    tokens, desks = await bring_customers(people, customers), await Books(people).arrive()
    feeds = [await launch(people, a_scene(n)) for n in range(SCENES)]
    tasks: list[action_pb2.Task] = []
    for feed in feeds:
        await view(people, feed, tokens)
        tasks += await desks.tasks(feed.scene_id, customers)
        await Strategies(people).pause_model(feed.model_id)
    assert len(tasks) == SCENES * customers

    async def send(task: action_pb2.Task) -> reach_pb2.Contact:
        words = Words(script_id=greeting.script_id, slots=GREETING, task_id=task.task_id)
        return await desks.of(task.customer_id).text(task.customer_id, words)

    # Side by side for each customer, so that all scenes ask in the same instant.
    contacts = await together(sorted(tasks, key=lambda task: task.customer_id), send, TOGETHER)
    decided = Counter((one.receipt.decision, one.receipt.reason) for one in contacts)
    assert decided == {(ADMITTED, 0): customers, (DENIED, CAP): 2 * customers}

    sent = await until(lambda: accepted(people, tokens), lambda found: len(found) >= customers)
    assert sorted(message.customer_id for message in sent) == list(tokens)
    seen = await until(
        lambda: admissions(people, feeds), lambda found: found["receipts"] >= len(contacts)
    )
    shown = seen["receipts"], seen["admitted"], seen["denied_cap"]
    assert shown == (3 * customers, customers, 2 * customers)

    others = [
        await ask(desks.of(tokens[0]), tokens[0], greeting) for ask in (Desk.dial, Desk.write)
    ]
    assert [one.receipt.reason for one in others] == [CAP, CAP], "the cap is of all channels"


@contextmanager
def carrier_away(platform: Platform) -> Iterator[None]:
    """For a block the carrier of text messages is dead, and nobody starts it again."""
    (entry,) = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run").lookup("sms")
    supervisor = _parent(entry.pid)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(entry.pid, signal.SIGKILL)
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


def _parent(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("PPid:"))
    return int(found.split()[1])


class Refusals:
    """Records refusals, and when each was answered, in microseconds since 1970."""

    def __init__(self, people: People) -> None:
        self._reach: Any = reach_pb2_grpc.ReachServiceStub(people.as_user(MAKER, "reach"))
        self.answered_us: dict[int, int] = {}

    async def refuse(self, token: int) -> None:
        """The customer refuses every channel."""
        request = reach_pb2.RecordOptOutRequest(
            customer_id=token, evidence="H5", request_id=request_id()
        )
        await tried(lambda: self._reach.RecordOptOut(request))
        self.answered_us[token] = int(datetime.now(UTC).timestamp() * SECOND_US)


@pytest.mark.timeout(180)
async def test_who_refuses_gets_nothing_that_waits(
    platform: Platform, people: People, greeting: Words
) -> None:
    """Text messages in the queue and messages that wait in WeCom are taken back, no others."""
    tokens, desks = await bring_customers(people, 3 * GROUP), await Books(people).arrive()
    texted, written, content = (tokens[n * GROUP : (n + 1) * GROUP] for n in range(3))
    await bind(people, {token: owner_of(token).staff_id for token in written})
    waiting = await together(written, lambda token: desks.of(token).write(token, greeting))
    msgids = await _in_wecom(desks, written)
    with carrier_away(platform):
        queued = await together(
            (*texted, *content), lambda token: desks.of(token).text(token, greeting)
        )
        await together((*texted, *written), Refusals(people).refuse)
    assert {one.receipt.decision for one in (*queued, *waiting)} == {ADMITTED}

    contacts = [*queued, *waiting]
    ended = await together(contacts, lambda one: desks.of(one.customer_id).ended(one))
    kept = {one.customer_id for one in ended if one.state != reach_pb2.CONTACT_STATE_CANCELLED}
    assert kept == set(content)
    assert {one.result_code for one in ended if one.customer_id not in kept} == {"OPTED_OUT"}
    assert {message.customer_id for message in await accepted(people, tokens)} == set(content)
    assert await _press(people, msgids) == 0


@pytest.mark.timeout(180)
async def test_nothing_goes_out_a_second_after_a_refusal(people: People, greeting: Words) -> None:
    """Messages that race with the refusal go out within a second after it, or never."""
    tokens, desks, refusals = (
        await bring_customers(people, RACING),
        await Books(people).arrive(),
        Refusals(people),
    )

    async def race(token: int) -> reach_pb2.Contact:
        contact, _ = await asyncio.gather(
            desks.of(token).text(token, greeting), refusals.refuse(token)
        )
        return contact

    contacts = await together(tokens, race)
    admitted = [one for one in contacts if one.receipt.decision == ADMITTED]
    await together(admitted, lambda one: desks.of(one.customer_id).ended(one))
    late = [
        message
        for message in await accepted(people, tokens)
        if message.accepted_us > refusals.answered_us[message.customer_id] + SECOND_US
    ]
    assert late == []
    ways = (Desk.text, Desk.write, Desk.dial)
    asked = [(way, token) for way in ways for token in tokens[:GROUP]]
    again = await together(asked, lambda one: one[0](desks.of(one[1]), one[1], greeting))
    assert {one.receipt.reason for one in again} == {OPT_OUT}


async def _in_wecom(desks: Books, tokens: Sequence[int]) -> dict[str, int]:
    """Ids of the messages to these customers that wait in WeCom, each with its member."""

    async def found() -> dict[str, int]:
        members = {owner_of(token).staff_id: desks.of(token) for token in tokens}
        lists = await together(members.values(), Desk.message_tasks)
        ours = [task for tasks in lists for task in tasks if task.customer_id in tokens]
        return {task.msgid: task.staff_id for task in ours if task.msgid}

    return await until(found, lambda seen: len(seen) >= len(tokens))


async def _press(people: People, msgids: dict[str, int]) -> int:
    """The members press "send" on all of them; how many that sent."""
    server: Any = simulator_pb2_grpc.WecomSimulatorServiceStub(
        people.as_local(LOADER, "wecom-server")
    )

    async def press(msgid: str) -> int:
        userid = f"staff-{msgids[msgid]}"
        request = simulator_pb2.ConfirmTasksRequest(userid=userid, msgids=[msgid])
        return int((await tried(lambda: server.ConfirmTasks(request))).confirmed)

    return sum(await together(msgids, press))
