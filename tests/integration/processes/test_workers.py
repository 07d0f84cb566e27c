"""`engine serve NAME --workers N`: several processes of one service, beside what else runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from mesh.registry import Entry
from tests.integration.processes.conftest import Engine, Refused, Serve, await_end

Registered = Callable[[str], list[Entry]]


def test_each_worker_has_its_own_port_sockets_and_entry(
    serve: Serve, registered: Registered
) -> None:
    """Two workers are two entries that differ in everything but service, host and version."""
    serving = serve("sequencer", "--workers", "2", lines=2)
    one, other = registered("sequencer")
    assert {one.address, other.address} <= {*serving.said}
    for name in ("address", "socket", "lanes", "instance", "pid"):
        assert getattr(one, name) != getattr(other, name), name
    assert one.version == other.version
    assert "Stopped." in serving.stop(signal.SIGINT)
    assert registered("sequencer") == []


def test_workers_join_those_that_run(serve: Serve, registered: Registered) -> None:
    """A second command, and a process without a supervisor, take numbers that are free."""
    first = serve("sequencer", "--workers", "2", lines=2)
    serve("sequencer", "--workers", "1")
    serve("sequencer")
    entries = registered("sequencer")
    assert len({entry.socket for entry in entries}) == len({e.address for e in entries}) == 4
    first.stop()
    assert len(registered("sequencer")) == 2
    serve("sequencer")
    assert len({entry.socket for entry in registered("sequencer")}) == 3


def test_a_worker_that_dies_is_started_again_and_told(serve: Serve, registered: Registered) -> None:
    """kill -9 of one; the other goes on, and a new one comes."""
    serving = serve("sequencer", "--workers", "2", lines=2)
    victim, other = registered("sequencer")
    os.kill(victim.pid, signal.SIGKILL)
    told = serving.read_until("ended with")
    assert "ended with signal 9; starting it again in 0.1 s" in told
    while len(found := registered("sequencer")) < 2:
        os.sched_yield()
    pids = {entry.pid for entry in found}
    assert other.pid in pids
    assert victim.pid not in pids


def test_a_version_that_was_chosen_is_registered(serve: Serve, registered: Registered) -> None:
    """So that a canary from another checkout can be told apart."""
    serve("sequencer", "--workers", "1", "--version-label", "0.2.0-rc1")
    serve("sequencer", "--version-label", "mine")
    assert {entry.version for entry in registered("sequencer")} == {"0.2.0-rc1", "mine"}


def test_what_may_run_once_is_refused_more_often(refused: Refused) -> None:
    """With the reason, before anything is started."""
    done = refused("bus", "--workers", "2")
    assert done.returncode == 2
    assert "'bus' may run in one process only: it keeps in memory" in done.stderr
    assert "--workers 1" in done.stderr


def test_what_may_run_once_is_refused_beside_the_one_that_runs(
    serve: Serve, engine: Engine
) -> None:
    """Whoever started that one."""
    serve("bus")
    done = engine("serve", "bus", "--workers", "1")
    assert done.returncode == 1
    assert "a process of 'bus' runs on" in done.stdout + done.stderr
    alone = engine("serve", "bus")
    assert alone.returncode == 78
    assert "only one may run" in alone.stderr


def test_wrong_names_and_labels_are_refused_with_the_next_step(refused: Refused) -> None:
    """A near name is proposed; a label is not any text."""
    near = refused("sequencr", "--workers", "2")
    assert near.returncode == 2
    assert "Did you mean 'sequencer'?" in near.stderr
    label = refused("sequencer", "--version-label", "my version")
    assert label.returncode == 2
    assert "--version-label 'my version' cannot be a version" in label.stderr


def test_workers_die_with_a_killed_supervisor(serve: Serve, registered: Registered) -> None:
    """They drain and end; the registry is empty soon after."""
    serving = serve("sequencer", "--workers", "2", lines=2)
    pids = [entry.pid for entry in registered("sequencer")]
    serving.process.kill()
    await_end(pids)
    assert registered("sequencer") == []
