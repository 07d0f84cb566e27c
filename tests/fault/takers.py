"""The processes of a round of ids: sequencer servers, and takers that live on what they grant.

`python -m tests.fault.takers server N` and `… taker KIND NAME` run with the settings of
their environment, until SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

import uvloop

from loadtests.processes import asked_to_stop
from mesh import App, DirectoryRegistry, Settings
from mesh.settings import load
from mesh.storage import StorageError
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT
from sequencer.gapless import rules
from sequencer.sdk import (
    GaplessSequence,
    GrpcRangeSource,
    Sequencer,
    SequencerError,
    mesh_source,
)
from sequencer.witnesses import Witnesses
from tests.fault.ranges import Takings, runs
from tests.fault.victims import serving

SEQUENCE: Final = "fault.{kind}"
TAKER: Final = "taker"
REST_S: Final = 0.004
RETRY_S: Final = 0.05
SURVIVE_S: Final = 0.5
"""What a taker holds: little, so that it depends on the servers at every moment."""

MOST_NUMBERS: Final = 20
NUMBER_TTL_S: Final = 1.0
USED: Final = 0.9
RELEASED: Final = 0.8
"""A taker reserves so many numbers at once, for so long, uses and gives back such a share."""

Take = Callable[[random.Random], list[range]]


async def serve(replica: int) -> None:
    """Be a server until SIGTERM; begin again while the store is away."""
    settings = load()
    if "FAULT_CARELESS" in os.environ:
        _forget_all()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    registry = DirectoryRegistry(settings.run_dir)
    while True:
        try:
            async with App(BLUEPRINT, settings, registry, replica=replica, keys=[]):
                if "READY_FD" in os.environ:
                    serving()
                    del os.environ["READY_FD"]
                await stop.wait()
                return
        except StorageError:
            await asyncio.sleep(RETRY_S)


def _forget_all() -> None:
    """Have a server that believes its store, whatever anybody knows: rounds must find out."""

    async def nothing(*_: object) -> tuple[()]:
        return ()

    Witnesses.lost = Witnesses.speaks_of_lost = nothing  # type: ignore[method-assign,assignment]
    rules.is_lost = lambda *_: False


def take(kind: str, name: str) -> None:
    """Take ids until SIGTERM, with short rests."""
    settings = load()
    stop = asked_to_stop()
    chance = random.Random(f"{name}{os.getpid()}")
    with client(settings) as sequencer, Takings(settings.var / f"{name}.ids") as takings:
        one = way(sequencer, kind)
        serving()
        while not stop.wait(chance.uniform(0, REST_S)):
            began = time.monotonic_ns()
            try:
                takings.note(began, one(chance))
            except SequencerError:
                stop.wait(RETRY_S)


@contextmanager
def client(settings: Settings) -> Iterator[Sequencer]:
    """The SDK as a service uses it."""
    with Sequencer(source(settings), survive_s=SURVIVE_S, timeout_s=2.0) as sequencer:
        yield sequencer


def source(settings: Settings) -> GrpcRangeSource:
    """The servers of a round."""
    registry = DirectoryRegistry(settings.run_dir)
    return mesh_source(registry, ServiceKey.load(settings.key_dir, TAKER))


def way(sequencer: Sequencer, kind: str) -> Take:
    """How ids of a kind are taken: one by one and in blocks, as it comes."""
    name = SEQUENCE.format(kind=kind)
    match kind:
        case "strict":
            strict = sequencer.strict(name)
            return lambda chance: strict.next_ids(chance.randint(1, 4_000))
        case "snowflake":
            snowflake = sequencer.snowflake(name)
            return lambda chance: mixed(snowflake.next_id, snowflake.next_ids, chance)
        case "gapless":
            numbers = sequencer.gapless(name)
            return lambda chance: used(numbers, chance)
        case _:
            segment = sequencer.sequence(name)
            return lambda chance: mixed(segment.next_id, segment.next_ids, chance)


def used(numbers: GaplessSequence, chance: random.Random) -> list[range]:
    """Some numbers that are used by now; of those reserved the others are given back, or lapse."""
    claim = numbers.take(chance.randint(1, MOST_NUMBERS), ttl_s=NUMBER_TTL_S)
    chosen = [number for number in claim.numbers if chance.random() < USED]
    if chosen:
        numbers.confirm(claim, chosen)
    if len(chosen) < len(claim.numbers) and chance.random() < RELEASED:
        numbers.release(claim, [number for number in claim.numbers if number not in chosen])
    return runs(chosen)


def mixed(
    single: Callable[[], int], block: Callable[[int], list[range]], chance: random.Random
) -> list[range]:
    """A burst of single ids, or a block."""
    count = chance.randint(1, 4_000)
    if chance.random() < 1 / 2:
        return block(count)
    return runs(list(islice(iter(single, None), count)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["server", number]:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
                _runner.run(serve(int(number)))
        case ["taker", kind, name]:
            take(kind, name)
