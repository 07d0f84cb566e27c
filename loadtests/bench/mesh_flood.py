"""The heavy caller, a process of its own: `python -m loadtests.bench.mesh_flood`.

It is told on its standard input where the servers are, and then each time over which carrier,
for how many seconds and how many calls at once to send. It runs when those who measure leave the
processor idle: what is looked at is whose turn it is in the server, not in the kernel.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack, contextmanager
from time import perf_counter
from typing import Any, Final, Self

import uvloop

from loadtests.bench.mesh_load import Call, open_loop
from loadtests.bench.mesh_servers import FULL, Ready
from loadtests.bench.mesh_stage import CARRIERS, Carrier, Target, Ways
from loadtests.bench.servers import collect_seldom

MODULE: Final = "loadtests.bench.mesh_flood"
RATE_PER_S: Final = 100
"""Of each other caller."""
HEAVY: Final = 100
"""Calls of the heavy one for each call of another."""


class Flood:
    """The process, as its parent sees it."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._to, self._from = child.stdin, child.stdout
        self.rate = 0.0
        """Calls a second, answered, of the last time."""

    @classmethod
    @contextmanager
    def started(cls, mesh: Ready) -> Iterator[Self]:
        """Start it; it calls once it is told to."""
        command = [sys.executable, "-m", MODULE]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as child:  # noqa: S603 - a module of our own
            flood = cls(child)
            flood._tell(mesh)
            flood._heard()
            try:
                yield flood
            finally:
                flood._to.close()
                child.wait(10)

    @contextmanager
    def sending(self, carrier: Carrier, seconds: float, at_once: int) -> Iterator[None]:
        """It sends for so long, and all was answered when the block is left."""
        self._tell((carrier.name, seconds, at_once))
        self._heard()
        yield
        self.rate = self._heard()

    def _tell(self, what: Any) -> None:
        self._to.write(f"{json.dumps(what)}\n")
        self._to.flush()

    def _heard(self) -> Any:
        line = self._from.readline()
        if not line:
            raise RuntimeError("the heavy caller ended early; see its traceback")
        return json.loads(line)


async def _obey() -> None:
    ways = Ways(json.loads(await _line()))
    async with AsyncExitStack() as stack:
        targets = {}
        for carrier in CARRIERS:
            channel = await stack.enter_async_context(ways.channel(FULL, carrier))
            targets[carrier.name] = Target(channel, os.getpid())
            await targets[carrier.name].get()
        collect_seldom()
        _say(True)
        while line := await _line():
            name, seconds, at_once = json.loads(line)
            _say(True)
            _say(await _flood(targets[name].get, seconds, at_once))


async def _flood(call: Call, seconds: float, at_once: int) -> float:
    """Send so many calls at fixed times, again and again; answers the calls a second."""

    def burst() -> Awaitable[object]:
        return asyncio.gather(*(_await(call) for _ in range(at_once)))

    began = perf_counter()
    bursts = await open_loop([burst], rate=RATE_PER_S * HEAVY / at_once, seconds=seconds)
    return at_once * len(bursts) / (perf_counter() - began)


async def _await(call: Call) -> None:
    await call()


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_obey())
