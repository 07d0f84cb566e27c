"""A strategy that runs, with customers of its own: what load tests and benchmarks play on.

Everything is brought in by the public contracts, through generated stubs: customers
by the loader's key, the strategy by the demo's head office. The product and the
script are those of the demo bank's shelf.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import cycle
from typing import Final, TypeVar

from engine.action.v1 import action_pb2
from engine.ark.v1 import ark_pb2
from engine.benefits.v1 import benefits_pb2
from engine.customer.v1 import customer_pb2
from engine.decision.v1 import decision_pb2
from engine.materials.v1 import materials_pb2
from engine.product.v1 import product_pb2
from engine.reach.v1 import reach_pb2
from engine.simulator.v1 import simulator_pb2
from engine.wecom.v1 import wecom_pb2
from loadtests.people import (
    AGENTS,
    CHECKER,
    LAUNCHER,
    LOADER,
    MAKER,
    MANAGERS,
    ROBOT,
    Member,
    People,
)

INFLOW: Final = "core.inflow"
LARGE_FEN: Final = 1_000_000
"""Large for this strategy, small for those of the demo: theirs do not fire on it."""

BATCH: Final = 2_000
STOCK: Final = 100_000
PAGE: Final = 1_000
TALK_S: Final = 90
GRADE_DAYS: Final = 365
DOCUMENT_PAGES: Final = 12
CHUNK_BYTES: Final = 1 << 20
WORDS: Final = {"greeting": "您好"}
"""What slots are filled with; others say what they are called."""

EVERYBODY: Final = (*MANAGERS, *AGENTS, ROBOT)
"""All who own customers, as far as nothing else is said."""

Row = TypeVar("Row")


class StageError(Exception):
    """The platform lacks what the stage is built of; the text says what to do."""


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
        return channel_of(self.run)

    def inflow(self, key: str, customer_id: int) -> decision_pb2.BusinessEvent:
        """A large inflow as the core bank hands it in, just now."""
        event = decision_pb2.BusinessEvent(
            event_type=INFLOW, business_key=f"L-{self.run}-{key}", customer_id=customer_id
        )
        event.occurred_time.FromDatetime(datetime.now(UTC))
        event.numbers["amount_fen"] = LARGE_FEN
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
    product_id, script = _shelf(people)
    activity_id = open_activity(people, f"LOAD-{run}", STOCK)
    scene = draft_scene(people, f"load_test_{run}", script, product_id, activity_id)
    model_id, backtest_id = draft_model(people, run, scene)
    scene_version = launch_scene(people, scene, backtest_id)
    launch_model(people, model_id)
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


def strike(people: People, stage: Stage) -> None:
    """Stop the strategy for good: open tasks are recalled, no event fires its model any more."""
    pause = decision_pb2.PauseModelRequest(model_id=stage.model_id, request_id=request_id())
    people.ask(LAUNCHER, pause)
    end = action_pb2.EndSceneRequest(scene_id=stage.scene_id, request_id=request_id())
    people.ask(MAKER, end)


def channel_of(run: str) -> str:
    """The channel of a run's inflows, so that its model fires on no others."""
    return f"LOAD-{run}"


def request_id() -> str:
    """A new idempotency key."""
    return uuid.uuid4().hex


def slices(rows: Sequence[Row], size: int = BATCH) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def draft_scene(
    people: People,
    objective: str,
    script: materials_pb2.Material,
    product_id: int,
    activity_id: int,
) -> int:
    """Draft a scene that holds nobody out; its id."""
    node = action_pb2.Node(
        name="首次触达 First contact",
        guidance="24 小时内联系客户。Contact the customer within a day.",
        channels=[reach_pb2.CHANNEL_WECOM, reach_pb2.CHANNEL_CALL, reach_pb2.CHANNEL_SMS],
        script_ids=[script.definition.definition_id],
        product_id=product_id,
        activity_id=activity_id,
    )
    scene = action_pb2.Scene(
        name=f"压测 {objective}",
        objective=objective,
        business=action_pb2.BUSINESS_WEALTH,
        nodes=[node],
        success_metric="net_external_inflow",
    )
    request = action_pb2.DraftSceneRequest(scene=scene, request_id=request_id())
    made: int = people.ask(MAKER, request).scene.definition.definition_id
    return made


def draft_model(people: People, run: str, scene_id: int) -> tuple[int, int]:
    """Draft and test a model that fires on large inflows of a run; its id and the test's."""
    model = decision_pb2.Model(
        name=f"压测 Load test {run}",
        event_type=INFLOW,
        filter=f"channel == '{channel_of(run)}'",
        scene_id=scene_id,
    )
    model.threshold.at_least = LARGE_FEN
    model.cooldown.FromTimedelta(timedelta(days=1))
    draft = decision_pb2.DraftModelRequest(model=model, request_id=request_id())
    model_id: int = people.ask(MAKER, draft).model.definition.definition_id
    test = decision_pb2.BacktestModelRequest(model_id=model_id, days=1, request_id=request_id())
    return model_id, people.ask(MAKER, test).backtest.backtest_id


def launch_scene(people: People, scene_id: int, backtest_id: int) -> int:
    """Simulate, submit, approve and launch the scene; the version that runs."""
    simulate = action_pb2.SimulateSceneRequest(
        scene_id=scene_id, backtest_id=backtest_id, request_id=request_id()
    )
    people.ask(MAKER, simulate)
    people.ask(MAKER, action_pb2.SubmitSceneRequest(scene_id=scene_id, request_id=request_id()))
    people.ask(CHECKER, action_pb2.ApproveSceneRequest(scene_id=scene_id, request_id=request_id()))
    launch = action_pb2.LaunchSceneRequest(scene_id=scene_id, request_id=request_id())
    version: int = people.ask(MAKER, launch).scene.scene_version
    return version


def launch_model(people: People, model_id: int) -> None:
    """Submit and launch the model."""
    submit = decision_pb2.SubmitModelRequest(model_id=model_id, request_id=request_id())
    people.ask(MAKER, submit)
    launch = decision_pb2.LaunchModelRequest(model_id=model_id, request_id=request_id())
    people.ask(LAUNCHER, launch)


def open_activity(people: People, sku: str, stock: int) -> int:
    """Open an activity with so much stock; its id."""
    activity = benefits_pb2.Activity(
        name=f"压测 {sku}", sku=sku, benefit_type=benefits_pb2.BENEFIT_TYPE_LOUNGE, cost_fen=8_800
    )
    draft = benefits_pb2.DraftActivityRequest(activity=activity, request_id=request_id())
    activity_id: int = people.ask(MAKER, draft).activity.definition.definition_id
    whose = {"activity_id": activity_id}
    people.ask(MAKER, benefits_pb2.SubmitActivityRequest(**whose, request_id=request_id()))
    people.ask(CHECKER, benefits_pb2.ApproveActivityRequest(**whose, request_id=request_id()))
    issue = benefits_pb2.IssueStockRequest(**whose, quantity=stock, request_id=request_id())
    people.ask(CHECKER, issue)
    return activity_id


def publish_document(people: People, title: str) -> int:
    """Bring in a PDF document and approve it; its id."""
    material = materials_pb2.Material(material_type=materials_pb2.MATERIAL_TYPE_PDF, title=title)
    draft = materials_pb2.DraftMaterialRequest(material=material, request_id=request_id())
    material_id: int = people.ask(MAKER, draft).material.definition.definition_id
    for offset, chunk in enumerate(slices(document(DOCUMENT_PAGES), CHUNK_BYTES)):
        upload = materials_pb2.UploadContentRequest(
            material_id=material_id, offset=offset * CHUNK_BYTES, chunk=bytes(chunk)
        )
        people.ask(MAKER, upload)
    whose = {"material_id": material_id}
    people.ask(MAKER, materials_pb2.SubmitMaterialRequest(**whose, request_id=request_id()))
    people.ask(CHECKER, materials_pb2.ApproveMaterialRequest(**whose, request_id=request_id()))
    return material_id


def document(pages: int) -> bytes:
    """A PDF document of blank pages."""
    import pikepdf

    written = BytesIO()
    with pikepdf.new() as pdf:
        for _ in range(pages):
            pdf.add_blank_page()
        pdf.save(written)
    return written.getvalue()


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


def _shelf(people: People) -> tuple[int, materials_pb2.Material]:
    """A wealth product on sale, and a published script that speaks of it alone."""
    listing = product_pb2.ListProductsRequest(
        product_class=product_pb2.PRODUCT_CLASS_WEALTH, page_size=PAGE
    )
    on_sale = {
        product.definition.definition_id
        for product in people.ask(MAKER, listing).products
        if product.status == product_pb2.PRODUCT_STATUS_ON_SALE
        and product.risk <= product_pb2.PRODUCT_RISK_R3
    }
    scripts = materials_pb2.ListMaterialsRequest(
        material_type=materials_pb2.MATERIAL_TYPE_SCRIPT, page_size=PAGE
    )
    for script in people.ask(MAKER, scripts).materials:
        published = script.status == materials_pb2.MATERIAL_STATUS_PUBLISHED
        if published and len(script.product_ids) == 1 and script.product_ids[0] in on_sale:
            return script.product_ids[0], script
    raise StageError(
        "No script speaks of one product on sale: start the platform with ENGINE_DEMO=1"
    )
