"""Mixed traffic over lanes for long, to see whether anything grows.

`python -m loadtests.lanes.soak --minutes 30` lets two processes talk over all carriers,
looks at both every few seconds and exits with 1 when something is not flat, or a call
was not answered as it should be.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import grpc
import typer
import uvloop

from loadtests.bench.mesh_tls import LanesAlone
from loadtests.lanes.asked import AWAY, COUNTS, CUT, LOSE, know_contract
from loadtests.lanes.counts import counts
from loadtests.lanes.peer import Place
from loadtests.lanes.traffic import Traffic
from loadtests.lanes.verdict import Sample, complaints, table
from mesh.channel import Channel
from mesh.lane import CARRIERS

WORKERS: Final = 3
"""On each carrier."""
SAMPLES: Final = 360
MIN_LOOK_S: Final = 0.5
DISTURBANCES: Final = 60
MIN_QUIET_S: Final = 1.5
LINES: Final = 60
"""So often, at most, it looks at the processes, closes lanes, and tells how it goes."""
MAX_TOLD: Final = 5


class Soak:
    """One run.

    Args:
        seconds: how long.
        rate: calls a second that are aimed at; large replies among them.
        seed: of the kinds of calls.
    """

    def __init__(self, seconds: float, rate: float, seed: int) -> None:
        self._seconds = seconds
        self._rest_s = WORKERS * len(CARRIERS) / rate
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._samples: list[Sample] = []

    async def run(self) -> Sequence[str]:
        """Soak; answers what is wrong."""
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp"))
            place = Place.fresh(Path(folder) / "peer")
            stack.enter_context(place.worker())
            plain = await stack.enter_async_context(
                grpc.aio.insecure_channel(place.endpoint.address)
            )
            traffics = [
                await stack.enter_async_context(self._traffic(place, carrier))
                for carrier in CARRIERS
            ]
            await self._soak(traffics, plain)
        for line in table(self._samples):
            print(line)
        told = sum((traffic.told for traffic in traffics), Counter[str]())
        print(", ".join(f"{number:,} {what}" for what, number in told.most_common()))
        wrong = [text for traffic in traffics for text in traffic.wrong]
        return [*complaints(self._samples), *wrong[:MAX_TOLD]]

    @asynccontextmanager
    async def _traffic(self, place: Place, carrier: str) -> AsyncIterator[Traffic]:
        tls = LanesAlone(place.certificate)

        def open_channel() -> Channel:
            return Channel("soak", [place.endpoint], carriers=(carrier,), tls=tls)

        chance = random.Random(self._random.random())  # noqa: S311 - no secret
        traffic = Traffic(open_channel, chance, self._rest_s)
        try:
            yield traffic
        finally:
            await traffic.close()

    async def _soak(self, traffics: Sequence[Traffic], plain: grpc.aio.Channel) -> None:
        work = [traffic.run() for traffic in traffics for _ in range(WORKERS)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in (*work, self._disturb(traffics, plain))]
            await self._look(traffics, plain)
            for task in tasks:
                task.cancel()

    async def _disturb(self, traffics: Sequence[Traffic], plain: grpc.aio.Channel) -> None:
        """Close lanes in turn: by a new channel, by cutting them, by sending clients away."""
        lose: Any = plain.unary_unary(LOSE)
        every_s = max(MIN_QUIET_S, self._seconds / DISTURBANCES)
        while True:
            for how in (CUT, AWAY, b""):
                await asyncio.sleep(every_s)
                if how:
                    await lose(how, timeout=5)
                else:
                    await asyncio.gather(*(traffic.renew() for traffic in traffics))

    async def _look(self, traffics: Sequence[Traffic], plain: grpc.aio.Channel) -> None:
        ask: Any = plain.unary_unary(COUNTS)
        began = told_at = time.monotonic()
        every_s = max(MIN_LOOK_S, self._seconds / SAMPLES)
        while (now := time.monotonic()) < began + self._seconds:
            await asyncio.sleep(every_s)
            peer = json.loads(await ask(b"", timeout=10))
            self._samples.append(Sample(client=counts(), server=peer))
            if now - told_at >= self._seconds / LINES:
                told_at = now
                calls = sum(traffic.told.total() for traffic in traffics)
                done = (now - began) / self._seconds
                print(f"{done:4.0%}  {calls:9,} calls  {self._samples[-1]}", flush=True)


def main(
    *,
    minutes: Annotated[float, typer.Option(help="How long.", min=0.1)] = 30.0,
    rate: Annotated[float, typer.Option(help="Calls a second.", min=1.0)] = 150.0,
    seed: Annotated[int, typer.Option(help="Of the kinds of calls.")] = 0,
) -> None:
    """Soak lanes in mixed traffic and say whether memory and descriptors are flat."""
    know_contract()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        wrong = runner.run(Soak(minutes * 60, rate, seed).run())
    for text in wrong:
        print(f"FAILED: {text}")
    if wrong:
        raise typer.Exit(1)
    print(f"Flat over {minutes:g} minutes.")


if __name__ == "__main__":
    typer.run(main)
