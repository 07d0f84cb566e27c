"""Load on a running demo platform: over REST, over generated stubs, over the sequencer's SDK.

    locust -f loadtests/locustfile.py --headless -u 30 -r 10 -t 30s

Locust is gevent: stubs are used over blocking channels, never grpc.aio.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from grpc.experimental.gevent import init_gevent
from locust import events

from engine.sequencer.v1 import sequencer_pb2, sequencer_pb2_grpc
from loadtests.document import publish_document
from loadtests.people import CHECKER, LAUNCHER, MAKER, MANAGERS, SOURCE, People
from loadtests.report import Report
from loadtests.session import sign_on
from loadtests.stage import EVERYBODY, fill_desks, prepare, strike
from loadtests.targets import Targets
from loadtests.users import (
    SEQUENCE,
    AdvisorUser,
    BranchManagerUser,
    CatalogueUser,
    CoreBankUser,
    FrontLineUser,
    Handed,
    HeadOfficeUser,
    LoopUser,
    RestUser,
    RobotUser,
    SdkUser,
    StrategyUser,
    StubUser,
)
from mesh import blocking_channel
from mesh.channel import bearer

__all__ = [
    "AdvisorUser",
    "BranchManagerUser",
    "CatalogueUser",
    "CoreBankUser",
    "FrontLineUser",
    "HeadOfficeUser",
    "RestUser",
    "RobotUser",
    "SdkUser",
    "StrategyUser",
    "StubUser",
]

ADMINISTRATOR = "admin"
CUSTOMERS = 2_000
"""Brought in for the users of the loop."""

PLAYERS = (
    *(member.username for member in EVERYBODY),
    *sorted({f"bm{manager.branch_id:03}" for manager in MANAGERS}),
    *(MAKER, CHECKER, LAUNCHER, SOURCE),
)
"""Demo users whom the users of the loop play."""

FIRST_TASKS = 300
"""On the desks before they begin."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_arguments(parser: Any) -> None:
    """Let services on other machines be named, and the report be written."""
    parser.add_argument("--target", action="append", default=[], metavar="NAME=HOST:PORT")
    parser.add_argument("--report", default="", metavar="FILE")


@events.init.add_listener  # type: ignore[untyped-decorator]
def find_platform(environment: Any, **_: Any) -> None:
    """Find the services before the first user or channel is made."""
    init_gevent()
    environment.targets = Targets(environment.parsed_options.target)
    environment.host = environment.host or environment.targets.gateway()


@events.init.add_listener  # type: ignore[untyped-decorator]
def count_requests(environment: Any, **_: Any) -> None:
    """Count the requests of each kind of user."""
    environment.made = Counter()

    def count(context: Any, **_: Any) -> None:
        environment.made[context.get("user", "")] += 1

    environment.events.request.add_listener(count)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def create_sequence(environment: Any, **_: Any) -> None:
    """Create the sequence that SDK users take ids from, unless it is there."""
    targets = environment.targets
    request = sequencer_pb2.CreateSequenceRequest(sequence=sequencer_pb2.Sequence(name=SEQUENCE))
    with blocking_channel(targets.grpc("identity")) as identity:
        token = sign_on(identity, ADMINISTRATOR).access_token
    with blocking_channel(targets.grpc("sequencer"), bearer(token)) as channel:
        sequencer_pb2_grpc.SequencerServiceStub(channel).CreateSequence(request)


@events.init.add_listener  # type: ignore[untyped-decorator]
def set_the_stage(environment: Any, **_: Any) -> None:
    """Let a strategy run for the users of the loop, when there are any.

    That takes a few seconds, which are not the run's.
    """
    if not any(issubclass(kind, LoopUser) for kind in environment.user_classes):
        return
    people = environment.people = People(environment.targets)
    for username in PLAYERS:
        people.session(username).header()  # one after another: each costs the bank a password hash
    stage = environment.stage = prepare(people, customers=CUSTOMERS)
    environment.document_id = publish_document(people, f"压测 Load test {stage.run}")
    environment.handed = Handed()
    fill_desks(people, stage, stage.customers[:FIRST_TASKS])


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def strike_the_stage(environment: Any, **_: Any) -> None:
    """End the strategy: a platform that goes on must not go on with it."""
    if hasattr(environment, "stage"):
        with environment.people as people:
            strike(people, environment.stage)


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def write_report(environment: Any, **_: Any) -> None:
    """Write what was counted, once all users have stopped."""
    if environment.parsed_options.report:
        Report.collect(environment).write(Path(environment.parsed_options.report))
