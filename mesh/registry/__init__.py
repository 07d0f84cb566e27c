"""Who serves what, and where."""

from mesh.registry._base import Entry, Registry, State
from mesh.registry._directory import DirectoryRegistry

__all__ = ["DirectoryRegistry", "Entry", "Registry", "State"]
