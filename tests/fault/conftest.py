"""Servers of lanes, for the fault tests of them."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mesh.lane import CARRIERS
from tests.fault.lane_ends import Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A peer that all tests of the file use, and leave in good order."""
    with (
        tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder,
        serve(Path(folder) / "server") as server,
    ):
        yield server


@pytest.fixture
def first(var: Path) -> Iterator[Server]:
    """A peer of the test's own."""
    with serve(var / "first") as server:
        yield server


@pytest.fixture
def second(var: Path) -> Iterator[Server]:
    """Another one, with the same certificate."""
    with serve(var / "second") as server:
        yield server


@pytest.fixture(params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> str:
    """Each in turn."""
    return str(request.param)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Closes what a test opens."""
    async with AsyncExitStack() as stack:
        yield stack
