"""Several registries with one table in Redis: one may be gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loadtests.servers import Redis
from mesh.registry import Route, Split
from mesh.testing import Mesh
from tests.integration.registry.running import RunningRegistry, until
from tests.unit.mesh.registry.entries import entry

pytestmark = pytest.mark.real

CANARY = Route(service="customer", splits=(Split(version="2", weight=5),))
Pair = tuple[RunningRegistry, RunningRegistry]


@pytest.fixture
def server(var: Path) -> Iterator[Redis]:
    """One that a test may break."""
    with Redis(var / "redis") as server:
        yield server


@pytest.fixture
async def pair(mesh: Mesh, server: Redis) -> AsyncIterator[Pair]:
    """Two registries, as on two hosts."""
    async with AsyncExitStack() as stack:
        found = []
        for number in (1, 2):
            registry = RunningRegistry(mesh, redis_url=server.url, replica=number)
            await registry.start()
            stack.push_async_callback(registry.stop)
            found.append(registry)
        yield found[0], found[1]


async def test_what_one_registry_is_told_the_other_one_knows(pair: Pair) -> None:
    """Instances and routes."""
    one, other = pair
    async with (
        one.client("customer") as customer,
        one.client("operator") as operator,
        other.client("action") as action,
    ):
        await customer.register(entry())
        await operator.set_route(CANARY)
        await until(lambda: action.lookup("customer") == (entry(),))
        await until(lambda: action.route("customer") == CANARY)
        await customer.withdraw(entry())
        await until(lambda: action.lookup("customer") == ())


async def test_when_one_is_gone_its_clients_go_on_with_the_other(pair: Pair) -> None:
    """Their leases last, and nobody loses sight of them."""
    one, other = pair
    both = one.address, other.address
    async with (
        one.client("customer", *both) as customer,
        other.client("action") as action,
    ):
        await customer.register(entry())
        await until(lambda: action.lookup("customer") == (entry(),))
        await one.stop()
        await until(lambda: customer.sessions == 2)

        def is_known() -> bool:
            assert action.lookup("customer") == (entry(),)
            return customer.is_connected

        await until(is_known)
        await customer.register(entry(version="2"))
        await until(lambda: action.lookup("customer") == (entry(version="2"),))


@pytest.mark.parametrize("fault", ["kill", "pause", "wipe"])
async def test_a_redis_that_is_gone_or_wiped_takes_nobody_out(
    pair: Pair, server: Redis, fault: str
) -> None:
    """What is registered meanwhile is known once it is back."""
    one, other = pair
    async with one.client("customer") as customer, other.client("action") as action:
        await customer.register(entry())
        await until(lambda: action.lookup("customer") == (entry(),))
        if fault == "wipe":
            server.command("flushall")
        else:
            getattr(server, fault)()
        await customer.register(entry(instance="b"))
        assert entry() in action.lookup("customer")
        if fault != "wipe":
            server.start() if fault == "kill" else server.resume()

        def are_known() -> bool:
            assert entry() in action.lookup("customer")
            return entry(instance="b") in action.lookup("customer")

        await until(are_known)
