"""Suite `mesh`: unary calls through the mesh against plain grpc.aio.

Same servicer, same payload, same callers; each server in a process of its own. The peer is
grpc.aio on uvloop with no interceptors. With the full chain the mesh does all its work:
identity, policy, validation, scope, deadline, telemetry at 1 % sampling; the bare chain is
the stock servicer on the mesh's server, as a team that leaves grpc.aio would have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from loadtests.bench.mesh_blocking import blocking_figures
from loadtests.bench.mesh_chain import chain_figures
from loadtests.bench.mesh_fair import fair_figures
from loadtests.bench.mesh_payload import payload_figures
from loadtests.bench.mesh_speed import speed_figures
from loadtests.bench.mesh_stage import Stage, staged
from loadtests.bench.mesh_tail import tail_figures
from loadtests.bench.servers import PEER, REQUEST

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

__all__ = ["PEER", "REQUEST", "figures"]

PARTS: Final[tuple[Callable[[Run, Stage], Iterator[Figure]], ...]] = (
    speed_figures,
    tail_figures,
    chain_figures,
    payload_figures,
    fair_figures,
    blocking_figures,
)


def figures(run: Run) -> Iterator[Figure]:
    """Rate, CPU and latency; long tails; what the chain costs; payloads; fairness; blocking."""
    with staged() as stage:
        for part in PARTS:
            yield from part(run, stage)
