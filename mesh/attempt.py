"""A channel's unary calls on lanes: how they end, and who hears of it first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import grpc

from mesh.lane.call import UnaryCall
from mesh.lane.frames import Pair
from mesh.resilience import Failure

if TYPE_CHECKING:
    from mesh.peer import Peer
    from mesh.resilience import Breaker, Latencies

_OK: Final = grpc.StatusCode.OK
_end_call: Final = UnaryCall._end  # noqa: SLF001 - `super()` would cost every call a lookup more


class Rescue(Protocol):
    """Hears of calls that failed."""

    def takes(self, call: ChannelCall, code: grpc.StatusCode) -> bool:
        """Whether the call goes on, and so has not ended."""

    def hedged(self, attempt: Attempt, code: grpc.StatusCode) -> None:
        """A second attempt ended before the first."""


@dataclass(slots=True)
class Story:
    """What is kept of a call that is not sent just once.

    `tried` says how often it was sent, `hedge` is a second attempt that is under way, `held`
    is how the first one failed meanwhile. `latencies` are told how long it took.
    """

    tried: int = 1
    hedge: Attempt | None = None
    held: grpc.StatusCode | None = None
    latencies: Latencies | None = None


class ChannelCall(UnaryCall, eq=False, kw_only=True):
    """A call that may be sent to several peers, one after the other or side by side.

    Who sends it says where: `peer`, and `breaker` of the method there; and who hears when it
    fails: `rescue`.
    """

    peer: Peer
    breaker: Breaker
    rescue: Rescue
    story: Story | None = None

    def _end(self, code: grpc.StatusCode, reply: bytes) -> None:
        if code is _OK:
            breaker = self.breaker
            breaker.passed += 1
            if breaker.health.troubled:
                breaker.succeeded()
            if self.story is None:
                _end_call(self, code, reply)
                return
            if self.story.latencies is not None:
                self.story.latencies.add(time.monotonic() - self.began)
        elif self.rescue.takes(self, code):
            return
        self.end_as(code, reply)

    def end_as(self, code: grpc.StatusCode, reply: bytes = b"") -> None:
        """End, with the details and the metadata that it has."""
        _end_call(self, code, reply)
        story = self.story
        if story is not None and story.hedge is not None:
            hedge, story.hedge = story.hedge, None
            hedge.cancel()

    def end_like(self, attempt: Attempt) -> None:
        """End as a second attempt did, and give the first one up."""
        self._initial, self._trailing = attempt._initial, attempt._trailing  # noqa: SLF001 - its own kind
        self._details = attempt._details  # noqa: SLF001 - as above
        self.end_as(_OK, attempt.reply)
        if self.holder is not None:
            self.holder.cancelled(self)

    @property
    def told(self) -> Story:
        """Its story, which begins when first asked for."""
        if self.story is None:
            self.story = Story()
        return self.story

    def failure(self, code: grpc.StatusCode) -> Failure:
        """How it failed."""
        return Failure.read(code, self._details, self._trailing)

    def renew(self, peer: Peer) -> None:
        """Forget how the last try failed; the next one goes to `peer`."""
        self.told.tried += 1
        self.aim(peer)
        self.holder = self.pieces = None
        self._initial = self._trailing = None
        self._details = ""
        self.began = 0.0

    def aim(self, peer: Peer) -> None:
        """It goes to `peer`."""
        self.peer = peer
        self.breaker = peer.health.breaker(self.path)


class Attempt(UnaryCall, eq=False, kw_only=True):
    """A second attempt of `call`, at the other `peer`, while the first is under way.

    Whichever is answered first ends the call.
    """

    call: ChannelCall
    peer: Peer

    @classmethod
    def of(cls, call: ChannelCall, peer: Peer) -> Attempt:
        """A second attempt at `peer`."""
        return cls(
            call.path,
            call.request,
            None,
            call.due,
            shared=call.shared,
            own=call.own,
            trace=call.trace,
            observe=call.observe and peer.observe,
            call=call,
            peer=peer,
        )

    def _end(self, code: grpc.StatusCode, reply: bytes) -> None:
        super()._end(code, reply)
        call, story = self.call, self.call.told
        if code is _OK:
            self.peer.health.breaker(self.path).answered()
            if story.latencies is not None:
                story.latencies.add(time.monotonic() - self.began)
        if story.hedge is self:
            story.hedge = None
            call.rescue.hedged(self, code)

    def aim(self, peer: Peer) -> None:
        """It goes to `peer`."""
        self.peer = peer


def carried(call: UnaryCall) -> list[Pair]:
    """The metadata of a call, without its trace."""
    return [*(call.shared.metadata if call.shared is not None else ()), *call.own]
