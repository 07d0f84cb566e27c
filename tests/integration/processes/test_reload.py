"""`engine mesh restart --reload`: a supervisor takes on new code and settings while all goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cli.processes.client import Supervised, SupervisorError, supervisors
from mesh.registry import Entry
from tests.integration.processes.conftest import EngineMesh, Serve, await_end

Registered = Callable[[str], list[Entry]]

PROGRAM = """
import os, signal, sys
from pathlib import Path
from cli.processes import handover
from cli.supervisor import Program, Supervisor
from mesh.registry import Entry

VAR, OUT = Path(sys.argv[1]), os.dup(1)
WORD, NAMES = "first", ("one", "two")

def say(*words):
    os.write(OUT, (" ".join(map(str, words)) + "\\n").encode())

def toy(name):
    def run(ready):
        signal.signal(signal.SIGTERM, lambda *_: (say("stops", name), sys.exit(0)))
        ready(Entry(service=name, instance="i", address="a", socket="s", host_id="h",
                    pid=os.getpid(), version=WORD))
        say("serves", name, WORD)
        while True:
            signal.pause()
    return run

handed = handover.taken()
if handover.is_rehearsal():
    sys.exit(0)
renewal = handover.Renewal(ports=handover.Ports(gateway=1, metrics=2))
programs = [Program(name, toy(name)) for name in NAMES]
with Supervisor(
    programs, VAR / "log", lambda fall: say("fell", fall),
    run_dir=VAR / "run", renewal=renewal, handed=handed,
) as it:
    if handed is None:
        it.start()
    else:
        assert (handed.ports.gateway, handed.ports.metrics) == (1, 2)
    say("watches", os.getpid(), *sorted(entry.version for entry in it.entries.values() if entry))
    it.watch()
    it.stop(5)
say("stopped")
"""

Process = subprocess.Popen[str]


@pytest.fixture
def toys(var: Path) -> Iterator[Process]:
    """A supervisor of toys, from a file that tests change."""
    program = var / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(var)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        await_line(process, "watches")
        yield process
        process.terminate()
        process.communicate(timeout=30)


def await_line(process: Process, text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line.strip()
    raise AssertionError(f"it ended before it said '{text}'")


def change(var: Path, **replaced: str) -> None:
    text = (var / "program.py").read_text()
    for old, new in replaced.items():
        text = text.replace(old, new)
    (var / "program.py").write_text(text)


def only(var: Path) -> Supervised:
    (found,) = supervisors(var / "run")
    return found


def pids(var: Path) -> Mapping[str, int]:
    return {slot["name"]: slot["pid"] for slot in only(var).slots}


def test_processes_go_on_while_their_supervisor_takes_on_new_code(toys: Process, var: Path) -> None:
    """It keeps its process id and its children; what it forks from then on is new."""
    before = pids(var)
    change(var, first="second")
    only(var).renew()
    assert await_line(toys, "watches") == f"watches {toys.pid} first first"
    assert pids(var) == before
    assert [step["what"] for step in only(var).restart(["one"])][:2] == ["starting", "serving"]
    await_line(toys, "serves one second")
    os.kill(pids(var)["two"], signal.SIGKILL)
    await_line(toys, "fell two ended with signal 9")
    await_line(toys, "serves two second")
    toys.send_signal(signal.SIGTERM)
    await_line(toys, "stopped")
    assert toys.wait(10) == 0


def test_it_begins_anew_as_often_as_it_is_told(toys: Process, var: Path) -> None:
    """Nothing is lost on the way."""
    before = pids(var)
    for _ in range(3):
        only(var).renew()
        await_line(toys, "watches")
    assert pids(var) == before


def test_code_that_does_not_start_is_refused_and_nothing_changes(toys: Process, var: Path) -> None:
    """With what it says; the supervisor goes on with the code that it has."""
    change(var, **{"from mesh.registry import Entry": "from mesh.registry import Entrance"})
    before = pids(var)
    with pytest.raises(SupervisorError, match=r"(?s)nothing was changed.*Entrance"):
        only(var).renew()
    assert pids(var) == before
    assert len([*only(var).restart(["one"])]) == 4
    await_line(toys, "serves one first")


def test_programs_that_are_gone_end_and_new_ones_begin(toys: Process, var: Path) -> None:
    """What runs becomes what the new code says."""
    change(var, **{'("one", "two")': '("one", "three")'})
    gone = pids(var)["two"]
    only(var).renew()
    await_line(toys, "serves three")
    await_end([gone])
    while {*pids(var)} != {"one", "three"}:
        os.sched_yield()


def test_children_die_with_a_supervisor_that_began_anew(toys: Process, var: Path) -> None:
    """They are its own as before."""
    only(var).renew()
    await_line(toys, "watches")
    running = pids(var).values()
    toys.kill()
    await_end(running)


def test_a_service_takes_on_new_settings(
    serve: Serve, engine_mesh: EngineMesh, registered: Registered, var: Path
) -> None:
    """They stand in its file; the process of before goes on until one with them serves."""
    settings = var / "settings.env"
    settings.write_text("ENGINE_HOST=127.0.0.1\n")
    serving = serve("sequencer", "--workers", "1", settings_file=str(settings))
    (before,) = registered("sequencer")
    settings.write_text("ENGINE_HOTS=127.0.0.2\n")
    refused = engine_mesh("restart", "sequencer", "--reload")
    assert refused.returncode == 1
    assert "settings.env:1: ENGINE_HOTS: no such setting" in refused.stderr
    assert registered("sequencer") == [before]
    settings.write_text("ENGINE_HOST=127.0.0.2\n")
    done = engine_mesh("restart", "sequencer", "--reload")
    assert done.returncode == 0, done.stderr
    assert f"supervisor (pid {serving.process.pid}): began anew" in done.stdout
    (after,) = registered("sequencer")
    assert after.pid != before.pid
    assert (before.address.split(":")[0], after.address.split(":")[0]) == ("127.0.0.1", "127.0.0.2")
    assert "Began anew, with the code and settings of now." in serving.stop()
