"""What a lane and what carries it know of each other."""

from __future__ import annotations

from typing import Final, Protocol

from mesh.lane.frames import Buffer, LaneError


class Carrier(Protocol):
    """Carries a lane's batches."""

    def wake(self) -> None:
        """The session has something to send: take it soon, with all that comes until then."""

    def flush(self) -> None:
        """The session has something to send, and nothing more will come: take it now."""

    def close(self) -> None:
        """Send what is there, and close."""

    def abort(self) -> None:
        """Close at once."""


class _NoCarrier:
    """Stands for a carrier before there is one."""

    def wake(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


NO_CARRIER: Final[Carrier] = _NoCarrier()


class Session(Protocol):
    """Either end of a lane, as a carrier sees it."""

    @property
    def max_batch(self) -> int:
        """Bytes that the next batch may have."""

    @property
    def pending(self) -> bool:
        """Whether there is something to send."""

    def take(self) -> bytes:
        """The next batch to send."""

    def heard(self) -> None:
        """Something has come, if only a part of a batch: the peer is there."""

    def feed(self, data: Buffer) -> None:
        """A batch has come."""

    def attach(self, carrier: Carrier) -> None:
        """A connection stands."""

    def fail(self, error: LaneError) -> None:
        """The peer broke a rule."""

    def detached(self, carrier: Carrier, error: LaneError) -> None:
        """The connection is gone."""
