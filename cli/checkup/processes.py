"""Compares what runs with what should."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Final

from cli import fleet
from cli.checkup.finding import Finding, fail, ok, warn
from mesh.app import host_id
from mesh.registry import DirectoryRegistry, Entry
from mesh.service import Blueprint
from mesh.settings import Settings

CONNECT_S: Final = 2.0


def examine(settings: Settings, services: Mapping[str, Blueprint]) -> Iterator[Finding]:
    """Look at the registry, and whether each process of this host answers at its socket."""
    running = DirectoryRegistry(settings.run_dir).services()
    if not running:
        yield ok("processes", f"nothing runs on {settings.var}")
        return
    wanted = {name: fleet.replicas(blueprint, settings) for name, blueprint in services.items()}
    fewer = [
        f"{name} {len(running.get(name, ()))} of {count}"
        for name, count in wanted.items()
        if len(running.get(name, ())) < count
    ]
    entries = [entry for group in running.values() for entry in group]
    deaf = [entry for entry in entries if entry.host_id == host_id() and not _answers(entry)]
    for entry in deaf:
        found = f"process {entry.pid} is registered and does not answer at {entry.socket}"
        advice = f"End it (kill {entry.pid}): the supervisor starts it again. Its log says more."
        yield fail(f"process of {entry.service}", found, advice)
    if fewer:
        yield warn("processes", ", ".join(fewer), f"Look into {settings.var}/log.")
    elif not deaf:
        yield ok("processes", f"{len(entries)} run, and answer")


def _answers(entry: Entry) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_S)
        try:
            probe.connect(entry.socket)
        except OSError:
            return False
    return True
