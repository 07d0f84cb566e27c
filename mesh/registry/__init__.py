"""Who serves what, and where."""

from mesh.registry._base import Entry, HeaderRule, Registry, Route, Split, State
from mesh.registry._directory import DirectoryRegistry

__all__ = [
    "DirectoryRegistry",
    "Entry",
    "HeaderRule",
    "Registry",
    "Route",
    "Split",
    "State",
]
