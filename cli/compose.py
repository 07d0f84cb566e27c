"""Which services there are, and what each may do to the others.

Centres are found by name: a package `centers.NAME` with an `app` module is a
service, and in the demo so is a package `simulators.NAME`. There is no list of them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from graphlib import TopologicalSorter
from importlib import import_module
from types import ModuleType

from cli.names import LOADER, OPERATOR
from mesh.service import RIGHTS_OF_ALL, Blueprint
from mesh.settings import Settings

PLATFORM = (
    "observability.ums.app",
    "mesh.bus.app",
    "sequencer.app",
    "gateway.app",
    "mesh.registry.app",
)
_LOCAL_RIGHTS = {
    OPERATOR: frozenset(
        {
            "sequencer.read",
            "sequencer.create",
            "sequencer.lease",
            "sequencer.operate",
            "sequencer.reserve",
            "sequencer.void",
            "ums.read",
            "bus.read",
            "bus.replay",
            "lane.read",
            "lane.tap",
            "registry.route",
            "registry.watch",
            "simulator.plan",
        }
    ),
    LOADER: frozenset({"ark.import", "customer.import", "wecom.bind", "simulator.plan"}),
}
"""Callers that are command lines on this machine, proven by keys that only its owner can read."""


def blueprints(*, demo: bool) -> dict[str, Blueprint]:
    """All services by name, each after those that it needs; in the demo outside parties too."""
    import centers

    apps = [*PLATFORM, *_apps(centers)]
    if demo:
        import simulators

        apps += _apps(simulators)
    import_module("observability.pipeline")  # before any fork, so that children share it
    found: dict[str, Blueprint] = {}
    for name in apps:
        blueprint: Blueprint = import_module(name).BLUEPRINT
        found[blueprint.name] = blueprint
    order = TopologicalSorter({b.name: b.after for b in found.values()}).static_order()
    return {name: found[name] for name in order}


def import_for_services(settings: Settings) -> None:
    """Load what each service would load by itself, so that processes forked later share it."""
    for name in ("alembic.script", "alembic.migration", "alembic.operations"):
        import_module(name)
    if settings.database_url:
        import_module("asyncmy")
    if settings.redis_url:
        import_module("mesh.redis.bus")
    if settings.registry:
        import_module("mesh.registry.client")


def _apps(folder: ModuleType) -> list[str]:
    """The `app` module of each package within a package."""
    inner = pkgutil.iter_modules(folder.__path__, f"{folder.__name__}.")
    return [f"{module.name}.app" for module in inner if module.ispkg]


def rights(services: Mapping[str, Blueprint]) -> dict[str, frozenset[str]]:
    """The rights of every calling service, for the trust file."""
    return {name: b.rights | RIGHTS_OF_ALL for name, b in services.items()} | _LOCAL_RIGHTS
