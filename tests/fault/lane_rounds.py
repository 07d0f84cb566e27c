"""Rounds of lanes: callers and servers that are killed, frozen, cut off, flooded and drained."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc

from loadtests.lanes.asked import COUNTS
from loadtests.lanes.peer import Place, runs
from loadtests.proxy import Proxy
from mesh.lane import CARRIERS, Endpoint
from tests.fault.checkers import check
from tests.fault.history import History, faults, operations
from tests.fault.lane_callers import ENDPOINTS
from tests.fault.lane_calls import Ran, in_time, to_its_own, told
from tests.fault.nemesis import Fault, Nemesis, link_faults, process_faults
from tests.fault.victims import Worker

SERVERS: Final = 2
CALLERS: Final = 2
ROUNDS: Final = tuple(f"lanes-{carrier}" for carrier in CARRIERS)
"""One for each carrier: clients that may use no other, beside plain gRPC."""

EVERY_S: Final = (0.2, 1.0)
"""Of processes and, at the same time, of the links between them."""
FOR_S: Final = (0.05, 4.0)
"""Frozen and half open for longer than it takes to notice."""
SPARE: Final = 3
"""Descriptors and tasks that a process may have more than before: gRPC's, for who asks."""
SETTLED_S: Final = 10.0
LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a round saw: how calls ended, and the faults that were done."""

    ended: Mapping[str, int]
    faults: Sequence[str]


def play(name: str, folder: Path, *, seed: int, seconds: float, careless: bool = False) -> Told:
    """Play one of `ROUNDS` in an empty folder, for so long.

    `careless` has callers that repeat whatever was lost: it must be found out.

    Raises:
        ViolationError: a promise was broken.
    """
    carrier = name.removeprefix("lanes-")
    run = folder / "run"
    run.mkdir(mode=0o700)
    with ExitStack() as stack:
        places = {f"server-{n}": Place.fresh(run / f"server-{n}") for n in range(1, SERVERS + 1)}
        servers = {
            name: stack.enter_context(place.worker(note_runs=True))
            for name, place in places.items()
        }
        links = _links(stack, places, carrier, seed)
        _tell(run, places, links, carrier)
        callers = _callers(stack, run, carrier, careless=careless)
        log = run / "nemesis.jsonl"
        processes = [*process_faults(servers), *_drains(servers)]
        processes += [*_freezes(callers), *_floods(callers)]
        pace: dict[str, Any] = {"every_s": EVERY_S, "for_s": FOR_S}
        with (
            History(log, seed=seed, python=sys.version.split()[0]) as history,
            Nemesis(processes, seed=seed, history=history, **pace),
            Nemesis(link_faults(links), seed=seed + 1, history=history, **pace),
        ):
            time.sleep(seconds)
        for caller in callers.values():
            caller.stop()
        left = [*_left_of_callers(run, callers), *_left_of_servers(places)]
        history_ = operations(run / f"{name}.jsonl" for name in callers)
        ran = Ran(runs=[each for place in places.values() for each in runs(place.folder)])
        check(history_, ran, in_time, to_its_own, lambda _: left)
    return Told(ended=told(history_), faults=[what for what in faults(log) if what != "healed"])


def _links(
    stack: ExitStack, places: Mapping[str, Place], carrier: str, seed: int
) -> dict[str, Proxy]:
    """A link to each address of each server that is used."""
    links: dict[str, Proxy] = {}
    for name, place in places.items():
        for way, address in _ways(place.endpoint, carrier):
            links[f"{way} of {name}"] = stack.enter_context(Proxy(address, seed=seed))
    return links


def _ways(endpoint: Endpoint, carrier: str) -> Iterator[tuple[str, str]]:
    yield "port", endpoint.address
    for lane in endpoint.lanes:
        if lane.startswith(f"{carrier}:"):
            yield carrier, lane


def _tell(run: Path, places: Mapping[str, Place], links: Mapping[str, Proxy], carrier: str) -> None:
    """Leave for callers where the links are."""
    told = [
        Endpoint(
            links[f"port of {name}"].address,
            tuple(
                links[f"{way} of {name}"].address
                for way, _ in _ways(place.endpoint, carrier)
                if way == carrier
            ),
        )
        for name, place in places.items()
    ]
    (run / ENDPOINTS).write_text(json.dumps([asdict(endpoint) for endpoint in told]))


def _callers(stack: ExitStack, run: Path, carrier: str, *, careless: bool) -> dict[str, Worker]:
    environ = {"FAULT_CARELESS": "1"} if careless else {}
    return {
        name: stack.enter_context(
            Worker(
                "tests.fault.lane_callers",
                *(name, str(run), carrier),
                log=run / f"{name}.log",
                environ=environ,
            )
        )
        for name in (f"caller-{n}" for n in range(1, CALLERS + 1))
    }


# What is done to them beside killing, freezing and cutting.


def _drains(servers: Mapping[str, Worker]) -> Iterator[Fault]:
    """A server ends in good order and begins again."""
    for name, server in servers.items():
        yield Fault(name=f"drain {name}", begin=server.stop, end=server.start)


def _freezes(callers: Mapping[str, Worker]) -> Iterator[Fault]:
    """A caller reads nothing for a time, while answers wait for it."""
    for name, caller in callers.items():
        yield Fault(name=f"pause {name}", begin=caller.pause, end=caller.resume)


def _floods(callers: Mapping[str, Worker]) -> Iterator[Fault]:
    """A caller sends as much as it can, beside the others."""
    for name, caller in callers.items():
        yield Fault(
            name=f"flood by {name}",
            begin=partial(caller._signal, signal.SIGUSR1),
            end=partial(caller._signal, signal.SIGUSR2),
        )


# What is left when all is healed and the callers are gone.


def _left_of_callers(run: Path, callers: Mapping[str, Worker]) -> Iterator[str]:
    for name in callers:
        left = json.loads((run / f"{name}.left").read_text())
        before, after = left["before"], left["after"]
        if not left["recovered"]:
            yield f"{name}: not all is answered, and by lanes, after all was healed"
        yield from _more(name, before, after)


def _left_of_servers(places: Mapping[str, Place]) -> Iterator[str]:
    for name, place in places.items():
        with grpc.insecure_channel(place.endpoint.address) as channel:
            ask: Any = channel.unary_unary(COUNTS)
            until = time.monotonic() + SETTLED_S
            wrong: Sequence[str] = ["is not asked"]
            while wrong and time.monotonic() < until:
                time.sleep(LOOK_S)
                now = json.loads(ask(b"", timeout=SETTLED_S))
                wrong = list(_more(name, now["at first"], now))
            yield from wrong


def _more(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    """What a process has more than it had."""
    for part, spare in (("descriptors", SPARE), ("tasks", SPARE), ("lanes", 0), ("calls", 0)):
        if after[part] > before[part] + spare:
            yield f"{name}: {part} were {before[part]} at first and are {after[part]} in the end"
