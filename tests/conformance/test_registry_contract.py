"""What every registry must do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.registry import DirectoryRegistry, Entry, Registry, State

OPENERS: list[Callable[[Path], Registry]] = [DirectoryRegistry]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def open_registry(request: pytest.FixtureRequest, var: Path) -> Callable[[], Registry]:
    """Opens the registry anew on the same state, as another process would."""
    return lambda: request.param(var / "run")


def entry(service: str = "customer", instance: str = "a", pid: int | None = None) -> Entry:
    return Entry(
        service=service,
        instance=instance,
        address="127.0.0.1:1",
        socket="/tmp/x.sock",
        host_id="h",
        pid=pid or os.getpid(),
        version="1",
    )


async def test_an_instance_is_found_by_others_once_it_registered(
    open_registry: Callable[[], Registry],
) -> None:
    """What one process writes another reads, field by field."""
    await open_registry().register(entry())
    assert open_registry().lookup("customer") == (entry(),)
    assert open_registry().lookup("ark") == ()


async def test_instances_of_one_service_stand_in_a_stable_order(
    open_registry: Callable[[], Registry],
) -> None:
    """Round robin needs it."""
    for instance in ("b", "a", "c"):
        await open_registry().register(entry(instance=instance))
    assert [e.instance for e in open_registry().lookup("customer")] == ["a", "b", "c"]


async def test_a_draining_instance_takes_no_new_calls_but_is_listed(
    open_registry: Callable[[], Registry],
) -> None:
    """`lookup` leaves it out, `services` shows it."""
    registry = open_registry()
    await registry.register(entry())
    await registry.register(replace(entry(), state=State.DRAINING))
    assert registry.lookup("customer") == ()
    assert registry.services()["customer"][0].state is State.DRAINING


async def test_an_instance_is_seen_at_once_by_the_process_that_registered_it(
    open_registry: Callable[[], Registry],
) -> None:
    """Also while another thread keeps looking."""
    registry, stop = open_registry(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            registry.services()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(200):
            one = entry(instance=str(number))
            await registry.register(one)
            assert one in registry.lookup("customer")
            await registry.withdraw(one)
            assert registry.lookup("customer") == ()
    finally:
        stop.set()
        looking.join()


async def test_withdrawing_twice_is_no_error(open_registry: Callable[[], Registry]) -> None:
    """A stop that is repeated does not fail."""
    registry = open_registry()
    await registry.register(entry())
    await registry.withdraw(entry())
    await registry.withdraw(entry())
    assert registry.lookup("customer") == ()


async def test_an_instance_that_died_is_gone(open_registry: Callable[[], Registry]) -> None:
    """A killed process leaves the table without anybody's help."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        await open_registry().register(entry(pid=child.pid))
        assert len(open_registry().lookup("customer")) == 1
        child.kill()
        child.wait()
    assert open_registry().lookup("customer") == ()


async def test_a_process_id_used_again_brings_nobody_back(
    open_registry: Callable[[], Registry], var: Path
) -> None:
    """An entry is of the process that began then, not of a later one with the same number."""
    await open_registry().register(entry())
    (path,) = (var / "run").glob("*.json")
    path.write_text(path.read_text().replace('"began": ', '"began": 1'))
    assert open_registry().lookup("customer") == ()
    assert not path.exists()


async def test_rubbish_in_the_folder_is_passed_over(
    open_registry: Callable[[], Registry], var: Path
) -> None:
    """A half-written or foreign file does not break the look-up."""
    await open_registry().register(entry())
    (var / "run" / "x.json").write_text("{")
    (var / "run" / "y.json").write_text('{"state": "SERVING"}')
    assert open_registry().lookup("customer") == (entry(),)


def test_a_registry_that_nobody_wrote_to_is_empty(open_registry: Callable[[], Registry]) -> None:
    """Looking before the first registration finds nothing and raises nothing."""
    assert open_registry().services() == {}
