"""Where a client's ids come from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sequencer.sdk._demand import Latencies, Sizing
from sequencer.sdk._errors import SequenceNotFound, SequencerUnavailable
from sequencer.sdk._journal import Journal
from sequencer.sdk._source import Lease, LeaseRequest, RangeSource

CALL_TIMEOUT_S = 2.0
FIRST_DELAY_S = 0.05
MAX_DELAY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Where ids come from, and how: the source, who asks it, the sizes, the sense of time."""

    source: RangeSource
    client_id: str
    sizing: Sizing
    create_missing: bool
    monotonic: Callable[[], float]
    journal: Journal | None = None
    latencies: Latencies = field(default_factory=Latencies)

    def leased(self, request: LeaseRequest) -> Lease:
        """Lease a range, of a sequence that is made when it is missing and that is wished.

        Raises:
            SequencerError: as the source does; SequencerUnavailable also for ids that
                this client has had before.
        """
        try:
            lease = self.source.lease(request, timeout_s=CALL_TIMEOUT_S)
        except SequenceNotFound:
            if not self.create_missing:
                raise
            self.source.ensure(request.name, strict=request.strict, timeout_s=CALL_TIMEOUT_S)
            lease = self.source.lease(request, timeout_s=CALL_TIMEOUT_S)
        if not lease.follows(request.last):
            raise SequencerUnavailable(
                f"The sequencer granted ids of {request.name!r} that this client has had before"
            )
        return lease


def delays(uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
    """Pauses between attempts, in seconds: doubling up to a bound, each with jitter."""
    bound = FIRST_DELAY_S
    while True:
        yield uniform(bound / 2, bound)
        bound = min(bound * 2, MAX_DELAY_S)
