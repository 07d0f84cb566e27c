"""Which processes `engine up` runs, on which ports, and what each comes after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from cli import serve
from cli.processes.handover import Ports
from cli.supervisor import Program
from mesh.app import replica_name
from mesh.registry.addresses import NAME as REGISTRY
from mesh.registry.addresses import own_port
from mesh.service import Blueprint
from mesh.settings import Settings, SettingsError

EDGE = "gateway"


def programs(settings: Settings, services: Mapping[str, Blueprint]) -> list[Program]:
    """The processes: `ENGINE_REPLICAS` of each service, one of what may run only once."""
    if settings.registries and own_port(settings) is None:  # the registry is on other hosts
        services = {name: services[name] for name in services if name != REGISTRY}
    return [
        Program(
            replica_name(name, number),
            partial(serve.run, services[name], settings, place),
            tuple(_names_after(services[name], settings, services)),
            service=name,
            overlaps=not services[name].single,
        )
        for name, number, place in _places(settings, services)
    ]


def with_own_ports(settings: Settings, before: Ports | None = None) -> Settings:
    """The settings with a free port for the metrics, and one gateway port for all gateways.

    A port of services or metrics that is taken is replaced by a free one; the
    gateway's is not, for users know it. What was picked `before`, and is in use by processes
    that go on, is kept unless the settings name another one now.

    Raises:
        SettingsError: the host is not this machine's, or the gateways' port is taken.
    """
    if not serve.is_free(settings.host, 0):
        raise SettingsError(f"ENGINE_HOST={settings.host} is not an address of this machine")
    metrics = settings.metrics_port and serve.bound(settings.host, settings.metrics_port)
    metrics = metrics or (before.metrics if before else serve.bound(settings.host, 0)) or 0
    return with_own_gateway_port(replace(settings, metrics_port=metrics), before)


def with_own_gateway_port(settings: Settings, before: Ports | None = None) -> Settings:
    """The settings with the port of all gateways, picked now where the system is to pick it.

    Raises:
        SettingsError: it is taken.
    """
    if before and settings.gateway_port in (0, before.gateway):
        return replace(settings, gateway_port=before.gateway)
    # Gateways share their port, and would join another program's without an error.
    port = serve.bound(settings.host, settings.gateway_port)
    if port is None:
        raise SettingsError(
            f"ENGINE_GATEWAY_PORT={settings.gateway_port}: cannot listen on "
            f"{settings.host}:{settings.gateway_port}, it is in use"
        )
    return replace(settings, gateway_port=port)


def replicas(blueprint: Blueprint, settings: Settings) -> int:
    """How many processes of a service run."""
    return 1 if blueprint.single else settings.replicas


def _places(
    settings: Settings, services: Mapping[str, Blueprint]
) -> Iterator[tuple[str, int, serve.Place]]:
    """Every process in the order of the services, with its number and its ports.

    It has two, a block apart, so that what replaces it finds a known one free.
    """
    processes = [
        (name, number)
        for name, blueprint in services.items()
        for number in range(1, replicas(blueprint, settings) + 1)
    ]
    for offset, (name, number) in enumerate(processes):
        first = settings.port_base + offset
        ports = (first, first + len(processes)) if settings.port_base else ()
        yield name, number, serve.Place(ports=ports)


def _names_after(
    blueprint: Blueprint, settings: Settings, services: Mapping[str, Blueprint]
) -> Iterator[str]:
    """Every process that must serve before a service starts, and until it has stopped.

    The edge comes last and goes first: while it answers, what it calls is there. A registry of
    leases comes before all that register there.
    """
    is_edge, leads = blueprint.name == EDGE, settings.registries and blueprint.name != REGISTRY
    after = (*blueprint.after, REGISTRY) if leads else blueprint.after
    for name in services.keys() - {EDGE} if is_edge else after:
        if name in services:
            for number in range(1, replicas(services[name], settings) + 1):
                yield replica_name(name, number)
