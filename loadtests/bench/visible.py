"""From an event handed in to the task that its owner sees, on a whole platform, open loop.

Events come at fixed times, whatever becomes of them; the clock of each starts at
its time. Owners look at their tasks again and again: a task is visible when its
owner's `ListMyTasks` answers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Final

import uvloop

from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.decision.v1 import decision_pb2, decision_pb2_grpc
from loadtests.bench._figure import Direction, Figure
from loadtests.contracts import request_id
from loadtests.people import AGENTS, MANAGERS, SOURCE, Member, People
from loadtests.stage import Stage, staged
from loadtests.strategy import PAGE
from mesh.channel import Channel

if TYPE_CHECKING:
    from engine.action.v1.action_pb2_grpc import TaskServiceAsyncStub
    from engine.decision.v1.decision_pb2_grpc import DecisionServiceAsyncStub
    from loadtests.bench import Run

RATE_PER_S: Final = 50
SECONDS, QUICK_SECONDS = 25, 6
STRETCHES: Final = 5
"""Parts of the run whose percentiles are taken one by one."""

BAR_S: Final = 2.0
LOOK_S: Final = 0.15
"""Between two looks of one owner. It counts: nobody sees a task before he looks."""

PATIENCE_S: Final = 30.0


def figures(run: Run, people: People) -> Iterator[Figure]:
    """The figures of this part."""
    count = RATE_PER_S * (QUICK_SECONDS if run.quick else SECONDS)
    with (
        staged(people, customers=count, owners=(*MANAGERS, *AGENTS)) as stage,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        waits_s = runner.run(_Watch(people, stage).waits())
    size = count // STRETCHES
    parts = [waits_s[start : start + size] for start in range(0, count, size)]
    yield run.judged(
        f"event in → task visible to its owner, p99 at {RATE_PER_S} events/s, embedded",
        [quantiles(part, n=100)[98] for part in parts],
        unit="s",
        bar=BAR_S,
        direction=Direction.AT_MOST,
        note=f"{count:,} events, open loop; owners look every {LOOK_S} s",
    )
    yield run.report("… median", quantiles(waits_s, n=2)[0], "s")


class _Watch:
    """Hands events in on time and looks for their tasks, for one stage."""

    def __init__(self, people: People, stage: Stage) -> None:
        self._people = people
        self._stage = stage
        self._due: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._open: Mapping[Member, set[int]] = {owner: set() for owner in stage.owners.values()}

    async def waits(self) -> list[float]:
        """Seconds from each event's time to its task, in the order of the events."""
        async with AsyncExitStack() as stack:
            source: DecisionServiceAsyncStub = decision_pb2_grpc.DecisionServiceStub(
                await stack.enter_async_context(self._people.channel(SOURCE, "decision"))
            )
            async with asyncio.timeout(len(self._stage.owners) / RATE_PER_S + PATIENCE_S):
                async with asyncio.TaskGroup() as group:
                    for owner in self._open:
                        channel = self._people.channel(owner.username, "action")
                        await stack.enter_async_context(channel)
                        group.create_task(self._look(owner, channel))
                    await self._hand_in(source, group)
        return [self._seen[token] - self._due[token] for token in self._stage.owners]

    async def _hand_in(self, source: DecisionServiceAsyncStub, group: asyncio.TaskGroup) -> None:
        began = perf_counter()
        for place, (token, owner) in enumerate(self._stage.owners.items()):
            due = began + place / RATE_PER_S
            await asyncio.sleep(due - perf_counter())
            self._due[token] = due
            self._open[owner].add(token)
            event = self._stage.inflow(f"V-{token}", token)
            request = decision_pb2.IngestRequest(events=[event], request_id=request_id())
            group.create_task(_ingest(source, request))

    async def _look(self, owner: Member, channel: Channel) -> None:
        desk: TaskServiceAsyncStub = action_pb2_grpc.TaskServiceStub(channel)
        request = action_pb2.ListMyTasksRequest(scene_id=self._stage.scene_id, page_size=PAGE)
        missing = {token for token, his in self._stage.owners.items() if his == owner}
        while missing:
            await asyncio.sleep(LOOK_S)
            if not self._open[owner]:
                continue
            tasks = (await desk.ListMyTasks(request)).tasks
            now = perf_counter()
            for token in self._open[owner].intersection(task.customer_id for task in tasks):
                self._seen[token] = now
                self._open[owner].discard(token)
                missing.discard(token)


async def _ingest(source: DecisionServiceAsyncStub, request: decision_pb2.IngestRequest) -> None:
    await source.Ingest(request)
