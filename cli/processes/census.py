"""Who is where and how: the registry's entries, what each process answers, what supervisors say."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.names import OPERATOR
from cli.processes.client import Supervised, supervisors
from cli.serve import open_registry
from mesh.app import host_id
from mesh.plain import PlainChannel
from mesh.registry import Entry, Route
from mesh.settings import Settings
from mesh.tls import Certificate, Credentials

HEALTH_S: Final = 2.0
"""How long a process may take to say how it is."""
AT_ONCE: Final = 64
"""Processes that are asked side by side."""
HEALTHY: Final = "SERVING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An instance, with its answer to the health check and when its process began.

    `health` is SERVING, NOT_SERVING, or why there was no answer. `since` is None where the
    process is on another host.
    """

    entry: Entry
    health: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """The mesh at one moment, as one host sees it."""

    seen: Sequence[Seen]
    routes: Sequence[Route]
    supervisors: Sequence[Supervised]

    @property
    def slots(self) -> Iterable[Mapping[str, Any]]:
        """What all supervisors say of their slots."""
        return (slot for supervisor in self.supervisors for slot in supervisor.slots)


async def take(settings: Settings) -> Census:
    """Ask everybody: the registry, every instance, the supervisors of this host."""
    async with open_registry(settings) as registry:
        table = registry.services()
        routes = [registry.route(service) for service in sorted(table)]
    entries = [entry for service in sorted(table) for entry in table[service]]
    certificate = Certificate.of(settings, OPERATOR)
    asking = _Asking(None if certificate is None else Credentials(certificate))
    asked = asyncio.gather(*map(asking.seen, entries))
    found = await asyncio.to_thread(supervisors, settings.run_dir)
    return Census(
        seen=await asked,
        routes=[route for route in routes if route.rules or route.splits],
        supervisors=found,
    )


class _Asking:
    """Asks processes for their health; `tls` is what is shown to those on other hosts."""

    def __init__(self, tls: Credentials | None) -> None:
        self._tls = tls
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def seen(self, entry: Entry) -> Seen:
        """Ask one, when it is its turn."""
        async with self._turns:
            return Seen(entry=entry, health=await self._health(entry), since=_since(entry))

    async def _health(self, entry: Entry) -> str:
        """What it answers to the standard health check."""
        way = PlainChannel(entry.endpoint(host_id()).address, (), self._tls)
        try:
            answer = await health_pb2_grpc.HealthStub(way.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=HEALTH_S
            )
        except grpc.aio.AioRpcError as error:
            return f"no answer ({error.code().name})"
        finally:
            await way.close(None)
        name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        return name


def _since(entry: Entry) -> datetime | None:
    """When its process began; None when that cannot be seen from here."""
    if entry.host_id != host_id():
        return None
    try:
        fields = Path(f"/proc/{entry.pid}/stat").read_bytes().rpartition(b")")[2].split()
        up_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return None
    age_s = up_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() - age_s, UTC)
