"""The blocking channel, for scripts and Django, beside grpc's own: threads that each wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

import grpc

from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from loadtests.bench._figure import Figure
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.mesh_stage import CARRIERS, PLAIN, TIMEOUT_S, Stage, part_s
from loadtests.bench.servers import REQUEST

if TYPE_CHECKING:
    from loadtests.bench import Run

PEER: Final = "grpc's blocking channel to grpc.aio, no interceptors"
THREADS: Final = {1: "1 thread", 16: "16 threads"}


def blocking_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    sockets = [carrier for carrier in CARRIERS if carrier.is_socket]
    with ExitStack() as stack:
        channels: dict[str, grpc.Channel] = {
            PLAIN: stack.enter_context(grpc.insecure_channel(stage.plain_address)),
            **{c.name: stack.enter_context(stage.ways.blocking(c)) for c in sockets},
        }
        for threads in THREADS:
            yield from _figures(run, channels, threads)


def _figures(run: Run, channels: dict[str, grpc.Channel], threads: int) -> Iterator[Figure]:
    measures = {
        name: partial(_rate, CustomerServiceStub(channel), threads, part_s(run))
        for name, channel in channels.items()
    }
    rounds = Rounds(run, measures)
    for name in channels:
        what = f"blocking channel, {THREADS[threads]}, {name}"
        if name != PLAIN:
            yield rounds.ratio(f"{what} ÷ plain", name, PLAIN, of=float, against=PEER)
        yield run.report(f"{what}, calls/s", rounds.middle(name, float), "/s")


def _rate(stub: CustomerServiceStub, threads: int, seconds: float) -> float:
    """Calls a second of threads that each wait for the answer."""
    began = perf_counter()
    call: Callable[[], object] = partial(stub.GetCustomer, REQUEST, timeout=TIMEOUT_S)
    with ThreadPoolExecutor(threads) as pool:
        counts = pool.map(_until, [call] * threads, [began + seconds] * threads)
        return sum(counts) / (perf_counter() - began)


def _until(call: Callable[[], object], end: float) -> int:
    call()
    count = 1
    while perf_counter() < end:
        call()
        count += 1
    return count
