"""The SDK where programs run: gevent, uvloop, pools of processes, columns of SQLAlchemy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import uvloop

from sequencer.sdk import LocalRangeSource, Sequencer

NAME = "test.ids"

GEVENT = """
from gevent import monkey
monkey.patch_all()
import grpc.experimental.gevent
grpc.experimental.gevent.init_gevent()
import gevent, threading, time
from itertools import chain
from sequencer.sdk import GrpcRangeSource, LocalRangeSource, Sequencer, SequencerUnavailable

class Slow(LocalRangeSource):
    def lease(self, request, *, timeout_s):
        gevent.sleep(0.005)  # others run meanwhile
        return super().lease(request, timeout_s=timeout_s)

taken, ticks = [], []

def user(sequence, strict):
    for _ in range(2_000):
        taken.append(sequence.next_id())
    for _ in range(5):
        taken.extend(chain.from_iterable(sequence.next_ids(300)))
        numbers.append(strict.next_id())
        gevent.sleep(0)

def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.001)

numbers = []
ticker = gevent.spawn(tick)
with Sequencer(Slow(), survive_s=0, timeout_s=30, create_missing=True) as sequencer:
    sequence, strict = sequencer.sequence("test.ids"), sequencer.strict("test.strict")
    users = [gevent.spawn(user, sequence, strict) for _ in range(20)]
    gevent.joinall(users, raise_error=True)
assert sorted(taken) == list(range(1, 20 * 3_500 + 1))
assert sorted(numbers) == list(range(1, 101))
assert len(ticks) > 5, "a greenlet that waits for ids lets others run"

with Sequencer(GrpcRangeSource("127.0.0.1:1"), timeout_s=0.2) as sequencer:
    waiting = gevent.spawn(sequencer.sequence("test.ids").next_id)
    before = len(ticks)
    try:
        waiting.get()
    except SequencerUnavailable:
        print("told", len(ticks) > before)
"""

POOL = """
import fcntl, multiprocessing, sys
from sequencer.sdk import Lease, Sequencer

class FileSource:
    '''Ranges from a file that all processes share.'''

    def lease(self, request, *, timeout_s):
        with open(PATH, "r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            number, last = map(int, file.read().split())
            file.seek(0)
            stop = last + request.size
            print(number + 1, stop, file=file, flush=True)
        return Lease(number=number + 1, position=stop, first=last + 1, size=request.size)

    def give_back(self, tail, *, timeout_s): ...
    def ensure(self, name, *, strict=False, timeout_s): ...
    def close(self): ...

PATH, HOW = sys.argv[1:]
sequencer = Sequencer(FileSource(), timeout_s=20)
ids = sequencer.sequence("test.ids")
next_id = ids.next_id

def work(_):
    return [next_id() for _ in range(500)] + [id for block in ids.next_ids(500) for id in block]

if __name__ == "__main__":
    with open(PATH, "w") as file:
        file.write("0 0")
    mine = work(None)  # used before the workers begin, as a server that preloads does
    with multiprocessing.get_context(HOW).Pool(3) as pool:
        theirs = pool.map(work, range(6), chunksize=1)
    mine += work(None)
    taken = [id for block in (mine, *theirs) for id in block]
    print(len(taken), len(set(taken)))
    sequencer.close()
"""


def ran(*arguments: str) -> str:
    """What a program of its own said."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_greenlets_take_ids() -> None:
    """Under gevent, as in locust, waiting for ids holds up no other greenlet."""
    done = subprocess.run(
        [sys.executable, "-c", GEVENT], capture_output=True, text=True, timeout=100, check=False
    )

    assert (done.stdout, done.returncode) == ("told True\n", 0), done.stderr


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
def test_pools_of_processes_take_ids(how: str, tmp_path: Path) -> None:
    """However a pool starts its processes, and though the parent has taken ids before."""
    script = tmp_path / "program.py"
    script.write_text(POOL)

    assert ran(str(script), str(tmp_path / "counter"), how) == "8000 8000\n"


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_loops_wait_for_ids(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """On asyncio's own loop and on uvloop, hundreds of tasks at once."""

    async def take() -> list[int]:
        async with Sequencer(LocalRangeSource(), survive_s=0, create_missing=True) as sequencer:
            ids = sequencer.sequence(NAME)
            return await asyncio.gather(*(ids.next_id_async() for _ in range(3_000)))

    with asyncio.Runner(loop_factory=loop) as runner:
        assert sorted(runner.run(take())) == list(range(1, 3_001))


def test_a_column_takes_its_default_from_a_sequence() -> None:
    """`next_id` is a callable default, for single rows and for many."""
    with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
        sequence = sequencer.sequence(NAME)
        orders = sa.Table(
            "orders",
            sa.MetaData(),
            sa.Column("id", sa.BigInteger, primary_key=True, default=sequence.next_id),
            sa.Column("what", sa.String),
        )
        engine = sa.create_engine("sqlite://")
        with engine.begin() as connection:
            orders.create(connection)
            connection.execute(orders.insert().values(what="one"))
            connection.execute(orders.insert(), [{"what": "two"}, {"what": "three"}])
            assert connection.execute(sa.select(orders.c.id)).scalars().all() == [1, 2, 3]
        engine.dispose()


def test_ten_thousand_sequences_need_one_thread() -> None:
    """A client keeps them all filled without a thread or a task for each."""
    source = LocalRangeSource()
    before = frozenset(threading.enumerate())
    with Sequencer(source, create_missing=True, timeout_s=60) as sequencer:
        sequences = [sequencer.sequence(f"many.s{number}") for number in range(10_000)]
        assert {sequence.next_id() for sequence in sequences} == {1}
        assert len(frozenset(threading.enumerate()) - before) == 1
    assert not frozenset(threading.enumerate()) - before


async def test_a_loop_with_ten_thousand_sequences_has_no_task_for_them() -> None:
    """Only who waits for an id is a task."""
    async with Sequencer(LocalRangeSource(), create_missing=True, timeout_s=60) as sequencer:
        sequences = [sequencer.sequence(f"many.s{number}") for number in range(10_000)]
        for sequence in sequences:
            await sequence.next_id_async()
        assert len(asyncio.all_tasks()) == 1
