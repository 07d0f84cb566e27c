"""Signal handlers and finalizers that use a sequence which they have interrupted."""

from __future__ import annotations

import linecache
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from types import FrameType
from typing import Any

import pytest

from sequencer.sdk import Lease, LocalRangeSource, SequenceEmpty, Sequencer, SequencerError
from sequencer.sdk import _buffer as buffer_module
from sequencer.sdk import _holdings as holdings_module
from sequencer.sdk import _lock as lock_module
from sequencer.sdk._buffer import Asked, IdBuffer

PIECE = 100

INSIDE = {buffer_module.__file__, holdings_module.__file__, lock_module.__file__}

SIGNALS = """
import signal, sys, time
from sequencer.sdk import LocalRangeSource, SequenceEmpty, Sequencer

mode, inherited, main, refused = sys.argv[1], [], [], 0

def handler(*_):
    try:
        inherited.append(next_id())
    except SequenceEmpty:
        pass

with Sequencer(LocalRangeSource(), create_missing=True) as sequencer:
    sequence = sequencer.sequence("test.ids")
    next_id = sequence.next_id
    next_id()
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        try:
            if mode == "single":
                main.extend(next_id() for _ in range(3000))
            else:
                for block in sequence.next_ids(3):
                    main.extend(block)
        except SequenceEmpty:
            refused += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for _ in range(3000):
        main.append(next_id())
    for block in sequence.next_ids(3000):
        main.extend(block)
every = main + inherited
print(len(inherited) > 0, len(every) - len(set(every)), main == sorted(main))
"""


def buffer(ask: Callable[[Asked], None] = lambda _: None) -> IdBuffer:
    return IdBuffer("test.ids", timeout_s=0.0, ask=ask, monotonic=lambda: 0.0)


@contextmanager
def interrupted(line: int, handler: Callable[[], object]) -> Iterator[list[int]]:
    """Run `handler` before the nth line that the block runs in the buffer and its holdings.

    Within it nothing is interrupted. The answer has grown once it has been run.
    Lines that enter or leave a lock are left out: no signal strikes in between.
    """
    before, left, struck = sys.gettrace(), line, list[int]()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in INSIDE:
            return None
        if event == "line" and not _source(frame).startswith("with "):
            left -= 1
            if left == 0:
                struck.append(frame.f_lineno)
                handler()
        return trace

    sys.settrace(trace)
    try:
        yield struck
    finally:
        sys.settrace(before)


def _source(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


def taken(ids: IdBuffer, *, blocks: bool) -> list[int]:
    return list(chain.from_iterable(ids.ranges(2))) if blocks else [ids.next_id()]


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("catching", [False, True])
@pytest.mark.parametrize("repeated", [False, True])
def test_whatever_line_is_interrupted_no_id_is_given_twice(
    *, outer: bool, inner: bool, catching: bool, repeated: bool
) -> None:
    """A handler gets other ids or SequenceEmpty, caught or not; afterwards all goes on."""
    line, struck = 0, [0]
    while struck:
        line += 1
        ids, every = buffer(), list[int]()
        ids.put(Lease(number=1, position=0, first=1, size=PIECE), low=0)
        ids.put(Lease(number=2, position=0, first=5_000, size=3 * PIECE), low=PIECE)
        before = 2 if repeated else 0  # blocks of one size are made ready
        every += chain.from_iterable(ids.ranges(before))
        every += [ids.next_id() for _ in range(PIECE - (1 if outer else 0) - before)]

        def handler(ids: IdBuffer = ids, every: list[int] = every) -> None:
            with suppress(*([SequenceEmpty] if catching else [])):
                every += taken(ids, blocks=inner)

        with interrupted(line, handler) as struck, suppress(SequenceEmpty):
            every += taken(ids, blocks=outer)
        every += chain(*(taken(ids, blocks=blocks) for blocks in (False, True, False)))
        held = ids.level().held
        every += chain.from_iterable(ids.ranges(held))

        assert len(every) == len(set(every)), f"line {struck}"
        assert ids.level().held == 0
        ids.put(Lease(number=3, position=0, first=20_000, size=1), low=0)
        assert ids.next_id() == 20_000
    assert line > 10


def test_a_refill_is_asked_for_whatever_line_is_interrupted() -> None:
    """An exception of a handler never leaves a buffer that waits for what nobody fetches."""
    line, struck = 0, [0]

    def handler() -> None:
        raise KeyboardInterrupt

    while struck:
        line += 1
        asked: list[int] = []
        ids = buffer(lambda _, asked=asked: asked.append(1))  # type: ignore[misc]
        with interrupted(line, handler) as struck, suppress(KeyboardInterrupt):
            ids.prefetch()
        ids.prefetch()
        assert asked, f"line {struck}"
    assert line > 3


def test_a_handler_may_close_what_it_has_interrupted() -> None:
    """Nothing that the interrupted call may still take is drained, so nothing comes twice."""
    line, struck = 0, [0]
    while struck:
        line += 1
        ids, every, drained = buffer(), list[int](), list[tuple[Lease, int]]()
        ids.put(Lease(number=1, position=0, first=1, size=10), low=0)

        def handler(ids: IdBuffer = ids, drained: list[tuple[Lease, int]] = drained) -> None:
            ids.close()
            drained.extend(ids.drain())

        with interrupted(line, handler) as struck, suppress(SequencerError):
            every += chain.from_iterable(ids.ranges(2))
        assert all(id_ < held.ids[used] for id_ in every for held, used in drained), (
            f"line {struck}"
        )
    assert line > 10


def test_figures_are_refused_to_a_handler_inside() -> None:
    """What is half-way through a change has no figures."""
    with Sequencer(LocalRangeSource(), create_missing=True, timeout_s=30) as sequencer:
        ids, told = sequencer.sequence("test.ids"), list[str]()
        ids.next_id()

        def handler() -> None:
            try:
                told.append(f"{ids.stats().leases} lease")
            except SequenceEmpty as error:
                told.append(str(error))

        for line in range(1, 20):
            with interrupted(line, handler):
                ids.next_ids(1 + line % 2)

    assert any("interrupted" in text for text in told)


@pytest.mark.parametrize("mode", ["single", "blocks"])
def test_ten_thousand_signals_a_second(mode: str) -> None:
    """Real signals whose handler takes ids: none comes twice, and the sequence works on."""
    ran = subprocess.run(
        [sys.executable, "-c", SIGNALS, mode],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.stdout, ran.stderr, ran.returncode) == ("True 0 True\n", "", 0)
