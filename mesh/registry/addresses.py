"""Where the registry of leases of a host is."""

from __future__ import annotations

from typing import Final

from mesh.settings import Settings

NAME: Final = "registry"
"""The service."""


def own_port(settings: Settings) -> int | None:
    """The port of the registry on this host; None when it is to run on others alone."""
    for address in settings.registries:
        host, _, port = address.rpartition(":")
        if host.strip("[]") == settings.host:
            return int(port)
    return None
