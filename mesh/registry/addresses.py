"""Where the registries of leases are, as the settings say."""

from __future__ import annotations

from typing import Final

from mesh.settings import Settings, SettingsError

NAME: Final = "registry"
"""The service."""


def addresses(settings: Settings) -> tuple[str, ...]:
    """The registries, "host:port", best first; none where the folder of the host is the registry.

    Raises:
        SettingsError: ENGINE_REGISTRY cannot be read.
    """
    found = tuple(text.strip() for text in settings.registry.split(",") if text.strip())
    for text in found:
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise SettingsError(f"ENGINE_REGISTRY: {text!r} is no host:port of a registry")
    return found


def own_port(settings: Settings) -> int | None:
    """The port of the registry on this host; None when it is to run on others alone."""
    for address in addresses(settings):
        host, _, port = address.rpartition(":")
        if host.strip("[]") == settings.host:
            return int(port)
    return None
