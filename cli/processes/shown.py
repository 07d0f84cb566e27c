"""The state of the mesh on terminals, in pipes and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import typer

from cli.output import print_table
from cli.processes.census import HEALTHY, Census, Seen
from cli.processes.findings import Problem
from mesh.registry import Route

HEADERS: Final = (
    *("Service", "Instance", "State", "Version", "Contracts", "Address", "Pid"),
    *("Since", "Health", "Load"),
)
_NOT_THERE: Final = ("waiting", "crash loop", "starting")
_STYLES: Final = MappingProxyType(
    {
        "SERVING": "green",
        "DRAINING": "yellow",
        "STARTING": "yellow",
        "NOT_SERVING": "red",
        "starting": "yellow",
        "waiting": "red",
        "crash loop": "bold red",
    }
)


def print_census(census: Census, problems: Sequence[Problem]) -> None:
    """Tables of processes and routes on standard output, problems on standard error."""
    print_table(HEADERS, _rows(census), styles=_styles(census))
    if census.routes:
        print()
        rows = [row for route in census.routes for row in route_rows(route)]
        print_table(("Service", "Calls", "Version"), rows)
    for problem in problems:
        typer.secho(problem.what, fg=typer.colors.RED, err=True)
        typer.secho(f"  → {problem.next_step}", err=True)


def as_json(census: Census, problems: Sequence[Problem]) -> str:
    """The same as one JSON object."""
    shown = {
        "processes": [_fields(seen) for seen in census.seen],
        "not_serving": [dict(slot) for slot in census.slots if slot["state"] in _NOT_THERE],
        "routes": [_route(route) for route in census.routes],
        "problems": [{"what": p.what, "next_step": p.next_step} for p in problems],
    }
    return json.dumps(shown, indent=2)


def route_rows(route: Route) -> Iterator[tuple[str, str, str]]:
    """A route as rows: service, which of its calls, to which version."""
    for rule in route.rules:
        yield route.service, f"{rule.header}={rule.value}", rule.version
    total = sum(split.weight for split in route.splits)
    for split in route.splits:
        yield route.service, f"{100 * split.weight / total:g} %", split.version


def _rows(census: Census) -> Iterator[tuple[str, ...]]:
    for seen in census.seen:
        entry = seen.entry
        yield (
            *(entry.service, entry.instance, entry.state.value, entry.version),
            *(entry.digest[:8], entry.address, str(entry.pid)),
            *(_time(seen.since), seen.health, f"{entry.load:.0%}"),
        )
    for slot in census.slots:
        if slot["state"] in _NOT_THERE:
            pid = str(slot["pid"] or "")
            yield slot["service"], "", slot["state"], "", "", "", pid, "", "", ""


def _styles(census: Census) -> Mapping[str, str]:
    deaf = {seen.health: "red" for seen in census.seen if seen.health != HEALTHY}
    return {**_STYLES, **deaf}


def _fields(seen: Seen) -> dict[str, Any]:
    entry = seen.entry
    return {
        "service": entry.service,
        "instance": entry.instance,
        "state": entry.state.value,
        "version": entry.version,
        "digest": entry.digest,
        "address": entry.address,
        "socket": entry.socket,
        "http": entry.http,
        "host": entry.host_id,
        "pid": entry.pid,
        "since": seen.since.isoformat(timespec="seconds") if seen.since else None,
        "health": seen.health,
        "load": entry.load,
    }


def _route(route: Route) -> dict[str, Any]:
    return {
        "service": route.service,
        "rules": [
            {"header": rule.header, "value": rule.value, "version": rule.version}
            for rule in route.rules
        ],
        "splits": [{"version": split.version, "weight": split.weight} for split in route.splits],
    }


def _time(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
