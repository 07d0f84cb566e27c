"""A caller of a round of lanes: `python -m tests.fault.lane_callers NAME FOLDER CARRIER`.

It reads from `FOLDER/endpoints.json` whom to call, and notes in `FOLDER/NAME.jsonl` what it
asked and was told. On SIGUSR1 it floods until SIGUSR2. On SIGTERM it waits for what is
under way, sees that all is well again, and tells in `FOLDER/NAME.left` what is left of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

from loadtests.bench.mesh_tls import LanesAlone, certificate_in
from loadtests.lanes.asked import AGAIN, ONCE, Asked, know_contract
from loadtests.lanes.counts import counts
from mesh.channel import Channel
from mesh.lane import Endpoint
from mesh.lane.keeper import State
from tests.fault.history import History
from tests.fault.lane_calls import WRONG, is_surely_not_run
from tests.fault.victims import serving

ENDPOINTS: Final = "endpoints.json"
WORKERS: Final = 24
FLOOD: Final = 1_500
"""Calls that a flood has under way."""
TICK_S: Final = 0.05
HEALED_S: Final = 15.0
"""How long a caller may wait for good answers once all is healed."""
GOOD: Final = 20
"""Good answers without a break that prove it."""
METHODS: Final = {"once": ONCE, "again": AGAIN}


class Stalls:
    """Tells for how long this process was not running: frozen, or without a turn."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._seen_at = time.monotonic()

    @property
    def lost_s(self) -> float:
        """Seconds so far, also while `watch` has not had a turn again."""
        return self._before_s + max(0.0, time.monotonic() - self._seen_at - 2 * TICK_S)

    async def watch(self) -> None:
        """See that this process runs, until cancelled."""
        while True:
            self._before_s, self._seen_at = self.lost_s, time.monotonic()
            await asyncio.sleep(TICK_S)


class Caller:
    """Makes calls of all kinds and notes them.

    Args:
        channel: over one carrier, to all endpoints.
        history: gets each call.
        seed: of what is asked.
    """

    def __init__(self, channel: Channel, history: History, seed: str) -> None:
        self._channel = channel
        self._methods = {kind: channel.unary_unary(path) for kind, path in METHODS.items()}
        self._history = history
        self._random = random.Random(seed)
        self._life = secrets.randbits(30) << 32
        self._numbers = count(1)
        self._stalls = Stalls()
        self._enough = asyncio.Event()
        self._floods: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Call until `stop`, then until what is under way has ended."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._stalls.watch())
            workers = [group.create_task(self._work(), name=f"worker {n}") for n in range(WORKERS)]
            await stop.wait()
            self._enough.set()
            await asyncio.wait(workers)
            self.stop_flood()
            if self._floods:
                await asyncio.wait(self._floods)
            watch.cancel()

    def flood(self) -> None:
        """Send as much as there is room for, beside the rest."""
        while len(self._floods) < FLOOD:
            task = asyncio.ensure_future(self._flood())
            self._floods.add(task)
            task.add_done_callback(self._floods.discard)

    def stop_flood(self) -> None:
        """Let the flood run dry."""
        for task in self._floods:
            task.set_name("enough")

    async def recovered(self) -> bool:
        """Whether calls are answered without a break, and by lanes, within `HEALED_S`."""
        good, until = 0, time.monotonic() + HEALED_S
        while (good < GOOD or not self._has_lanes()) and time.monotonic() < until:
            good = good + 1 if await self._is_good() else 0
            await asyncio.sleep(TICK_S)
        return good >= GOOD and self._has_lanes()

    def _has_lanes(self) -> bool:
        """Whether a lane is open, and no server counts as lost."""
        peers = self._channel.balancer.peers.known.values()
        lanes = [lane for peer in peers for lane in peer._lanes]
        is_open = any(lane.state is State.OPEN for lane in lanes)
        return is_open and not any(peer.is_lost for peer in peers)

    async def _is_good(self) -> bool:
        asked = Asked(number=self._life + next(self._numbers), size=100)
        return await self._call("again", asked, 2.0) == "OK"

    async def _work(self) -> None:
        chance = self._random
        while not self._enough.is_set():
            await self._one(chance.choices((0.0, 0.01, 0.2, 1.5), (12, 6, 3, 1))[0])
            await asyncio.sleep(chance.uniform(0, 0.02))

    async def _flood(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while task.get_name() != "enough" and not self._enough.is_set():
            await self._one(0.0)

    async def _one(self, hold_s: float) -> None:
        chance = self._random
        asked = Asked(
            number=self._life + next(self._numbers),
            size=chance.choices((100, 60_000, 1_000_000), (40, 4, 1))[0],
            hold_s=hold_s,
        )
        timeout_s = chance.choice((0.3, 1.0, 3.0))
        give_up_s = chance.uniform(0, 0.3) if chance.random() < 0.05 else 0.0
        await self._call(chance.choice(list(METHODS)), asked, timeout_s, give_up_s)

    async def _call(self, kind: str, asked: Asked, timeout_s: float, give_up_s: float = 0.0) -> str:
        with self._history.operation(kind, asked.number) as operation:
            began, lost_s = time.monotonic(), self._stalls.lost_s
            call = self._methods[kind](asked.to_bytes(), timeout=timeout_s)
            if give_up_s:
                asyncio.get_running_loop().call_later(give_up_s, call.cancel)
            end: Callable[[Any], None] = operation.ok
            told = "OK"
            try:
                if not asked.is_answered_by(await call):
                    told = WRONG
            except asyncio.CancelledError:
                end, told = operation.unknown, "CANCELLED"
            except grpc.aio.AioRpcError as error:
                surely_not = kind == "once" and is_surely_not_run(error)  # of its only try
                end = operation.failed if surely_not else operation.unknown
                told = f"{error.code().name}: {error.details()}"
            stalled_s = self._stalls.lost_s - lost_s
            over_s = time.monotonic() - began - timeout_s - stalled_s
            end({"told": told, "over_s": round(over_s, 3)})
        return told


async def call(name: str, folder: Path, carrier: str) -> None:
    """Be a caller until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    before = counts()
    channel = Channel(
        "fault",
        endpoints(folder),
        carriers=(carrier,),
        tls=LanesAlone(certificate_in(folder)),
    )
    with History(folder / f"{name}.jsonl", process=name) as history:
        caller = Caller(channel, history, f"{name}{os.getpid()}")
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, caller.flood)
        loop.add_signal_handler(signal.SIGUSR2, caller.stop_flood)
        serving()
        await caller.run(stop)
        recovered = await caller.recovered()
        await channel.close(1.0)
    left = {
        "recovered": recovered,
        "before": before,
        "after": await _settled(before),
    }
    (folder / f"{name}.left").write_text(json.dumps(left))


async def _settled(before: Mapping[str, int]) -> Mapping[str, int]:
    """What is left, once gRPC had time to close its sockets."""
    until = time.monotonic() + 5.0
    after = counts()
    while after["descriptors"] > before["descriptors"] and time.monotonic() < until:
        await asyncio.sleep(TICK_S)
        after = counts()
    return after


def endpoints(folder: Path) -> list[Endpoint]:
    """Whom to call."""
    found: list[dict[str, Any]] = json.loads((folder / ENDPOINTS).read_text())
    return [Endpoint(each["address"], tuple(each["lanes"])) for each in found]


def main(name: str, folder: str, carrier: str) -> None:
    """Call with uvloop."""
    know_contract(repeatable=(ONCE, AGAIN) if "FAULT_CARELESS" in os.environ else (AGAIN,))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(call(name, Path(folder), carrier))


if __name__ == "__main__":
    main(*sys.argv[1:])
