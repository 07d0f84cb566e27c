"""What a lane and who opened it know of each other."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from mesh.lane.call import UnaryCall

if TYPE_CHECKING:
    from mesh.lane.client import ClientLane


class Keeper(Protocol):
    """Has opened a lane, and cares for the calls that it could not bring to an end."""

    def returned(self, call: UnaryCall, *, sent: bool, reason: str) -> None:
        """A call that the lane will not bring back; it may have run when it was `sent`."""

    def belongs_elsewhere(self, call: UnaryCall) -> None:
        """The server serves the call's method on the ordinary path alone; it was not run."""

    def too_large(self, call: UnaryCall) -> None:
        """The server takes no request of this size over lanes; it was not sent."""

    @property
    def waits(self) -> bool:
        """Whether the server owes answers that come by no lane."""

    def silent(self, reason: str) -> None:
        """The server is there no more, on whatever way; the lane is about to be lost."""

    def ended(self, lane: ClientLane) -> None:
        """The lane takes no more calls."""


class State(Enum):
    """The life of a lane."""

    OPENING = "opening"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"
