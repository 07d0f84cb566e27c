"""A strategy that runs, with customers of its own: what load tests and benchmarks play on.

Everything is brought in by the public contracts, through generated stubs: customers
by the loader's key, the strategy by the demo's head office. The product and the
script are those of the demo bank's shelf.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Final, TypeVar

from engine.action.v1 import action_pb2
from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2
from engine.decision.v1 import decision_pb2
from engine.reach.v1 import reach_pb2
from engine.simulator.v1 import simulator_pb2
from engine.wecom.v1 import wecom_pb2
from loadtests import strategy
from loadtests.contracts import request_id
from loadtests.people import (
    AGENTS,
    LAUNCHER,
    LOADER,
    MAKER,
    MANAGERS,
    ROBOT,
    SOURCE,
    Member,
    People,
)

BATCH: Final = 2_000
STOCK: Final = 100_000
TALK_S: Final = 90
EVENTS: Final = 100
"""Of a batch that fills desks."""

PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.3
GRADE_DAYS: Final = 365
WORDS: Final = {"greeting": "您好"}
"""What slots are filled with; others say what they are called."""

EVERYBODY: Final = (*MANAGERS, *AGENTS, ROBOT)
"""All who own customers, as far as nothing else is said."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What was set up. `owners` are by customer; every third customer will not answer a call."""

    run: str
    owners: Mapping[int, Member]
    scene_id: int
    scene_version: int
    model_id: int
    activity_id: int
    product_id: int
    script_id: int
    slots: Mapping[str, str]

    @property
    def customers(self) -> Sequence[int]:
        """Tokens of its customers."""
        return list(self.owners)

    @property
    def channel(self) -> str:
        """Channel of the inflows that its model looks at."""
        return strategy.channel_of(self.run)

    def inflow(self, key: str, customer_id: int) -> decision_pb2.BusinessEvent:
        """A large inflow as the core bank hands it in, just now."""
        event = decision_pb2.BusinessEvent(
            event_type=strategy.INFLOW, business_key=f"L-{self.run}-{key}", customer_id=customer_id
        )
        event.occurred_time.FromDatetime(datetime.now(UTC))
        event.numbers["amount_fen"] = strategy.LARGE_FEN
        event.texts["class"] = "SALARY"
        event.texts["channel"] = self.channel
        return event

    @property
    def content(self) -> reach_pb2.Content:
        """The script with its slots filled."""
        return reach_pb2.Content(material_id=self.script_id, slots=self.slots)


@contextmanager
def staged(
    people: People, *, customers: int, owners: Sequence[Member] = EVERYBODY
) -> Iterator[Stage]:
    """A stage for a block; its strategy ends with it."""
    stage = prepare(people, customers=customers, owners=owners)
    try:
        yield stage
    finally:
        strike(people, stage)


def prepare(people: People, *, customers: int, owners: Sequence[Member] = EVERYBODY) -> Stage:
    """Bring in customers, in turn of each owner, and a strategy that waits for their inflows.

    Raises:
        StageError: the platform has no product or script to offer.
        grpc.RpcError: something was refused.
    """
    run = str(time.time_ns() // 1_000_000)
    tokens = _admit(people, run, customers)
    owned = dict(zip(tokens, cycle(owners), strict=False))
    _own(people, owned)
    _bind(people, owned)
    product_id, script = strategy.find_shelf(people)
    activity_id = strategy.open_activity(people, f"LOAD-{run}", STOCK)
    scene = strategy.draft_scene(people, f"load_test_{run}", script, product_id, activity_id)
    model_id, backtest_id = strategy.draft_model(people, run, scene)
    scene_version = strategy.launch_scene(people, scene, backtest_id)
    strategy.launch_model(people, model_id)
    return Stage(
        run=run,
        owners=owned,
        scene_id=scene,
        scene_version=scene_version,
        model_id=model_id,
        activity_id=activity_id,
        product_id=product_id,
        script_id=script.definition.definition_id,
        slots={name: WORDS.get(name, name) for name in script.slots},
    )


def fill_desks(people: People, stage: Stage, customers: Sequence[int]) -> Sequence[action_pb2.Task]:
    """Let money come in for these customers; the open tasks, once there is one for each.

    Raises:
        StageError: that took more than `PATIENCE_S`.
    """
    for batch in slices(customers, EVENTS):
        events = [stage.inflow(f"F-{token}", token) for token in batch]
        request = decision_pb2.IngestRequest(events=events, request_id=request_id())
        people.ask(SOURCE, request)
    limit = time.monotonic() + PATIENCE_S
    while len(tasks := _open_tasks(people, stage)) < len(customers):
        if time.monotonic() > limit:
            raise strategy.StageError(
                f"{len(tasks)} of {len(customers)} tasks after {PATIENCE_S} s"
            )
        time.sleep(LOOK_S)
    return tasks


def strike(people: People, stage: Stage) -> None:
    """Stop the strategy for good: open tasks are recalled, no event fires its model any more."""
    pause = decision_pb2.PauseModelRequest(model_id=stage.model_id, request_id=request_id())
    people.ask(LAUNCHER, pause)
    end = action_pb2.EndSceneRequest(scene_id=stage.scene_id, request_id=request_id())
    people.ask(MAKER, end)


def slices(rows: Sequence[Row], size: int = BATCH) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _admit(people: People, run: str, count: int) -> Sequence[int]:
    """Customers whose data is made up: the Ark answers their tokens."""
    records = [
        ark_pb2.CustomerRecord(
            cif=f"{run}{number:07}",
            name="压测客户",
            phone=f"139{number:08}",
            id_card=f"{run[-11:]}{number:06}X",
        )
        for number in range(count)
    ]
    batches = [
        people.ask(LOADER, ark_pb2.ImportCustomersRequest(records=batch)).tokens
        for batch in slices(records)
    ]
    return [token.customer_id for batch in batches for token in batch]


def _own(people: People, owners: Mapping[int, Member]) -> None:
    expiry = datetime.now(UTC) + timedelta(days=GRADE_DAYS)
    customers = []
    for token, owner in owners.items():
        customer = customer_pb2.Customer(
            customer_id=token,
            tier=customer_pb2.TIER_AUM20,
            risk_grade=customer_pb2.RISK_GRADE_C3,
            owner_id=owner.staff_id,
            branch_id=owner.branch_id,
            owner_kind=owner.kind,
            has_wecom=True,
        )
        customer.shares.add(staff_id=owner.staff_id, share_bp=10_000, branch_id=owner.branch_id)
        customer.risk_grade_expire_time.FromDatetime(expiry)
        customers.append(customer)
    for batch in slices(customers):
        people.ask(LOADER, customer_pb2.ImportCustomersRequest(customers=batch))


def _bind(people: People, owners: Mapping[int, Member]) -> None:
    """Let customers be reached: all in WeCom, two in three by telephone."""
    for batch in slices(list(owners.items())):
        bindings = [
            wecom_pb2.Binding(
                customer_id=token, external_userid=f"load-{token}", staff_id=owner.staff_id
            )
            for token, owner in batch
        ]
        people.ask(LOADER, wecom_pb2.BindContactsRequest(bindings=bindings))
        calls = simulator_pb2.PlanCallsRequest()
        for place, (token, _) in enumerate(batch):
            plan = calls.plans.add(customer_id=token, answered=place % 3 > 0)
            plan.talk_time.FromSeconds(TALK_S if plan.answered else 0)
        people.ask(LOADER, calls)


def _open_tasks(people: People, stage: Stage) -> Sequence[action_pb2.Task]:
    listing = action_pb2.ListMyTasksRequest(scene_id=stage.scene_id, page_size=strategy.PAGE)
    owners = {owner.username for owner in stage.owners.values()}
    return [task for owner in owners for task in people.ask(owner, listing).tasks]
