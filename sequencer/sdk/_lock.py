"""Locks against other threads, and against what interrupts a thread inside one.

A signal handler or a finalizer may strike between any two steps and want an id
as well. Waiting for the thread that it runs on would last for ever, and entering
again would find things half changed: it has to be told. An RLock knows its owner
from the very step that takes it, so there is no moment at which nobody knows.
"""

from __future__ import annotations

from threading import RLock

from sequencer.sdk._errors import SequenceEmpty


def owned(lock: RLock) -> bool:
    """Whether this thread is inside: whoever asks has interrupted it there."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001 - as Condition does


def exclusive(lock: RLock) -> RLock:
    """The lock, to be entered by somebody who is not inside it.

    Raises:
        SequenceEmpty: this thread is, and has been interrupted.
    """
    if owned(lock):
        raise SequenceEmpty("This thread was interrupted while it took ids: try again later")
    return lock
