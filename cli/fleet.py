"""Which processes `engine up` runs, on which ports, and what each comes after."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from cli import serve
from cli.supervisor import Program
from mesh.app import replica_name
from mesh.service import Blueprint
from mesh.settings import Settings, SettingsError

EDGE = "gateway"


def programs(settings: Settings, services: Mapping[str, Blueprint]) -> list[Program]:
    """The processes: `ENGINE_REPLICAS` of each service, one of what may run only once."""
    return [
        Program(
            replica_name(name, place.replica),
            partial(serve.run, services[name], settings, place),
            tuple(_names_after(services[name], settings, services)),
        )
        for name, place in _places(settings, services)
    ]


def with_own_ports(settings: Settings) -> Settings:
    """The settings with a free port for the metrics, and one gateway port for all gateways.

    A port of services or metrics that is taken is replaced by a free one; the
    gateway's is not, for users know it.

    Raises:
        SettingsError: the host is not this machine's, or the gateways' port is taken.
    """
    if not is_free(settings.host, 0):
        raise SettingsError(f"ENGINE_HOST={settings.host} is not an address of this machine")
    if not is_free(settings.host, settings.metrics_port):
        settings = replace(settings, metrics_port=0)
    if settings.replicas == 1:
        return settings
    # Gateways that share a port would join another program's without an error.
    port = _bound(settings.host, settings.gateway_port)
    if port is None:
        raise SettingsError(
            f"ENGINE_GATEWAY_PORT={settings.gateway_port}: cannot listen on "
            f"{settings.host}:{settings.gateway_port}, it is in use"
        )
    return replace(settings, gateway_port=port)


def replicas(blueprint: Blueprint, settings: Settings) -> int:
    """How many processes of a service run."""
    return 1 if blueprint.single else settings.replicas


def is_free(host: str, port: int) -> bool:
    """Whether something can listen there now; port 0 always can."""
    return _bound(host, port) is not None


def _places(
    settings: Settings, services: Mapping[str, Blueprint]
) -> Iterator[tuple[str, serve.Place]]:
    """Every process in the order of the services; a port that is taken becomes a free one."""
    processes = [
        (name, number)
        for name, blueprint in services.items()
        for number in range(1, replicas(blueprint, settings) + 1)
    ]
    for offset, (name, number) in enumerate(processes):
        port = settings.port_base + offset if settings.port_base else 0
        free = is_free(settings.host, port)
        yield name, serve.Place(port=port if free else 0, replica=number)


def _names_after(
    blueprint: Blueprint, settings: Settings, services: Mapping[str, Blueprint]
) -> Iterator[str]:
    """Every process that must serve before a service starts, and until it has stopped.

    The edge comes last and goes first: while it answers, what it calls is there.
    """
    is_edge = blueprint.name == EDGE
    for name in services.keys() - {EDGE} if is_edge else blueprint.after:
        if name in services:
            for number in range(1, replicas(services[name], settings) + 1):
                yield replica_name(name, number)


def _bound(host: str, port: int) -> int | None:
    """The port that can be bound there now; None when none can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        found: int = probe.getsockname()[1]
        return found
