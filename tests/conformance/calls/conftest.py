"""Each test of a call runs on every path."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conformance.calls.paths import PATHS, Client, Path, connected


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    """Each path in turn."""
    chosen: Path = request.param
    return chosen


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(path: Path) -> AsyncIterator[Client]:
    """A client on the path, for the tests of a file."""
    async with connected(path) as client:
        yield client
