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
    address of what it serves over HTTP, or empty. `digest` tells its contracts apart from
    others. `priority` 0 is called first; a later one when nothing before it can be called.
    `load` is how full it was when it last said so, 0 to 1.
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
    digest: str = ""
    priority: int = 0
    load: float = 0.0

    def endpoint(self, host_id: str) -> Endpoint:
        """How a process on a host reaches it: by its sockets when it is on the same one."""
        if host_id == self.host_id:
            return Endpoint(f"unix:{self.socket}" if self.socket else self.address, self.lanes)
        remote = (lane for lane in self.lanes if not lane.startswith("unix:"))
        return Endpoint(self.address, tuple(remote))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A share of a service's calls, for instances of one version."""

    version: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRule:
    """Calls that carry the header with the value go to instances of one version."""

    header: str
    value: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which instances of a service get which of its calls.

    The first rule that holds decides; else the splits do, by weight. Without either, and
    where the version that was chosen has no instance that takes calls, all of them do.
    """

    service: str
    rules: tuple[HeaderRule, ...] = ()
    splits: tuple[Split, ...] = ()


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

    def route(self, service: str) -> Route:
        """How the calls of a service are spread over its versions."""

    async def set_route(self, route: Route) -> None:
        """Replace the route of its service; one without rules and splits removes it."""
