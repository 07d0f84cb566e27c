"""Rolling restarts of toys: what is told, and what stands when something goes wrong."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.processes.client import Supervised, SupervisorError, supervisors
from cli.processes.control import MAX_CONNECTIONS, MAX_ORDER_BYTES

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from cli.supervisor import Program, Supervisor
from mesh.registry import Entry

VAR = Path(sys.argv[1])
OUT = os.dup(1)

def say(*words):
    os.write(OUT, (" ".join(map(str, words)) + "\\n").encode())

def toy(name):
    def run(ready):
        if (VAR / f"{name}.fails").exists():
            print("cannot: the file is there", file=sys.stderr)
            sys.exit(3)
        signal.signal(signal.SIGTERM, lambda *_: stops(name))
        while (VAR / f"{name}.waits").exists():
            time.sleep(0.01)
        say("serves", name, os.getpid())
        ready(Entry(service=name, instance="i", address="a", socket="s", host_id="h",
                    pid=os.getpid(), version="1"))
        while True:
            signal.pause()
    return run

def stops(name):
    say("stops", name, os.getpid())
    while (VAR / f"{name}.lingers").exists():
        time.sleep(0.01)
    sys.exit(0)

def supervise(*programs, grace_s=30.0, start_s=30.0):
    fell = lambda fall: say("fell", fall)
    with Supervisor(programs, VAR / "log", fell, run_dir=VAR / "run", grace_s=grace_s,
                    start_s=start_s) as it:
        it.start()
        say("all serve")
        it.watch()
        it.stop(5)
    say("stopped")
"""
TWO = 'supervise(Program("one", toy("one")), Program("two", toy("two"), after=("one",)))'

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start(var: Path) -> Iterator[Start]:
    """Starts a supervisor of toys, which serve when this returns."""
    started: list[Process] = []

    def start(script: str) -> Process:
        command = [sys.executable, "-c", PROGRAM + textwrap.dedent(script), str(var)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        await_line(process, "all serve")
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def await_line(process: Process, text: str) -> str:
    """The next line with the text."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended before it said '{text}'")


def only(var: Path) -> Supervised:
    (found,) = supervisors(var / "run")
    return found


def pids(var: Path) -> dict[str, int]:
    return {slot["name"]: slot["pid"] for slot in only(var).slots}


def killed(pid: int) -> None:
    """End a process at once; return when it has ended."""
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([process], [], [])
    os.close(process)


def steps(var: Path, *names: str) -> list[tuple[str, str]]:
    return [(step["name"], step["what"]) for step in only(var).restart([*names])]


REPLACED = ["starting", "serving", "draining", "ended"]


def test_each_process_serves_before_the_one_before_it_drains(start: Start, var: Path) -> None:
    """One after another, in the order in which they were started; the steps are told."""
    start(TWO)
    before = pids(var)
    assert steps(var, "two", "one") == [
        *(("one", what) for what in REPLACED),
        *(("two", what) for what in REPLACED),
    ]
    after = pids(var)
    assert not {*before.values()} & {*after.values()}
    assert {slot["state"] for slot in only(var).slots} == {"serving"}
    assert {slot["restarts"] for slot in only(var).slots} == {0}


def test_only_what_is_named_is_replaced(start: Start, var: Path) -> None:
    """A process is named by itself, its service, or its id."""
    start(TWO)
    before = pids(var)
    assert [name for name, _ in steps(var, str(before["two"]))] == ["two"] * 4
    after = pids(var)
    assert after["one"] == before["one"]
    assert after["two"] != before["two"]


def test_a_successor_that_does_not_come_to_serve_changes_nothing(start: Start, var: Path) -> None:
    """The restart ends there and says why; the process before it goes on, and later ones too."""
    start(TWO)
    before = pids(var)
    (var / "one.fails").touch()
    with pytest.raises(SupervisorError, match="ended with code 3; the process before it goes on"):
        steps(var, "one", "two")
    assert "cannot: the file is there" in problem(var, "one")
    assert pids(var) == before
    (var / "one.fails").unlink()
    assert len(steps(var, "one", "two")) == 8


def problem(var: Path, *names: str) -> str:
    with pytest.raises(SupervisorError) as caught:
        steps(var, *names)
    return str(caught.value)


def test_a_successor_that_hangs_is_ended(start: Start, var: Path) -> None:
    """After a bound; the process before it goes on."""
    start('supervise(Program("one", toy("one")), start_s=0.2)')
    before = pids(var)
    (var / "one.waits").touch()
    assert "did not serve within 0.2 s" in problem(var, "one")
    assert pids(var) == before


def test_one_that_does_not_drain_is_killed(start: Start, var: Path) -> None:
    """After its grace; the restart goes on."""
    start('supervise(Program("one", toy("one")), grace_s=0.1)')
    (var / "one.lingers").touch()
    assert [what for _, what in steps(var, "one")] == REPLACED
    (var / "one.lingers").unlink()


def test_what_may_run_once_is_replaced_without_overlap(start: Start, var: Path) -> None:
    """The old one has ended before the new one begins."""
    start('supervise(Program("one", toy("one"), overlaps=False))')
    assert [what for _, what in steps(var, "one")] == ["draining", "ended", "starting", "serving"]


def test_what_may_run_once_and_fails_is_started_again_until_it_serves(
    start: Start, var: Path
) -> None:
    """There is nothing to go back to: the supervisor tries on with back-off."""
    process = start('supervise(Program("one", toy("one"), overlaps=False))')
    (var / "one.fails").touch()
    assert "it is started again and again" in problem(var, "one")
    await_line(process, "fell one ended with code 3")
    (var / "one.fails").unlink()
    await_line(process, "serves one")


def test_a_crash_loop_is_told_as_one(start: Start, var: Path) -> None:
    """On the output, and to who asks."""
    process = start(TWO)
    (var / "two.fails").touch()
    os.kill(pids(var)["two"], signal.SIGKILL)
    told = await_line(process, "times in a row")
    assert "two ended with code 3; starting it again in 1.6 s (5 times in a row" in told
    (slot,) = [slot for slot in only(var).slots if slot["name"] == "two"]
    assert (slot["state"], slot["last_code"], slot["pid"]) == ("crash loop", 3, 0)
    (var / "two.fails").unlink()
    assert [what for _, what in steps(var, "two")] == ["starting", "serving"]


def test_a_process_that_dies_while_its_successor_starts_is_no_loss(start: Start, var: Path) -> None:
    """The successor takes its place."""
    process = start(TWO)
    (var / "one.waits").touch()
    begun = only(var).restart(["one"])
    assert next(begun)["what"] == "starting"
    killed(pids(var)["one"])
    (var / "one.waits").unlink()
    assert [step["what"] for step in begun] == ["serving"]
    await_line(process, "serves one")


def test_a_second_restart_waits_its_turn(start: Start, var: Path) -> None:
    """It is refused while one is under way."""
    start(TWO)
    (var / "one.waits").touch()
    begun = only(var).restart(["one"])
    assert next(begun)["what"] == "starting"
    assert "a restart is under way" in problem(var, "two")
    (var / "one.waits").unlink()
    assert [step["what"] for step in begun] == REPLACED[1:]


def test_a_restart_goes_on_though_nobody_listens(start: Start, var: Path) -> None:
    """Who gave the order may leave: nothing stays half done."""
    process = start(TWO)
    begun = only(var).restart(["one", "two"])
    assert next(begun)["what"] == "starting"
    begun.close()  # type: ignore[attr-defined]
    await_line(process, "serves one")
    await_line(process, "serves two")


def test_a_signal_ends_a_restart_and_all_processes(start: Start, var: Path) -> None:
    """Also the successor that does not serve yet."""
    process = start(TWO)
    (var / "one.waits").touch()
    begun = only(var).restart(["one"])
    assert next(begun)["what"] == "starting"
    process.send_signal(signal.SIGTERM)
    with pytest.raises(SupervisorError, match="ended before it was done"):
        next(begun)
    await_line(process, "stopped")
    assert process.wait(10) == 0
    assert supervisors(var / "run") == []


def test_the_socket_of_a_killed_supervisor_is_removed(start: Start, var: Path) -> None:
    """By who finds that nobody listens."""
    process = start(TWO)
    process.kill()
    process.wait(10)
    assert supervisors(var / "run") == []
    assert [*(var / "run").glob("*.control")] == []


@pytest.mark.parametrize(
    "line", [b"{}\n", b"nothing\n", b"[1]\n", b'{"order": "fly"}\n', b"\xff\xfe\n"]
)
def test_orders_that_nobody_knows_are_refused(start: Start, var: Path, line: bytes) -> None:
    """With those that are known; the supervisor goes on."""
    start(TWO)
    assert "knows the orders list, restart" in said(var, line)["failed"]
    assert len(only(var).slots) == 2


def test_an_order_without_end_is_cut_off(start: Start, var: Path) -> None:
    """The supervisor keeps a bounded part of it."""
    start(TWO)
    with connected(var) as peer, pytest.raises((BrokenPipeError, ConnectionResetError)):
        peer.sendall(b"x" * 100 * MAX_ORDER_BYTES)
    assert len(only(var).slots) == 2


def test_connections_are_bounded(start: Start, var: Path) -> None:
    """Those above are closed at once; they take nothing from the supervisor when they go."""
    start(TWO)
    idle = [connected(var) for _ in range(MAX_CONNECTIONS)]
    with connected(var) as refused:
        assert refused.recv(1) == b""
    for peer in idle:
        peer.close()
    while not (found := only(var)).slots:  # until it has seen that they are gone
        assert "ended before it was done" in found.problem
    assert len(found.slots) == 2


def test_nobody_else_may_look_into_the_folder(start: Start, var: Path) -> None:
    """The socket lies where its owner alone may enter."""
    start(TWO)
    assert (var / "run").stat().st_mode & 0o777 == 0o700


def connected(var: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(10)
    peer.connect(str(only_path(var)))
    return peer


def only_path(var: Path) -> Path:
    (path,) = (var / "run").glob("*.control")
    return path


def said(var: Path, line: bytes) -> dict[str, Any]:
    with connected(var) as peer, peer.makefile("rb") as lines:
        peer.sendall(line)
        answer: dict[str, Any] = json.loads(lines.readline())
        return answer
