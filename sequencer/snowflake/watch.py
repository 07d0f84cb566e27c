"""Finds out that the store was put back, and tells of what will need somebody's attention."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from mesh.log import get_logger
from mesh.telemetry import Meters
from sequencer.definition import Definition
from sequencer.entry import Witness
from sequencer.snowflake import rules
from sequencer.snowflake.rules import Head, Moment

WARN_DAYS: Final = 3 * 365
"""For so long before the time bits run out it is logged."""

_log: Final = get_logger(__name__)


class Journal(Protocol):
    """What the servers of this host have seen, kept on its own disk."""

    def note(self, sequence: int, witness: Witness) -> None:
        """Remember a witness, unless a newer one is known."""

    def read(self, sequence: int) -> Witness | None:
        """The newest witness of a sequence."""


class WorkerWatch:
    """Compares where the store says that a sequence stands with what others know.

    Args:
        journal: shared with the logs of sequences, which have witnesses of their own.
        meters: counts jumps, and tells the days left.
    """

    def __init__(self, journal: Journal, meters: Meters) -> None:
        self._journal = journal
        self._fence_jumps = meters.counter("sequencer.fence_jumps")
        self._days_left: dict[int, int] = {}
        meters.gauge(
            "sequencer.snowflake_days_left", lambda: min(self._days_left.values(), default=0)
        )

    def compared(
        self, definition: Definition, stored: Head, client: Head | None, moment: Moment
    ) -> Head:
        """The head, moved past all that the journal or a believed client know of.

        Raises:
            MeshError: CLOCK_BEHIND, when nobody can know what the client does.
        """
        head = stored
        if (own := self._journal.read(journal_key(definition.uid))) is not None:
            head = rules.fenced(head, Head(number=own.number, position=own.position), moment)
        if client is not None:
            head = rules.fenced(head, rules.checked(client, moment), moment)
        if head != stored:
            self._fence_jumps.add()
            _log.error(
                "worker_store_behind",
                sequence=definition.name,
                stored=stored.number,
                known=head.number - 1,
                floor=moment.layout.time_of(head.floor).isoformat(),
            )
        return head

    def note(self, definition: Definition, head: Head, moment: Moment) -> None:
        """Remember a durable change; to be called before anybody is told of it."""
        witness = Witness(number=head.number, mark=0, epoch=0, position=head.position)
        self._journal.note(journal_key(definition.uid), witness)
        days = self._days_left[definition.uid] = moment.layout.days_left(moment.tick)
        if days < WARN_DAYS:
            _log.warning("snowflake_time_runs_out", sequence=definition.name, days_left=days)
        if rules.is_clock_behind(head, moment):
            _log.error(
                "snowflake_clock_behind",
                sequence=definition.name,
                leased_until=moment.layout.time_of(head.position).isoformat(),
            )


def journal_key(uid: int) -> int:
    """Under what a sequence's windows stand in the journal: not what its log stands under."""
    digest = hashlib.blake2b(b"snowflake%d" % uid, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
