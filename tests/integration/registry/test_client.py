"""Services with a registry of leases, whatever happens to it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import grpc
import pytest

from engine.mesh.v1 import registry_pb2 as pb
from engine.mesh.v1.registry_pb2_grpc import RegistryServiceStub
from mesh.errors import ErrorView, MeshError
from mesh.registry import DirectoryRegistry, Route, Split, State
from mesh.registry.client import Patience
from mesh.registry.errors import RegistryReason
from mesh.testing import Link, Mesh
from tests.integration.registry.running import LEASE_S, RunningRegistry, until
from tests.unit.mesh.registry.entries import entry

CANARY = Route(service="customer", splits=(Split(version="2", weight=5),))


async def test_what_one_service_registers_another_one_finds(registry: RunningRegistry) -> None:
    """Until it is withdrawn; the last one to leave is noticed."""
    async with registry.client("customer") as customer, registry.client("action") as action:
        await customer.register(entry())
        await until(lambda: action.lookup("customer") == (entry(),))
        assert action.services() == {"customer": (entry(),)}
        await customer.withdraw(entry())
        await until(lambda: action.lookup("customer") == ())
        assert action.services() == {}


async def test_the_same_look_up_answers_the_same_object(registry: RunningRegistry) -> None:
    """A channel compares it at every call."""
    async with registry.client("customer") as customer:
        await customer.register(entry())
        await until(lambda: customer.lookup("customer") != ())
        assert customer.lookup("customer") is customer.lookup("customer")


async def test_one_that_drains_is_listed_and_not_looked_up(registry: RunningRegistry) -> None:
    """It answers what it has, and takes no more."""
    async with registry.client("customer") as customer, registry.client("action") as action:
        await customer.register(entry())
        await until(lambda: action.lookup("customer") != ())
        drained = replace(entry(), state=State.DRAINING)
        await customer.register(drained)
        await until(lambda: action.lookup("customer") == ())
        assert action.services() == {"customer": (drained,)}


async def test_a_load_is_known_soon_after(registry: RunningRegistry) -> None:
    """It travels with the renewal and needs no call of its own."""
    async with registry.client("customer") as customer, registry.client("action") as action:
        await customer.register(entry())
        await customer.register(entry(load=0.7))
        await until(lambda: action.lookup("customer") == (entry(load=0.7),))


async def test_one_that_is_alive_outlasts_its_lease(registry: RunningRegistry) -> None:
    """It renews by itself; one whose process has died leaves by itself."""
    async with registry.client("action") as action:
        await action.register(entry("action"))
        async with registry.client("customer") as customer:
            await customer.register(entry())
            await until(lambda: action.lookup("customer") != ())
            over = time.monotonic() + 1.5 * LEASE_S

            def is_over() -> bool:
                assert action.lookup("customer") == (entry(),)
                return time.monotonic() > over

            await until(is_over)
        await until(lambda: action.lookup("customer") == ())


async def test_a_route_reaches_everybody(registry: RunningRegistry) -> None:
    """Only who holds the right sets one."""
    async with registry.client("operator") as operator, registry.client("action") as action:
        await operator.set_route(CANARY)
        assert operator.route("customer") == CANARY
        await until(lambda: action.route("customer") == CANARY)
        await operator.set_route(Route(service="customer"))
        await until(lambda: action.route("customer") == Route(service="customer"))


async def test_nobody_registers_for_another_service(registry: RunningRegistry) -> None:
    """Calls would go wherever he likes."""
    async with registry.client("action") as action:
        with pytest.raises(MeshError) as error:
            await action.register(entry("customer"))
        assert error.value.reason is RegistryReason.ENTRY_OF_ANOTHER
        assert action.lookup("customer") == ()


async def test_nobody_renews_drains_or_withdraws_for_another_service(
    registry: RunningRegistry,
) -> None:
    """Not even with its lease."""
    key = pb.InstanceKey(service="customer", instance="a")
    lease: dict[str, Any] = {"key": key, "lease_id": "0" * 32}
    async with registry.opener("action")(registry.address) as channel:
        stub = RegistryServiceStub(channel)
        for call in (
            stub.Renew(pb.RenewRequest(**lease)),
            stub.Drain(pb.DrainRequest(**lease)),
            stub.Withdraw(pb.WithdrawRequest(**lease)),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="another service") as error:
                await call
            assert ErrorView.from_rpc(error.value).reason == "ENTRY_OF_ANOTHER"


async def test_a_lease_that_ran_out_is_answered_with_what_to_do(registry: RunningRegistry) -> None:
    """The code is NOT_FOUND, and the text says: register again."""
    key = pb.InstanceKey(service="action", instance="a")
    async with registry.opener("action")(registry.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="register again") as error:
            await RegistryServiceStub(channel).Renew(pb.RenewRequest(key=key, lease_id="0" * 32))
        assert ErrorView.from_rpc(error.value).reason == "LEASE_UNKNOWN"


async def test_a_registry_that_is_gone_takes_nothing_away(registry: RunningRegistry) -> None:
    """Calls go on by the last table, as long as it takes."""
    async with registry.client("customer") as customer, registry.client("action") as action:
        await customer.register(entry())
        await until(lambda: action.lookup("customer") != ())
        await registry.stop()
        await until(lambda: not action.is_connected)
        assert action.lookup("customer") == (entry(),)
        with pytest.raises(MeshError, match="No registry answers"):
            await action.set_route(CANARY)


async def test_after_an_outage_services_register_again_by_themselves(
    registry: RunningRegistry,
) -> None:
    """With a registry that has forgotten all; meanwhile nobody's table loses anything."""
    async with registry.client("customer") as customer, registry.client("action") as action:
        await customer.register(entry())
        await until(lambda: action.lookup("customer") != ())
        await registry.stop()
        await until(lambda: not action.is_connected and not customer.is_connected)
        await registry.start()

        def both_are_back() -> bool:
            assert action.lookup("customer") == (entry(),)
            return customer.sessions > 1 and action.sessions > 1

        await until(both_are_back)
        async with registry.client("action") as newcomer:
            await until(lambda: newcomer.lookup("customer") == (entry(),))
        assert action.lookup("customer") == (entry(),)


async def test_those_who_do_not_come_back_after_an_outage_are_gone_in_the_end(
    registry: RunningRegistry,
) -> None:
    """Once the registry has waited for all for the length of a lease."""
    async with registry.client("action") as action:
        async with registry.client("customer") as customer:
            await customer.register(entry())
            await until(lambda: action.lookup("customer") != ())
            await registry.stop()
            await until(lambda: not customer.is_connected)
        await registry.start()
        await until(lambda: action.is_connected)
        assert action.lookup("customer") == (entry(),)
        await until(lambda: action.lookup("customer") == ())


async def test_a_stream_that_is_half_open_is_noticed(registry: RunningRegistry) -> None:
    """Nobody says that the connection is dead: it is silent. Another way is taken."""
    patience = Patience(keepalive_s=0.05, silent_s=0.5, start_s=5.0)
    async with Link(registry.address) as one, Link(registry.address) as other:
        addresses = one.address, other.address
        async with (
            registry.client("customer") as customer,
            registry.client("action", *addresses, patience=patience) as action,
        ):
            await until(lambda: action.sessions == 1)
            one.half_open()
            await customer.register(entry())
            await until(lambda: action.sessions == 2)
            await until(lambda: action.lookup("customer") == (entry(),))
            assert other.accepted > 0


async def test_a_stream_on_which_nothing_happens_stays(registry: RunningRegistry) -> None:
    """The registry says now and then that it is there."""
    patience = Patience(keepalive_s=0.05, silent_s=0.5, start_s=5.0)
    async with (
        Link(registry.address) as link,
        registry.client("action", link.address, patience=patience) as action,
    ):
        heard = sum(link.passed.values())
        enough = heard + 800  # it takes three times as long as silence is borne
        await until(lambda: sum(link.passed.values()) > enough)
        assert action.sessions == 1


async def test_the_next_registry_is_tried_when_one_does_not_answer(
    registry: RunningRegistry,
) -> None:
    """The list is gone through again and again."""
    async with Link(registry.address) as dead:
        dead.cut()
        async with registry.client("action", dead.address, registry.address) as action:
            assert action.is_connected


async def test_without_a_registry_a_service_starts_by_the_folder_of_its_host(
    mesh: Mesh, registry: RunningRegistry
) -> None:
    """And registers as soon as there is one."""
    folder = DirectoryRegistry(mesh.settings.run_dir)
    patience = Patience(keepalive_s=0.1, silent_s=2.0, start_s=0.05)
    await registry.stop()
    async with registry.client("customer", folder=folder, patience=patience) as customer:
        living = entry(pid=os.getpid())
        await customer.register(living)
        assert customer.lookup("customer") == (living,)
        await registry.start()
        async with registry.client("action") as action:
            await until(lambda: action.lookup("customer") == (living,))
        await customer.withdraw(living)
        assert folder.lookup("customer") == ()
