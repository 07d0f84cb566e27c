"""`engine serve NAME --workers N`: several processes of one service under a supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from cli import compose, fleet, serve
from cli.output import fail
from cli.processes import handover
from cli.processes.foreground import supervise
from cli.processes.handover import Ports
from cli.processes.seat import is_seated
from cli.processes.slot import Program
from cli.supervisor import Supervisor
from mesh.app import replica_name
from mesh.service import Blueprint
from mesh.settings import Settings, SettingsError


def run(blueprint: Blueprint, settings: Settings, place: serve.Place, count: int) -> None:
    """Serve with `count` processes until SIGTERM or SIGINT, then drain them.

    They write to this process's own output, for whatever keeps that. Each prints its address
    when all of them serve.
    """
    refuse_too_many(blueprint, count)
    handed = handover.taken()
    settings = with_shared_port(blueprint, settings, handed.ports if handed else None)
    compose.import_for_services(settings)
    workers = programs(blueprint, settings, place, count)
    if not handover.is_rehearsal():
        supervise(workers, settings, None, _say_addresses, handed=handed)


def programs(
    blueprint: Blueprint, settings: Settings, place: serve.Place, count: int
) -> list[Program]:
    """The workers, numbered as the replicas of a platform are."""
    return [
        Program(
            replica_name(blueprint.name, number),
            partial(serve.run, blueprint, settings, place),
            service=blueprint.name,
            overlaps=not blueprint.single,
        )
        for number in range(1, count + 1)
    ]


def refuse_too_many(blueprint: Blueprint, count: int) -> None:
    """End the program when a service that may run once only is to run more often."""
    if blueprint.single and count > 1:
        fail(
            f"'{blueprint.name}' may run in one process only: "
            "it keeps in memory what its answers need",
            f"Start it with 'engine serve {blueprint.name} --workers 1'.",
            code=2,
        )


def with_shared_port(
    blueprint: Blueprint, settings: Settings, before: Ports | None = None
) -> Settings:
    """The settings with the gateways' port, unless it is taken by what is no gateway of ours."""
    if blueprint.name != fleet.EDGE:
        return settings
    if settings.gateway_port and is_seated(settings.run_dir, fleet.EDGE):
        return settings
    try:
        return fleet.with_own_gateway_port(settings, before)
    except SettingsError as error:
        fail(str(error), code=2)


def near(name: str, services: Mapping[str, Blueprint]) -> str:
    """What to do about the name of a service that does not exist."""
    from difflib import get_close_matches

    close = get_close_matches(name, services, n=1)
    meant = f"Did you mean '{close[0]}'? " if close else ""
    return f"{meant}Choose one of {', '.join(services)}."


def _say_addresses(supervisor: Supervisor) -> None:
    for entry in supervisor.entries.values():
        if entry is not None:
            print(entry.address, flush=True)
