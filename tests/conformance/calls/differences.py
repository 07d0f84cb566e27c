"""Where a path does not do what grpcio does between its own client and server, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MESH: Final = frozenset({"plain", "stream", "unix", "tls"})
LANES: Final = MESH - {"plain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One semantic that differs, on which paths."""

    semantic: str
    paths: frozenset[str]
    reason: str


DIFFERENCES: Final = (
    Difference(
        semantic="default time-out",
        paths=MESH,
        reason="the mesh's channel bounds every call: a wait without end is an incident",
    ),
    Difference(
        semantic="wait for connection",
        paths=LANES,
        reason="grpcio waits for the answer; its documentation, like a lane, for the connection",
    ),
    Difference(
        semantic="no status",
        paths=LANES,
        reason="grpcio leaves the caller to his deadline; a lane says at once that it ended",
    ),
    Difference(
        semantic="abort",
        paths=LANES,
        reason="told with the handler's end: then its transaction is over, and may be read",
    ),
    Difference(
        semantic="long message",
        paths=LANES,
        reason="a lane has room for a part of it",
    ),
    Difference(
        semantic="handlers by metadata",
        paths=LANES,
        reason="a lane asks for the handler of a method once, before any call of it",
    ),
    Difference(
        semantic="user agent",
        paths=LANES,
        reason="it is a header of HTTP/2; the hello of a lane says who calls",
    ),
    Difference(
        semantic="unsendable metadata",
        paths=LANES,
        reason="a lane refuses them where they are set: an exception of the handler, UNKNOWN",
    ),
    Difference(
        semantic="serializers of the caller",
        paths=LANES,
        reason="grpcio logs the error and goes on with nothing; the caller had better know",
    ),
    Difference(
        semantic="closed under calls",
        paths=LANES,
        reason="a CancelledError would end the tasks that wait as if someone had cancelled them",
    ),
)


def differs(path: str, semantic: str) -> bool:
    """Whether a path differs.

    Raises:
        StopIteration: the table has no such semantic.
    """
    return path in next(item for item in DIFFERENCES if item.semantic == semantic).paths
