"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
import uvloop

from loadtests.deployment import Platform, own_platform
from loadtests.servers import MariaDb, Redis, RedisCluster
from mesh.testing import Mesh

hypothesis.settings.register_profile("engine", deadline=None)  # speed is no property here
hypothesis.settings.load_profile("engine")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run asynchronous tests on uvloop, as the services run."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """One platform for the tests of a process that need a whole one; it must stop cleanly."""
    with own_platform() as platform:
        yield platform


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """One MariaDB for the tests of a process; each uses databases of its own."""
    with _folder() as folder, MariaDb(folder) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One Redis for the tests of a process; each uses keys of its own."""
    with _folder() as folder, Redis(folder) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """One Redis Cluster of three masters for the tests of a process."""
    with _folder() as folder, RedisCluster(folder) as cluster:
        yield cluster


@pytest.fixture
def var() -> Iterator[Path]:
    """A short-lived folder whose path is short enough for Unix sockets."""
    with _folder() as folder:
        yield folder


@pytest.fixture
async def mesh(var: Path) -> AsyncIterator[Mesh]:
    """A mesh of its own for the test."""
    async with Mesh(var) as mesh:
        yield mesh


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        yield Path(folder)
