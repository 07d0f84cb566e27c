"""Suite `discovery`: finding instances, choosing among them, and too many calls for them.

The registry is one of leases in a process of its own, and so is each service. Callers find
them as services do, by the table that they watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from loadtests.bench.discovery_change import change_figures
from loadtests.bench.discovery_choice import choice_figures
from loadtests.bench.discovery_flow import flow_figures
from loadtests.bench.discovery_overload import overload_figures
from loadtests.bench.discovery_stage import Stage, staged

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

PARTS: Final[tuple[Callable[[Run, Stage], Iterator[Figure]], ...]] = (
    choice_figures,
    change_figures,
    flow_figures,
    overload_figures,
)


def figures(run: Run) -> Iterator[Figure]:
    """What a choice costs, how soon a change is felt, what the registry and overload cost."""
    with staged() as stage:
        for part in PARTS:
            yield from part(run, stage)
