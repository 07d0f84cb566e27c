"""Ids for a service of the mesh: what the centres take theirs from.

    ids = ServiceIds(parts)
    tasks = ids.of("action.task")
    Service(…, resources=[ids])

Of use to services alone: a client of the SDK has no `Parts`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

import grpc

from mesh.errors import MeshError, Reason, ReasonText
from sequencer.sdk import Sequence as IdSequence
from sequencer.sdk import SequenceEmpty, Sequencer, SequencerUnavailable, mesh_source
from sequencer.sdk._measures import Measures

if TYPE_CHECKING:  # a client has no services
    from mesh.service import Parts

TIMEOUT_S: Final = 1.0
"""How long a call waits for an id: less than its deadline, so that the caller hears why."""

RIGHTS: Final = frozenset({"sequencer.lease", "sequencer.create"})
"""What a service's blueprint must name to take ids."""

T = TypeVar("T")


class IdsReason(Reason):
    """Why no id is to be had."""

    IDS_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "No id can be had from the sequencer",
        "无法从序列中心取得编号",
        "Send it again in a moment; if it stays, look at the sequencer.",
    )


class Ids:
    """Ids of one sequence: 64-bit, unique, rising within a process."""

    def __init__(self, sequence: IdSequence) -> None:
        self._sequence = sequence

    async def next(self) -> int:
        """An id that nobody else gets.

        Raises:
            MeshError: IDS_UNAVAILABLE.
        """
        return await _told(self._sequence.next_id_async())

    async def take(self, count: int) -> Sequence[int]:
        """So many ids, rising; all of them or none.

        Raises:
            MeshError: IDS_UNAVAILABLE.
        """
        return list(chain.from_iterable(await _told(self._sequence.next_ids_async(count))))


class ServiceIds:
    """The sequences of a service, prefetched for as long as it is entered.

    What a process holds that is killed the next one on the machine returns.
    The service's meters tell how they fare: `sequencer.client.*`.
    """

    def __init__(self, parts: Parts) -> None:
        source = mesh_source(parts.registry, parts.key, parts.tls)
        self._sequencer = Sequencer(
            source,
            timeout_s=TIMEOUT_S,
            create_missing=True,
            journal=parts.settings.var / "ids" / parts.name,
        )
        self._measures = Measures(parts.telemetry.meters)

    def of(self, name: str) -> Ids:
        """The sequence of that name ("action.task"), made when it is missing."""
        sequence = self._sequencer.sequence(name)
        self._measures.add(sequence)
        return Ids(sequence)

    async def __aenter__(self) -> Self:
        await self._sequencer.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._sequencer.__aexit__(kind, error, trace)


async def _told(ids: Awaitable[T]) -> T:
    try:
        return await ids
    except (SequenceEmpty, SequencerUnavailable) as error:
        raise MeshError(IdsReason.IDS_UNAVAILABLE, retry_after_s=TIMEOUT_S) from error
