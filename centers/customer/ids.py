"""Ids of follow-ups, from the sequencer."""

from __future__ import annotations

from centers.customer.errors import CustomerReason
from mesh.errors import MeshError
from sequencer.sdk import Sequence, SequenceEmpty, SequencerUnavailable


class SequenceIds:
    """Takes ids from a sequence."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence

    async def next(self) -> int:
        """An id that nobody else gets.

        Raises:
            MeshError: IDS_UNAVAILABLE.
        """
        try:
            return await self._sequence.next_id_async()
        except (SequenceEmpty, SequencerUnavailable) as error:
            raise MeshError(CustomerReason.IDS_UNAVAILABLE) from error
