"""The strategy of a load test: a scene, the model that feeds it, the benefit that it offers.

Product and script are those of the demo bank's shelf.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.decision.v1 import decision_pb2
from engine.materials.v1 import materials_pb2
from engine.product.v1 import product_pb2
from engine.reach.v1 import reach_pb2
from loadtests.contracts import request_id
from loadtests.people import CHECKER, LAUNCHER, MAKER, People

INFLOW: Final = "core.inflow"
LARGE_FEN: Final = 1_000_000
"""Large for this strategy, small for those of the demo: theirs do not fire on it."""

PAGE: Final = 1_000


class StageError(Exception):
    """The platform lacks what the stage is built of; the text says what to do."""


def channel_of(run: str) -> str:
    """The channel of a run's inflows, so that its model fires on no others."""
    return f"LOAD-{run}"


def find_shelf(people: People) -> tuple[int, materials_pb2.Material]:
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
