"""What can go wrong when an id is wanted."""

from __future__ import annotations


class SequencerError(Exception):
    """Root of the SDK's errors; raised itself when the sequencer refuses the client."""


class SequenceEmpty(SequencerError):  # noqa: N818 - a state of the sequence, named like queue.Empty
    """No id is held at this moment: on an event loop, or after waiting for `timeout_s`."""


class SequenceExhausted(SequencerError):  # noqa: N818 - a state of the sequence
    """Every id up to the sequence's `max_value` has been granted."""


class SequenceNotFound(SequencerError):  # noqa: N818 - a state of the sequence
    """Nobody has created a sequence of this name."""


class SequencerUnavailable(SequencerError):  # noqa: N818 - a state of the service
    """The sequencer cannot be reached, and the ids held are used up. It is tried again."""


class NumbersLost(SequencerError):  # noqa: N818 - a state of the numbers
    """Reserved numbers are somebody else's by now, void or in doubt: they must not be used."""


class WorkerLost(SequencerUnavailable):
    """The window of the worker id has ended, or somebody else holds it. Another is tried for."""


def fresh(error: SequencerError) -> SequencerError:
    """The same error for one more caller, with a traceback of its own."""
    return type(error)(*error.args)
