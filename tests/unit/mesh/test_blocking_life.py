"""What a blocking channel opens: a thread and connections of one process, for as long as needed."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import grpc
import pytest

from mesh.blocking import BlockingChannel
from tests.unit.mesh.blocking_server import ONCE, BlockingServer, serving

WAIT_S = 30

FORKS = """
import gc, os, sys
from mesh.blocking import BlockingChannel
from mesh.lane import Endpoint

address, lane = sys.argv[1:]
channel = BlockingChannel(Endpoint(address, (lane,)))
way = channel.unary_unary("/test.Blocking/Way")
print(way(b"").decode(), flush=True)
for _ in range(3):
    child = os.fork()
    if not child:
        print(way(b"").decode(), flush=True)
        if _ == 1:
            del channel, way
            gc.collect()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(way(b"").decode(), flush=True)
"""

LEAVES = """
import sys
from mesh.blocking import BlockingChannel
from mesh.lane import Endpoint

address, lane = sys.argv[1:]
channel = BlockingChannel(Endpoint(address, (lane,)))
held = channel.unary_unary("/test.Blocking/Hold").future(b"")
print(channel.unary_unary("/test.Blocking/Way")(b"").decode())
"""


@pytest.fixture
def server() -> Iterator[BlockingServer]:
    with serving() as server:
        yield server


def threads() -> set[Thread]:
    """The threads of lanes."""
    return {thread for thread in threading.enumerate() if thread.name == "mesh lanes"}


def run(script: str, server: BlockingServer) -> str:
    """What a script prints; it says nothing else."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    done = subprocess.run(
        [*command, server.address, server.lane],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_nothing_is_open_before_the_first_call(server: BlockingServer) -> None:
    """Neither is anything for calls that go the ordinary way."""
    before = threads()
    with BlockingChannel(server.endpoint):
        assert threads() == before
    with BlockingChannel(server.address) as channel:
        channel.unary_unary(f"{ONCE}Way")(b"")
        assert threads() == before


def test_closing_ends_the_thread(server: BlockingServer) -> None:
    """It is gone when `close` returns; a second time does nothing, and calls are refused."""
    before = threads()
    with BlockingChannel(server.endpoint) as channel:
        method = channel.unary_unary(f"{ONCE}Way")
        method(b"")
        assert len(threads() - before) == 1
    assert threads() == before
    channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        method(b"")


def test_closing_cancels_calls_under_way(server: BlockingServer) -> None:
    """Those who wait are told."""
    with BlockingChannel(server.endpoint) as channel, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(channel.unary_unary(f"{ONCE}Hold"), b"", timeout=WAIT_S)
        assert server.holding.wait(WAIT_S)
        channel.close()
        error: Any = waiting.exception(WAIT_S)
    assert error.code() is grpc.StatusCode.CANCELLED


def test_closing_while_many_call_leaves_none_waiting(server: BlockingServer) -> None:
    """Each call is answered, cancelled or refused."""
    channel = BlockingChannel(server.endpoint)
    method = channel.unary_unary(f"{ONCE}Way")
    begun = Event()

    def call() -> str:
        while True:
            ended: Any = method.future(b"", timeout=WAIT_S)
            begun.set()
            if ended.code() is not grpc.StatusCode.OK:
                return str(ended.code().name)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call) for _ in range(8)]
        assert begun.wait(WAIT_S)
        channel.close()
        ends = [call.exception(WAIT_S) or call.result() for call in calls]
    assert all(end == "CANCELLED" or isinstance(end, ValueError) for end in ends)


def test_a_callback_may_close_the_channel(server: BlockingServer) -> None:
    """The thread ends after it."""
    channel = BlockingChannel(server.endpoint)
    before = threads()
    future = channel.unary_unary(f"{ONCE}Hold").future(b"")
    (thread,) = threads() - before
    assert server.holding.wait(WAIT_S)
    closed = Event()

    def close(_: Any) -> None:
        channel.close()
        closed.set()

    future.add_done_callback(close)
    server.stop()

    assert closed.wait(WAIT_S)
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_what_is_let_go_of_ends(server: BlockingServer) -> None:
    """Methods hold their channel; without them its thread ends, and warns of nothing."""
    before = threads()
    method = BlockingChannel(server.endpoint).unary_unary(f"{ONCE}Way")
    gc.collect()
    assert method(b"") == b"lane"
    (thread,) = threads() - before

    del method
    gc.collect()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_gives_the_call_up(server: BlockingServer) -> None:
    """The server is told; the channel goes on."""

    def interrupt() -> None:
        server.holding.wait(WAIT_S)
        os.kill(os.getpid(), signal.SIGINT)

    with BlockingChannel(server.endpoint) as channel:
        Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            channel.unary_unary(f"{ONCE}Hold")(b"", timeout=WAIT_S)
        assert server.cancelled.wait(WAIT_S)
        assert channel.unary_unary(f"{ONCE}Way")(b"") == b"lane"


def test_a_forked_child_opens_its_own(server: BlockingServer) -> None:
    """Parent and children call by lanes, each by its own; a child may let go of its parent's."""
    assert run(FORKS, server).split() == ["lane"] * 7


def test_a_program_may_end_without_closing(server: BlockingServer) -> None:
    """Also with a call under way: nothing is said, nothing is waited for."""
    assert run(LEAVES, server).split() == ["lane"]
