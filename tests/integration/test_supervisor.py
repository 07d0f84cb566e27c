"""The supervisor with real processes: ordered starts, restarts, and nothing left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from cli.supervisor import Program, StartError, Supervisor
from mesh.registry import Entry

def entry(name):
    return Entry(service=name, instance="i", address="a", socket="s", host_id="h",
                 pid=os.getpid(), version="1")

def serve(name):
    def run(ready):
        print("log of", name, flush=True)
        signal.signal(signal.SIGTERM, lambda *_: (say("stops", name), sys.exit(0)))
        say("serves", name, os.getpid())
        ready(entry(name))
        while True:
            signal.pause()
    return run

def dies(ready):
    print("cannot: port taken", file=sys.stderr)
    raise OSError("the address is in use")

def say(*words):
    os.write(OUT, (" ".join(map(str, words)) + "\\n").encode())

OUT = os.dup(1)
LOGS = Path(sys.argv[1])
"""


Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(var: Path) -> Iterator[Start]:
    """Starts a script that uses the supervisor; ends it if the test did not."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        source = PROGRAM + textwrap.dedent(script)
        command = [sys.executable, "-c", source, str(var / "log")]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def lines(child: subprocess.Popen[str], count: int) -> list[list[str]]:
    assert child.stdout is not None
    return [child.stdout.readline().split() for _ in range(count)]


WATCH = """
    programs = [Program("b", serve("b"), after=("a",)), Program("a", serve("a"))]
    fell = lambda fall: say("restart", fall.name, fall.code)
    with Supervisor(programs, LOGS, fell) as supervisor:
        supervisor.start()
        say("all", *(e.service for e in supervisor.entries.values()))
        supervisor.watch()
        supervisor.stop(5)
    say("stopped")
"""


def test_programs_start_after_what_they_need_and_stop_on_a_signal(start: Start, var: Path) -> None:
    """'b' waits for 'a' and stops before it; SIGINT ends all with code 0; each has its own log."""
    child = start(WATCH)
    first, second, all_ = lines(child, 3)
    assert [first[:2], second[:2], all_] == [["serves", "a"], ["serves", "b"], ["all", "b", "a"]]
    child.send_signal(signal.SIGINT)
    assert lines(child, 3) == [["stops", "b"], ["stops", "a"], ["stopped"]]
    assert child.wait(10) == 0
    assert (var / "log" / "a.log").read_text() == "log of a\n"
    assert not alive(int(first[2]))
    assert not alive(int(second[2]))


def test_programs_that_do_not_need_one_another_stop_together(start: Start) -> None:
    """Only what another needs waits for it: the slow one holds up nobody but what it needs."""
    child = start("""
        def lingers(name, marker):
            def run(ready):
                def stop(*_):
                    say("stops", name)
                    while not marker.exists():
                        time.sleep(0.01)
                    sys.exit(0)
                signal.signal(signal.SIGTERM, stop)
                ready(entry(name))
                while True:
                    signal.pause()
            return run

        slow, quick = lingers("slow", LOGS / "go"), serve("quick")
        programs = [
            Program("base", serve("base")),
            Program("slow", slow, after=("base",)),
            Program("quick", quick, after=("own",)),
            Program("own", serve("own")),
        ]
        with Supervisor(programs, LOGS) as supervisor:
            supervisor.start()
            say("all")
            supervisor.watch()
            supervisor.stop(60)
        say("stopped")
    """)
    assert ["all"] in lines(child, 4)
    child.send_signal(signal.SIGTERM)
    first = lines(child, 3)
    assert sorted(first[:2]) == [["stops", "quick"], ["stops", "slow"]]
    assert first[2] == ["stops", "own"]
    (Path(str(child.args[-1])) / "go").touch()  # type: ignore[index]
    assert lines(child, 2) == [["stops", "base"], ["stopped"]]


def test_what_is_killed_is_started_again(start: Start) -> None:
    """kill -9 of a child is told and mended; the others go on."""
    child = start(WATCH)
    first, second, _ = lines(child, 3)
    os.kill(int(first[2]), signal.SIGKILL)
    restart, again = lines(child, 2)
    assert restart == ["restart", "a", "-9"]
    assert again[:2] == ["serves", "a"]
    assert again[2] != first[2]
    assert alive(int(second[2]))
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0


def test_a_signal_at_the_moment_of_birth_is_not_lost(start: Start) -> None:
    """One that comes before the child has its own handlers ends it all the same."""
    child = start("""
        fork = os.fork

        def fork_and_end():
            pid = fork()
            if not pid:
                os.kill(os.getpid(), signal.SIGTERM)
            return pid

        os.fork = fork_and_end
        with Supervisor([Program("a", serve("a"))], LOGS) as supervisor:
            try:
                supervisor.start(timeout_s=10)
            except StartError as error:
                say(error)
    """)
    output, errors = child.communicate(timeout=20)
    assert errors == ""
    assert "a ended with code -15" in output


def test_a_large_log_is_put_aside_while_it_is_written(start: Start, var: Path) -> None:
    """The writer goes on; the folder does not grow without bound."""
    child = start("""
        import cli.child
        cli.child.MAX_LOG_BYTES = 1000

        def writes(ready):
            ready(entry("w"))
            while True:
                print("x" * 99, flush=True)
                time.sleep(0.001)

        with Supervisor([Program("w", writes)], LOGS) as supervisor:
            supervisor.start()
            while not (LOGS / "w.log.1").exists():
                supervisor.tick(0.05)
            say("rotated")
    """)
    assert lines(child, 1) == [["rotated"]]
    assert child.wait(10) == 0
    assert (var / "log" / "w.log").stat().st_size < (var / "log" / "w.log.1").stat().st_size * 50


def test_a_second_signal_ends_what_does_not_drain(start: Start) -> None:
    """Nobody has to wait for a service that hangs."""
    child = start("""
        def hangs(ready):
            signal.signal(signal.SIGTERM, lambda *_: say("hangs on"))
            ready(entry("h"))
            while True:
                signal.pause()

        with Supervisor([Program("h", hangs)], LOGS) as supervisor:
            supervisor.start()
            say("serves")
            supervisor.watch()
            supervisor.stop(60)
        say("stopped")
    """)
    assert lines(child, 1) == [["serves"]]
    child.send_signal(signal.SIGINT)
    assert lines(child, 1) == [["hangs", "on"]]
    child.send_signal(signal.SIGINT)
    assert lines(child, 1) == [["stopped"]]


def test_children_die_with_a_killed_supervisor(start: Start) -> None:
    """Nothing half-done stays behind, not even after kill -9."""
    child = start(WATCH)
    pids = [int(line[2]) for line in lines(child, 2)]
    child.kill()
    child.wait(10)
    for pid in pids:
        wait_until_gone(pid)


def test_a_program_that_cannot_start_is_told_with_the_end_of_its_log(start: Start) -> None:
    """The first start does not try for ever."""
    child = start("""
        with Supervisor([Program("x", dies)], LOGS) as supervisor:
            try:
                supervisor.start()
            except StartError as error:
                say(error)
    """)
    output, _ = child.communicate(timeout=10)
    assert "x ended with code 78" in output
    assert "the address is in use" in output


def test_work_done_once_answers_its_exit_code_while_the_rest_is_watched(start: Start) -> None:
    """A loader runs beside the services with the terminal as its own."""
    child = start("""
        def work():
            say("works", os.getpgid(0) == os.getpid())
            sys.exit(3)
        with Supervisor([Program("a", serve("a"))], LOGS) as supervisor:
            supervisor.start()
            say("code", supervisor.run_once("loader", work))
    """)
    output, errors = child.communicate(timeout=10)
    assert "works True\ncode 3\n" in output
    assert errors == ""


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> None:
    """Return when the process is gone; the test's time-out bounds it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([descriptor], [], [], 10)
    os.close(descriptor)
    assert not alive(pid)
