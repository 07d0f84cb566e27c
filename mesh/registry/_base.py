"""The registry's interface and its one kind of entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mesh.lane.dial import Endpoint


class State(StrEnum):
    """Whether an instance takes calls."""

    STARTING = "STARTING"
    SERVING = "SERVING"
    DRAINING = "DRAINING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One instance of a service.

    `address` is "host:port" (ordinary gRPC, any client); `socket` is the path of
    the Unix socket for peers on `host_id`, or empty. `lanes` are where it takes lanes
    ("unix:/path" on its host, "tls:host:port"), best first. `http` is the
    address of what it serves over HTTP, or empty.
    """

    service: str
    instance: str
    address: str
    socket: str
    host_id: str
    pid: int
    version: str
    state: State = State.SERVING
    http: str = ""
    lanes: tuple[str, ...] = ()

    def endpoint(self, host_id: str) -> Endpoint:
        """How a process on a host reaches it: by its sockets when it is on the same one."""
        if host_id == self.host_id:
            return Endpoint(f"unix:{self.socket}" if self.socket else self.address, self.lanes)
        remote = (lane for lane in self.lanes if not lane.startswith("unix:"))
        return Endpoint(self.address, tuple(remote))


class Registry(Protocol):
    """A table of instances. Reading it is cheap enough to do on every call."""

    async def register(self, entry: Entry) -> None:
        """Add the instance, or replace its entry."""

    async def withdraw(self, entry: Entry) -> None:
        """Remove the instance; a second time does nothing."""

    def lookup(self, service: str) -> Sequence[Entry]:
        """Instances that take calls now, in a stable order."""

    def services(self) -> Mapping[str, Sequence[Entry]]:
        """All instances by service, whatever their state."""
