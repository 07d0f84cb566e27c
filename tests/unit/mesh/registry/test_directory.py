"""The registry of files: what it reads again, and when."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.registry import DirectoryRegistry, Entry, HeaderRule, Route, Split, _directory

HOUR_NS = 3_600_000_000_000


def entry(instance: str) -> Entry:
    return Entry(
        service="customer",
        instance=instance,
        address="127.0.0.1:1",
        socket="/tmp/x.sock",
        host_id="h",
        pid=os.getpid(),
        version="1",
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Looked at anew at each look-up, as after a tenth of a second."""
    monkeypatch.setattr(_directory, "REFRESH_S", -1.0)
    return tmp_path / "run"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read."""
    read: list[str] = []
    real: Callable[[Path], object] = _directory._file

    def counted(path: Path) -> object:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(_directory, "_file", counted)
    return read


def changed(folder: Path, at_ns: int) -> None:
    os.utime(folder, ns=(at_ns, at_ns))


async def test_files_of_a_folder_that_did_not_change_are_read_once(
    folder: Path, parsed: list[str]
) -> None:
    """Every process looks many times a second."""
    await DirectoryRegistry(folder).register(entry("a"))
    changed(folder, time.time_ns() - HOUR_NS)
    registry = DirectoryRegistry(folder)
    for _ in range(10):
        assert registry.lookup("customer") == (entry("a"),)
    assert len(parsed) == 1


async def test_what_others_write_and_remove_later_is_seen(folder: Path) -> None:
    """Also when nothing had changed for long."""
    other, registry = DirectoryRegistry(folder), DirectoryRegistry(folder)
    await other.register(entry("a"))
    changed(folder, time.time_ns() - HOUR_NS)
    assert registry.lookup("customer") == (entry("a"),)
    await other.register(entry("b"))
    assert registry.lookup("customer") == (entry("a"), entry("b"))
    await other.withdraw(entry("a"))
    assert registry.lookup("customer") == (entry("b"),)


async def test_a_change_in_the_same_instant_as_the_one_before_is_seen(folder: Path) -> None:
    """The clock of a file system ticks slowly: two changes may bear one time."""
    other, registry = DirectoryRegistry(folder), DirectoryRegistry(folder)
    now_ns = time.time_ns() + HOUR_NS  # whatever time this test takes
    await other.register(entry("a"))
    changed(folder, now_ns)
    assert registry.lookup("customer") == (entry("a"),)
    await other.register(entry("b"))
    changed(folder, now_ns)
    assert registry.lookup("customer") == (entry("a"), entry("b"))


async def test_routes_are_shared_and_removed_by_an_empty_one(folder: Path) -> None:
    """A route is one value for all processes, and no part of the table of instances."""
    other, registry = DirectoryRegistry(folder), DirectoryRegistry(folder)
    canary = Route(
        service="customer",
        rules=(HeaderRule(header="x-canary", value="1", version="2"),),
        splits=(Split(version="2", weight=5), Split(version="1", weight=95)),
    )
    await other.set_route(canary)
    assert registry.route("customer") == canary
    assert registry.route("action") == Route(service="action")
    assert not registry.services()
    await other.set_route(Route(service="customer"))
    assert registry.route("customer") == Route(service="customer")


def test_a_file_that_is_no_route_is_passed_over(folder: Path) -> None:
    """Somebody may have written there by hand."""
    folder.mkdir()
    (folder / "customer.route").write_text('{"service": "customer", "rules": 3}')
    assert DirectoryRegistry(folder).route("customer") == Route(service="customer")
