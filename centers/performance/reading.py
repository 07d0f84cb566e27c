"""What is asked of the ledger, and who answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from centers.performance.domain import Credit, Metric, Result
from centers.performance.scope import Reach
from mesh.paging import Page, PageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are listed; an owner or customer of 0 means all."""

    metric: Metric
    owner_id: int
    customer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is summed: a metric over business dates, and a scene's version or 0 for all.

    Without both dates all of them count; without an end those from `start` on.
    """

    metric: Metric
    start: str
    end: str
    scene_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerSum:
    """What one owner got at one branch; `results` without those taken back."""

    owner_id: int
    branch_id: int
    amount_fen: int
    results: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums of a span within somebody's reach."""

    total_fen: int
    unallocated_fen: int
    owners: Sequence[OwnerSum]
    results: int
    split_customers: int


class Ledger(Protocol):
    """Where entries are read."""

    async def story(self, credit_id: int) -> tuple[Credit, Result, list[Credit]]:
        """An entry, the result that it comes from, and all entries of that.

        Raises:
            MeshError: CREDIT_NOT_FOUND.
        """

    async def page(self, wanted: Filter, reach: Reach, request: PageRequest) -> Page[Credit]:
        """Entries within reach, newest first.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """


class Adder(Protocol):
    """What adds up results and entries."""

    async def totals(self, span: Span, reach: Reach) -> Totals:
        """The sums; for the whole bank the total is that of the results themselves."""
