"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import uvloop

from loadtests.deployment import Platform, own_platform
from loadtests.servers import MariaDb, Redis, RedisCluster
from mesh.storage import lint
from mesh.testing import Mesh
from tests import order
from tests.chosen import REDIS_DATABASES, Stores

hypothesis.settings.register_profile("engine", deadline=None)  # speed is no property here
hypothesis.settings.load_profile("engine")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run asynchronous tests on uvloop, as the services run."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the stores that services under test are on."""
    parser.addoption("--store", choices=("sqlite", "mariadb"), default="sqlite")
    parser.addoption("--bus", choices=("embedded", "redis"), default="embedded")
    parser.addoption("--replicas", type=int, default=1, help="processes of each service")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.ByFile:
    """Keep files whole, however many processes there are."""
    return order.ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Arrange the tests; leave out what is about the embedded parts when others are chosen."""
    order.arrange(items)
    if (config.option.store, config.option.bus) == ("sqlite", "embedded"):
        return
    left_out = pytest.mark.skip(reason="it is about the embedded store or bus")
    for item in items:
        if item.get_closest_marker("embedded"):
            item.add_marker(left_out)


@pytest.fixture(scope="session", autouse=True)
def stores(pytestconfig: pytest.Config) -> Iterator[Stores]:
    """The stores that each `Mesh` of the run is on."""
    embedded, Mesh.replicas = Mesh.defaults, pytestconfig.option.replicas
    with ExitStack() as stack:
        chosen = Stores(
            database=_mariadb(stack) if pytestconfig.option.store == "mariadb" else None,
            redis=_redis(stack) if pytestconfig.option.bus == "redis" else None,
        )
        Mesh.defaults = chosen.settings
        yield chosen
        Mesh.defaults, Mesh.replicas = embedded, 1


def _mariadb(stack: ExitStack) -> MariaDb:
    return stack.enter_context(MariaDb(stack.enter_context(_folder())))


def _redis(stack: ExitStack) -> Redis:
    folder = stack.enter_context(_folder())
    return stack.enter_context(Redis(folder, "--databases", str(REDIS_DATABASES)))


@pytest.fixture(scope="session")
def refused_sql() -> Iterator[list[lint.Refusal]]:
    """Statements of this process's stores that would not do on MySQL or TiDB."""
    found: list[lint.Refusal] = []
    with lint.watch(found):
        yield found


@pytest.fixture(autouse=True)
def sql_rules(refused_sql: list[lint.Refusal]) -> Iterator[None]:
    """Fail a test whose statements break a rule of `mesh.storage.lint`.

    Tests of what only SQLite has override this fixture.
    """
    refused_sql.clear()
    yield
    if refused_sql:
        pytest.fail("\n".join(map(str, refused_sql)), pytrace=False)


RUNNING = pytest.StashKey[ExitStack]()
"""What stops the platform that runs."""


@pytest.fixture(scope="session")
def platform(stores: Stores, pytestconfig: pytest.Config) -> Iterator[Platform]:
    """One platform for the tests of a process that need a whole one; it must stop cleanly."""
    with ExitStack() as running:
        pytestconfig.stash[RUNNING] = running
        yield running.enter_context(own_platform(stores.environ(Path("platform"))))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop the platform after the last test that needs it: idle it costs the others time."""
    running = item.config.stash.get(RUNNING, None)
    if running and order.is_last_of_platform(item):
        running.close()


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
