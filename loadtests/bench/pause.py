"""From the answer of Pause to the last message of the scene that goes out, on a whole platform.

Front-line callers send text messages of a scene as fast as they can. In the midst
of it head office pauses the scene. The carrier tells when it accepted each message;
it is asked once nothing can be under way any more. What was held back must go out
after the scene is resumed, or the figure is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

import uvloop
from google.protobuf.message import Message

from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from engine.simulator.v1 import simulator_pb2
from loadtests.bench._figure import Direction, Figure
from loadtests.contracts import request_id
from loadtests.people import AGENTS, LOADER, MAKER, MANAGERS, People
from loadtests.stage import Stage, fill_desks, slices, staged
from mesh.channel import Channel

if TYPE_CHECKING:
    from engine.action.v1.action_pb2_grpc import SceneServiceAsyncStub
    from engine.reach.v1.reach_pb2_grpc import ReachServiceAsyncStub
    from loadtests.bench import Run

BAR_S: Final = 1.0
REPETITIONS, QUICK_REPETITIONS = 5, 3
MESSAGES, QUICK_MESSAGES = 300, 120
"""Of one repetition."""

CALLERS: Final = 24
PAUSE_AFTER: Final = 0.4
"""Share of the messages after which the scene is paused."""

QUIET_S: Final = 1.5
"""How long after Pause the carrier is asked: well above the bar."""

PATIENCE_S: Final = 30.0
LOOK_S: Final = 0.2


def figures(run: Run, people: People) -> Iterator[Figure]:
    """The figures of this part."""
    messages = QUICK_MESSAGES if run.quick else MESSAGES
    repetitions = QUICK_REPETITIONS if run.quick else REPETITIONS
    owners = (*MANAGERS, *AGENTS)
    with (
        staged(people, customers=repetitions * messages, owners=owners) as stage,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        tasks = fill_desks(people, stage, stage.customers)
        rushes = runner.run(_rushes(people, stage, list(slices(tasks, messages))))
    yield run.judged(
        "Pause → last dispatch",
        [rush.lag_s for rush in rushes],
        unit="s",
        bar=BAR_S,
        direction=Direction.AT_MOST,
        note=_note(rushes),
    )


def _note(rushes: Sequence[_Rush]) -> str:
    out = sum(rush.sent for rush in rushes)
    held = sum(rush.held for rush in rushes)
    worst = max(rush.lag_s for rush in rushes)
    return (
        f"{len(rushes)} pauses amid {CALLERS} callers: {out} messages had gone out, {held} were "
        f"held back and went out after Resume; worst {worst:.3f} s"
    )


@dataclass(slots=True, kw_only=True)
class _Rush:
    """One pause in the midst of messages.

    `sent` are the messages that had gone out when the carrier was asked, `held` those
    admitted before the pause that had not. `lag_s` is 0 when none went out after it.
    """

    tasks: Sequence[action_pb2.Task]
    admitted: set[int] = field(default_factory=set)
    answered: int = 0
    half_way: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    held: int = 0
    lag_s: float = 0.0

    def take(self, contact: reach_pb2.Contact) -> None:
        """Count an answer."""
        self.answered += 1
        if contact.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED:
            self.admitted.add(contact.contact_id)
        if self.answered >= len(self.tasks) * PAUSE_AFTER:
            self.half_way.set()

    def judge(self, messages: Sequence[simulator_pb2.SentMessage], paused_us: int) -> None:
        """Learn what the carrier has, `QUIET_S` after the pause."""
        last_us = max((message.accepted_us for message in messages), default=paused_us)
        self.lag_s = max(0.0, (last_us - paused_us) / 1e6)
        self.sent = len(messages)
        self.held = len(self.admitted) - len(messages)


async def _rushes(
    people: People, stage: Stage, parts: Sequence[Sequence[action_pb2.Task]]
) -> list[_Rush]:
    async with AsyncExitStack() as stack:
        office = _Office(people, stage, stack)
        return [await office.rush(_Rush(tasks=part)) for part in parts]


class _Office:
    """Everybody who has a part in it, over channels that are open within the stack."""

    def __init__(self, people: People, stage: Stage, stack: AsyncExitStack) -> None:
        self._people = people
        self._stage = stage
        self._stack = stack
        self._channels: dict[tuple[str, str], Channel] = {}

    async def rush(self, rush: _Rush) -> _Rush:
        """Send, pause in the midst of it, ask the carrier, resume, and see the rest go out."""
        pool = iter(rush.tasks)

        async def caller() -> None:
            for task in pool:
                rush.take(await self._send(task))

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())
            await rush.half_way.wait()
            paused_us = await self._pause()
        await asyncio.sleep(paused_us / 1e6 + QUIET_S - time_ns() / 1e9)
        rush.judge(await self._messages(rush), paused_us)
        await self._ask(MAKER, action_pb2.ResumeSceneRequest(scene_id=self._stage.scene_id))
        async with asyncio.timeout(PATIENCE_S):
            while len(await self._messages(rush)) < len(rush.admitted):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
        return rush

    async def _pause(self) -> int:
        """Pause the scene; microseconds since 1970 when the answer came."""
        scenes: SceneServiceAsyncStub = action_pb2_grpc.SceneServiceStub(
            await self._channel(MAKER, "action")
        )
        await scenes.PauseScene(action_pb2.PauseSceneRequest(scene_id=self._stage.scene_id))
        return time_ns() // 1_000

    async def _send(self, task: action_pb2.Task) -> reach_pb2.Contact:
        owner = self._stage.owners[task.customer_id]
        reach: ReachServiceAsyncStub = reach_pb2_grpc.ReachServiceStub(
            await self._channel(owner.username, "reach")
        )
        request = reach_pb2.SendSmsRequest(
            customer_id=task.customer_id,
            content=self._stage.content,
            task_id=task.task_id,
            product_id=self._stage.product_id,
            request_id=request_id(),
        )
        return (await reach.SendSms(request)).contact

    async def _messages(self, rush: _Rush) -> Sequence[simulator_pb2.SentMessage]:
        customers = [task.customer_id for task in rush.tasks]
        request = simulator_pb2.ListMessagesRequest(customer_ids=customers)
        messages: Sequence[simulator_pb2.SentMessage] = (await self._ask(LOADER, request)).messages
        return messages

    async def _ask(self, who: str, request: Message) -> Any:
        return await asyncio.to_thread(self._people.ask, who, request)

    async def _channel(self, username: str, service: str) -> Channel:
        if (username, service) not in self._channels:
            channel = self._people.channel(username, service)
            self._channels[username, service] = await self._stack.enter_async_context(channel)
        return self._channels[username, service]
