"""Runs all checks side by side, each under a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Final

from asyncmy.errors import MySQLError

from cli import compose, fleet
from cli.checkup import (
    certificates,
    configuration,
    database,
    machine,
    processes,
    redis_server,
    schemas,
)
from cli.checkup.finding import Finding, fail
from mesh.redis import RedisRefused, RedisUnavailable
from mesh.settings import Settings, SettingsError

PROBE_S: Final = 30.0
"""How long a check may take."""

_ADVICE: Final = (
    "See that it runs, that its address and secret are right, and that no firewall is between."
)

Probe = Callable[[list[Finding]], Awaitable[None]]
"""A check; appends what it finds as it finds it."""


async def examine(settings: Settings, *, probe_s: float = PROBE_S) -> list[Finding]:
    """Everything that was found, in the order of the checks.

    A check that cannot go on, or takes longer than `probe_s`, ends in a failure that says so.
    """
    services = compose.blueprints(demo=settings.demo)
    count = sum(fleet.replicas(blueprint, settings) for blueprint in services.values())
    probes: dict[str, Probe] = {
        "machine": _in_thread(partial(machine.examine, settings)),
        "settings": _in_thread(partial(configuration.examine, settings)),
        "certificates": _in_thread(partial(certificates.examine, settings, services)),
        "processes": _in_thread(partial(processes.examine, settings, services)),
    }
    schema = _in_thread(partial(schemas.examine, settings, services))
    if settings.database_url:
        server = _collecting(partial(database.examine, settings, count))
        probes["database"] = _first(server, schema)
    else:
        probes["schema"] = schema
    if settings.redis_url:
        probes["redis"] = _collecting(partial(redis_server.examine, settings))
    found: dict[str, list[Finding]] = {name: [] for name in probes}
    async with asyncio.TaskGroup() as group:
        for name, probe in probes.items():
            group.create_task(_bounded(name, probe, found[name], probe_s))
    return [finding for findings in found.values() for finding in findings]


async def _bounded(name: str, probe: Probe, found: list[Finding], probe_s: float) -> None:
    try:
        async with asyncio.timeout(probe_s):
            await probe(found)
    except TimeoutError:
        found.append(fail(name, f"no answer within {probe_s:g} s", _ADVICE))
    except (OSError, SettingsError, MySQLError, RedisUnavailable, RedisRefused) as error:
        found.append(fail(name, str(error) or type(error).__name__, _ADVICE))


def _in_thread(look: Callable[[], Iterable[Finding]]) -> Probe:
    async def probe(found: list[Finding]) -> None:
        found += await asyncio.to_thread(lambda: list(look()))

    return probe


def _collecting(look: Callable[[], AsyncIterator[Finding]]) -> Probe:
    async def probe(found: list[Finding]) -> None:
        async for finding in look():
            found.append(finding)  # noqa: PERF401 - kept when the next one fails

    return probe


def _first(server: Probe, then: Probe) -> Probe:
    """The second check only when the first came to its end."""

    async def probe(found: list[Finding]) -> None:
        await server(found)
        await then(found)

    return probe
