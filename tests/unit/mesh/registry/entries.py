"""Entries for tests of the registry."""

from __future__ import annotations

from typing import Any

from mesh.registry import Entry


def entry(service: str = "customer", instance: str = "a", **fields: Any) -> Entry:
    """An instance that serves; what is not said does not matter."""
    known: dict[str, Any] = {
        "address": "127.0.0.1:1",
        "socket": "",
        "host_id": "h",
        "pid": 1,
        "version": "1",
    }
    return Entry(service=service, instance=instance, **{**known, **fields})
