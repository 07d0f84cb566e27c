"""Which processes run, and in which order."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from cli import fleet
from mesh.service import Blueprint, Parts, Service
from mesh.settings import Settings, SettingsError


def build(_parts: Parts) -> Service:
    return Service(servicers=())


SERVICES = {
    "identity": Blueprint(name="identity", build=build),
    "bus": Blueprint(name="bus", build=build, after=("identity",), single=True),
    "action": Blueprint(name="action", build=build, after=("identity", "bus")),
    "gateway": Blueprint(name="gateway", build=build, after=("identity",)),
}
TWO = Settings(
    replicas=2, database_url="mysql://engine@db", gateway_port=0, port_base=0, metrics_port=0
)


def test_every_service_runs_as_often_as_asked_but_for_those_that_may_run_once() -> None:
    """The first keeps the service's name; the others are numbered."""
    names = [program.name for program in fleet.programs(TWO, SERVICES)]
    assert names == [
        *("identity", "identity-2", "bus", "action", "action-2", "gateway", "gateway-2")
    ]


def test_a_process_comes_after_all_processes_of_what_it_needs() -> None:
    """The edge comes after everything."""
    after = {program.name: set(program.after) for program in fleet.programs(TWO, SERVICES)}
    assert after["action-2"] == {"identity", "identity-2", "bus"}
    assert after["gateway-2"] == after.keys() - {"gateway", "gateway-2"}


def test_a_registry_of_leases_comes_before_all_that_register_there() -> None:
    """The folder of the host needs nobody to run first."""
    services = {**SERVICES, "registry": Blueprint(name="registry", build=build, single=True)}
    here = replace(TWO, registry="127.0.0.1:50049")
    after = {program.name: set(program.after) for program in fleet.programs(here, services)}
    assert all("registry" in names for name, names in after.items() if name != "registry")
    assert after["registry"] == set()
    after = {program.name: set(program.after) for program in fleet.programs(TWO, services)}
    assert "registry" not in after["action"]


def test_a_host_that_is_not_named_runs_no_registry_of_leases() -> None:
    """Nobody would ask it."""
    services = {**SERVICES, "registry": Blueprint(name="registry", build=build, single=True)}
    elsewhere = replace(TWO, registry="10.0.0.1:50049")
    programs = fleet.programs(elsewhere, services)
    assert "registry" not in {
        name for program in programs for name in (program.name, *program.after)
    }


def test_gateways_share_one_port() -> None:
    """Where the system was to pick one, it is picked once for all of them."""
    assert fleet.with_own_ports(TWO).gateway_port != 0


def test_gateways_do_not_join_the_port_of_another_program() -> None:
    """A port that several may share gives no error when another program shares it already."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(
            replicas=2, database_url="mysql://engine@db", gateway_port=port, metrics_port=0
        )
        with pytest.raises(SettingsError, match=f"ENGINE_GATEWAY_PORT={port}"):
            fleet.with_own_ports(settings)
