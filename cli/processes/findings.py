"""What is wrong with the mesh, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.processes.census import HEALTHY, Census, Seen
from mesh.registry import Entry, Route, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that does not serve as it should, and the next step."""

    what: str
    next_step: str


def problems(census: Census) -> Iterator[Problem]:
    """Everything that does not serve; nothing when all is well."""
    for supervisor in census.supervisors:
        if supervisor.problem:
            yield Problem(
                what=f"the supervisor (pid {supervisor.pid}) does not answer: {supervisor.problem}",
                next_step=f"Look at it with 'ps {supervisor.pid}'; while it is stopped nothing "
                "that dies is started again.",
            )
    for slot in census.slots:
        yield from _of_slot(slot)
    held = {slot["pid"] for slot in census.slots}
    for seen in census.seen:
        yield from _of_process(seen, is_held=seen.entry.pid in held)
    yield from _of_services(census)
    for route in census.routes:
        yield from _of_route(route, [seen.entry for seen in census.seen])


def _of_slot(slot: Mapping[str, Any]) -> Iterator[Problem]:
    name = slot["name"]
    if slot["state"] in ("waiting", "crash loop"):
        yield Problem(
            what=f"{name} does not serve: it ended {_how(slot['last_code'])}, "
            f"{slot['in_a_row']} times in a row, and starts again in {slot['next_s']:g} s",
            next_step=f"Its log says why: {name}.log in the folder 'log', or what the "
            "supervisor printed.",
        )
    elif slot["state"] == "starting":
        yield Problem(
            what=f"{name} has started (pid {slot['pid']}) and does not serve yet",
            next_step="Look again in a few seconds: 'engine mesh status --watch'.",
        )


def _how(code: int | None) -> str:
    if code is None:
        return "for an unknown reason"
    return f"by signal {-code}" if code < 0 else f"with code {code}"


def _of_process(seen: Seen, *, is_held: bool) -> Iterator[Problem]:
    entry = seen.entry
    if entry.state is not State.SERVING or seen.health == HEALTHY:
        return
    again = (
        "its supervisor starts it again"
        if is_held
        else "nobody starts it again: no supervisor of this host holds it"
    )
    yield Problem(
        what=f"{entry.service} (pid {entry.pid}) is registered as serving, and its health "
        f"check says: {seen.health}",
        next_step=f"End it with 'kill {entry.pid}' ({again}).",
    )


def _of_services(census: Census) -> Iterator[Problem]:
    """Services that no instance takes calls for."""
    entries = [seen.entry for seen in census.seen]
    called = {entry.service for entry in entries if entry.state is State.SERVING}
    for service in sorted({entry.service for entry in entries} - called):
        yield Problem(
            what=f"{service} takes no calls: all its processes are draining or starting",
            next_step=f"Look again; if it stays so: 'engine serve {service} --workers 1'.",
        )


def _of_route(route: Route, entries: Sequence[Entry]) -> Iterator[Problem]:
    there = {
        entry.version
        for entry in entries
        if entry.service == route.service and entry.state is State.SERVING
    }
    asked = {rule.version for rule in route.rules}
    asked |= {split.version for split in route.splits if split.weight}
    for version in sorted(asked - there):
        yield Problem(
            what=f"{route.service}: calls are routed to version {version}, and no process of "
            "it serves; the others take them",
            next_step=f"Start one: 'engine serve {route.service} --workers 1 --version-label "
            f"{version}'; or end the route: 'engine mesh canary {route.service} --off'.",
        )
