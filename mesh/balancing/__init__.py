"""The choice of an instance for each call: by route, priority, health and load."""

from mesh.balancing._balancer import Balancer
from mesh.balancing._table import (
    Asked,
    Endpoints,
    Instance,
    Listed,
    Registered,
    Source,
    Table,
    registered,
    source_of,
)

__all__ = [
    "Asked",
    "Balancer",
    "Endpoints",
    "Instance",
    "Listed",
    "Registered",
    "Source",
    "Table",
    "registered",
    "source_of",
]
