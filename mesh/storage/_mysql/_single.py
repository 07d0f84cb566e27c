"""The connection of statements that are transactions of their own."""

from __future__ import annotations

from mesh.storage._errors import OutcomeUnknown, StorageError
from mesh.storage._mysql._connection import Connection
from mesh.storage._mysql._errors import UNDETERMINED, code_of
from mesh.storage._statements import Prepared


class SingleConnection(Connection):
    """Each statement commits by itself, with the answer that says so.

    A statement must not run twice: whose answer did not come may have had its effect. So
    a connection on which the server hung up counts as closed before anything is sent.
    """

    @property
    def is_open(self) -> bool:
        return super().is_open and not self._raw._stream_broken  # noqa: SLF001 - no public way

    def _refusal(self, error: Exception, prepared: Prepared | None) -> StorageError:
        refusal = super()._refusal(error, prepared)
        if self.is_open and code_of(error) not in UNDETERMINED:
            return refusal  # the server says that it kept nothing
        return OutcomeUnknown(f"nobody can tell whether the statement took effect: {refusal}")
