"""Signal handlers that take ids, or raise, wherever they strike in a minter."""

from __future__ import annotations

import linecache
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import FrameType
from typing import Any

import pytest

from sequencer.sdk import Layout, LocalWorkerSource, SequenceEmpty
from sequencer.sdk import _lock as lock_module
from sequencer.sdk import _minter as minter_module
from sequencer.sdk import _open_tick as tick_module
from sequencer.sdk import _ticks as ticks_module
from tests.unit.sequencer.snowflake.worlds import NAME, Client, Wall

INSIDE = {minter_module.__file__, tick_module.__file__, ticks_module.__file__, lock_module.__file__}
SMALL = Layout(worker_bits=18, sequence_bits=4)


def strike(line: int, handler: Callable[[], object], work: Callable[[], object]) -> bool:
    """Run `handler` before the nth line that `work` runs in a minter; whether there was one.

    Lines that enter or leave a lock are left out: no signal strikes in between.
    """
    left, before = line, sys.gettrace()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in INSIDE:
            return None
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not text.startswith("with "):
            left -= 1
            if left == 0:
                sys.settrace(None)
                handler()
                sys.settrace(trace)
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return left <= 0


def held() -> Client:
    source = LocalWorkerSource(Wall())
    source.create(NAME, SMALL)
    client = Client(source)
    client.tend()
    return client


@pytest.mark.parametrize("takes", ["single", "blocks"])
def test_a_handler_that_takes_ids_shares_none(takes: str) -> None:
    """At every line: it gets an id of its own, or SequenceEmpty, and nothing is lost for good."""
    for line in count(1):
        client, theirs = held(), list[int]()
        mine: list[int] = []

        def handler(client: Client = client, theirs: list[int] = theirs) -> None:
            with suppress(SequenceEmpty):
                theirs.append(client.minter.next_id())

        def work(client: Client = client, mine: list[int] = mine) -> None:
            for _ in range(3):
                if takes == "single":
                    mine.extend(client.minter.next_id() for _ in range(17))
                else:
                    mine.extend(id_ for ids in client.minter.ranges(17) for id_ in ids)

        struck = strike(line, handler, work)
        mine += [client.minter.next_id() for _ in range(20)]
        assert len({*mine, *theirs}) == len(mine) + len(theirs)
        assert mine == sorted(mine)
        if not struck:
            return


class Stop(BaseException):
    """What a handler raises."""


def test_a_handler_that_raises_leaves_a_minter_whole() -> None:
    """At every line: ids may be skipped by it, and none comes twice afterwards."""

    def handler() -> None:
        raise Stop

    for line in count(1):
        client, mine = held(), list[int]()

        def work(client: Client = client, mine: list[int] = mine) -> None:
            for _ in range(3):
                for _ in range(17):
                    mine.append(client.minter.next_id())  # noqa: PERF401 - one by one
                mine.extend(id_ for ids in client.minter.ranges(5) for id_ in ids)

        with suppress(Stop):
            if not strike(line, handler, work):
                return
        mine += [client.minter.next_id() for _ in range(40)]
        mine += [id_ for ids in client.minter.ranges(20) for id_ in ids]
        assert mine == sorted(set(mine))


SIGNALS = """
import signal, time
from sequencer.sdk import LocalRangeSource, SequenceEmpty, Sequencer

inherited, main = [], []

def handler(*_):
    try:
        inherited.append(next_id())
    except SequenceEmpty:
        pass

with Sequencer(LocalRangeSource(), create_missing=True, timeout_s=30) as sequencer:
    sequence = sequencer.snowflake("shop.event")
    next_id = sequence.next_id
    next_id()
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        try:
            main.extend(next_id() for _ in range(3000))
            for block in sequence.next_ids(3):
                main.extend(block)
        except SequenceEmpty:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
every = main + inherited
print(len(inherited) > 0, len(every) - len(set(every)), main == sorted(main))
"""


def test_signals_may_come_at_any_moment() -> None:
    """Ten thousand a second, each of whose handlers takes an id."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALS], capture_output=True, text=True, timeout=100, check=False
    )

    assert done.stdout == "True 0 True\n", done.stderr
