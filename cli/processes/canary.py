"""`engine mesh canary`: a share of a service's calls for another version of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cli.output import fail, print_table
from cli.processes.shown import route_rows
from cli.serve import open_registry
from mesh.registry import Entry, HeaderRule, Registry, Route, Split, State
from mesh.settings import Settings

WHOLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a canary is to get.

    Args:
        version: its version.
        weight: percent of the calls.
        headers: calls that go to it whatever the weight says, each as "name=value".
        beside: the version that the other calls go to; empty: the one that serves.
    """

    version: str
    weight: int = 0
    headers: tuple[str, ...] = ()
    beside: str = ""


async def show(settings: Settings, service: str) -> None:
    """Print the route of a service."""
    async with open_registry(settings) as registry:
        _known(registry, service)
        _print(registry.route(service))


async def off(settings: Settings, service: str) -> None:
    """End the route of a service: all its processes get its calls."""
    async with open_registry(settings) as registry:
        await registry.set_route(Route(service=service))
    print(f"All processes of '{service}' get its calls alike.")


async def on(settings: Settings, service: str, wish: Wish) -> None:
    """Route the calls of a service as it is wished, and say what is missing for it."""
    async with open_registry(settings) as registry:
        entries = _known(registry, service)
        route = route_of(service, wish, entries)
        await registry.set_route(route)
    _print(route)
    if wish.version not in {entry.version for entry in entries}:
        print(f"No process of version {wish.version} serves yet. Start one:")
        print(f"  engine serve {service} --workers 1 --version-label {wish.version}")


def route_of(service: str, wish: Wish, entries: Sequence[Entry]) -> Route:
    """The route that a wish means, with what runs; ends the program when it means none.

    Calls that the canary does not get go to the version that serves beside it, and never to
    the canary: a route with a rule alone would leave it among all others.
    """
    rules = tuple(_rule(text, wish.version) for text in wish.headers)
    beside = wish.beside or _beside(service, wish.version, entries)
    splits = [Split(version=wish.version, weight=wish.weight)] if wish.weight else []
    if wish.weight < WHOLE:
        splits.append(Split(version=beside, weight=WHOLE - wish.weight))
    return Route(service=service, rules=rules, splits=tuple(splits))


def _rule(text: str, version: str) -> HeaderRule:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        fail(f"--header {text!r} is no header", "Write it as name=value: x-canary=1.", code=2)
    return HeaderRule(header=name.lower(), value=value, version=version)


def _beside(service: str, version: str, entries: Sequence[Entry]) -> str:
    """The one version that serves beside the canary."""
    others = sorted(
        {e.version for e in entries if e.version != version and e.state is State.SERVING}
    )
    if not others:
        fail(
            f"every process of '{service}' is of version {version}: there is nothing beside it",
            "Give the canary a label of its own: 'engine serve "
            f"{service} --workers 1 --version-label NEW', and route to that.",
            code=2,
        )
    if len(others) > 1:
        fail(
            f"'{service}' serves in the versions {', '.join(others)} beside {version}",
            "Say which of them gets the other calls: --beside VERSION.",
            code=2,
        )
    return others[0]


def _known(registry: Registry, service: str) -> Sequence[Entry]:
    """The entries of a service that runs; else ends the program."""
    table = registry.services()
    if not table:
        fail("nothing serves here", "Start the platform with 'make run', or set ENGINE_VAR.")
    if service not in table:
        close = get_close_matches(service, table, n=1)
        meant = f"Did you mean '{close[0]}'? " if close else ""
        fail(f"no '{service}' serves", f"{meant}What runs: {', '.join(sorted(table))}.", code=2)
    return table[service]


def _print(route: Route) -> None:
    if route.rules or route.splits:
        print_table(("Service", "Calls", "Version"), route_rows(route))
    else:
        print(f"All processes of '{route.service}' get its calls alike.")
