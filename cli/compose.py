"""Which services there are, and what each may do to the others.

Centres are found by name: a package `centers.NAME` with an `app` module is a
service. There is no list of them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from graphlib import TopologicalSorter
from importlib import import_module

from cli.names import LOADER, OPERATOR
from mesh.service import RIGHTS_OF_ALL, Blueprint

PLATFORM = ("observability.ums.app", "mesh.bus.app", "sequencer.app", "gateway.app")
_LOCAL_RIGHTS = {
    OPERATOR: frozenset(
        {
            "sequencer.read",
            "sequencer.create",
            "sequencer.lease",
            "ums.read",
            "bus.read",
            "bus.replay",
        }
    ),
    LOADER: frozenset({"ark.import", "customer.import"}),
}
"""Callers that are command lines on this machine, proven by keys that only its owner can read."""


def blueprints() -> dict[str, Blueprint]:
    """All services by name, each after those that it needs."""
    import centers

    centre_apps = [
        f"centers.{module.name}.app" for module in pkgutil.iter_modules(centers.__path__)
    ]
    import_module("observability.pipeline")  # before any fork, so that children share it
    found: dict[str, Blueprint] = {}
    for name in (*PLATFORM, *centre_apps):
        blueprint: Blueprint = import_module(name).BLUEPRINT
        found[blueprint.name] = blueprint
    order = TopologicalSorter({b.name: b.after for b in found.values()}).static_order()
    return {name: found[name] for name in order}


def rights(services: Mapping[str, Blueprint]) -> dict[str, frozenset[str]]:
    """The rights of every calling service, for the trust file."""
    return {name: b.rights | RIGHTS_OF_ALL for name, b in services.items()} | _LOCAL_RIGHTS
