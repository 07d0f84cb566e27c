"""Engine's runtime: what every service stands on.

Names are loaded when they are first used, so that a client which needs the
channel alone does not pay for, or need, what a server is made of.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.app import App
    from mesh.blocking import BlockingChannel, blocking_channel
    from mesh.channel import Channel
    from mesh.context import Principal, RequestContext, current, with_purpose
    from mesh.errors import ErrorView, MeshError, MeshReason, Reason, ReasonText, Violation
    from mesh.lane import Endpoint
    from mesh.registry import DirectoryRegistry, Entry, Registry
    from mesh.server import Server
    from mesh.service import Blueprint, Parts, Service, Servicer
    from mesh.settings import Settings
    from mesh.telemetry import Telemetry

_HOMES = {
    "App": "mesh.app",
    "BlockingChannel": "mesh.blocking",
    "Blueprint": "mesh.service",
    "Channel": "mesh.channel",
    "DirectoryRegistry": "mesh.registry",
    "Endpoint": "mesh.lane",
    "Entry": "mesh.registry",
    "ErrorView": "mesh.errors",
    "MeshError": "mesh.errors",
    "MeshReason": "mesh.errors",
    "Parts": "mesh.service",
    "Principal": "mesh.context",
    "Reason": "mesh.errors",
    "ReasonText": "mesh.errors",
    "Registry": "mesh.registry",
    "RequestContext": "mesh.context",
    "Server": "mesh.server",
    "Service": "mesh.service",
    "Servicer": "mesh.service",
    "Settings": "mesh.settings",
    "Telemetry": "mesh.telemetry",
    "Violation": "mesh.errors",
    "blocking_channel": "mesh.blocking",
    "current": "mesh.context",
    "with_purpose": "mesh.context",
}

__all__ = [
    "App",
    "BlockingChannel",
    "Blueprint",
    "Channel",
    "DirectoryRegistry",
    "Endpoint",
    "Entry",
    "ErrorView",
    "MeshError",
    "MeshReason",
    "Parts",
    "Principal",
    "Reason",
    "ReasonText",
    "Registry",
    "RequestContext",
    "Server",
    "Service",
    "Servicer",
    "Settings",
    "Telemetry",
    "Violation",
    "blocking_channel",
    "current",
    "with_purpose",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mesh' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
