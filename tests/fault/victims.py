"""What can be killed, frozen and started again: servers, and processes of our own."""

from __future__ import annotations

from typing import Protocol

from loadtests.processes import Worker, serving

__all__ = ["Victim", "Worker", "serving"]


class Victim(Protocol):
    """A process that faults happen to. The servers of `loadtests.servers` are such, too."""

    def start(self) -> None:
        """Start it again; returns once it serves."""

    def stop(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it at once."""

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""

    def resume(self) -> None:
        """Let it go on."""
