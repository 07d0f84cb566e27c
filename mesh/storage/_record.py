"""The record of a call goes with the call's first effect.

An audited call is known to its store by `call_record`. The first transaction of
the call that commits publishes the record: so there is no effect without a
record, and no record of an effect that was not.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

from engine.mesh.v1.event_pb2 import Event


class CallRecord(Protocol):
    """The record of one call.

    `taken` is True once a transaction has it, or nobody may have it any more.
    """

    taken: bool

    def event(self) -> Event:
        """The call as done, to be published with its effect."""


call_record: Final[ContextVar[CallRecord | None]] = ContextVar("engine_call_record", default=None)
"""The record of the call that this task serves, when the call is audited."""
