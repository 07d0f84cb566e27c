"""Head office: watches the strategy that runs."""

from __future__ import annotations

import secrets
from typing import Final

from locust import task

from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.decision.v1 import decision_pb2
from engine.learning.v1 import learning_pb2
from engine.materials.v1 import materials_pb2
from engine.performance.v1 import performance_pb2
from engine.product.v1 import product_pb2
from engine.review.v1 import review_pb2
from loadtests.contracts import request_id
from loadtests.people import CHECKER, MAKER, MANAGERS
from loadtests.users.loop import LoopUser

REVOKE_REFUSED: Final = frozenset({"ALREADY_REDEEMED", "NOT_GRANTED"})


class HeadOfficeUser(LoopUser):
    """An operator of head office who reads."""

    @task(4)
    def watch_the_model(self) -> None:
        """What became of the events, what fired, and why it did not for one customer."""
        model_id = self.stage.model_id
        self.ask(MAKER, decision_pb2.ListModelsRequest(page_size=20))
        self.ask(MAKER, decision_pb2.GetModelRequest(model_id=model_id))
        said = self.ask(MAKER, decision_pb2.GetModelStatisticsRequest(model_id=model_id)).statistics
        assert said.received == said.unique + said.duplicates, "Events are lost in the statistics"
        self.ask(MAKER, decision_pb2.ListTriggersRequest(model_id=model_id, page_size=20))
        customer_id = secrets.choice(self.stage.customers)
        self.ask(MAKER, decision_pb2.WhyNotRequest(model_id=model_id, customer_id=customer_id))

    @task(4)
    def watch_the_scene(self) -> None:
        """Its opportunities, its funnel, and what it is worth."""
        scene_id, version = self.stage.scene_id, self.stage.scene_version
        self.ask(MAKER, action_pb2.ListScenesRequest(page_size=20))
        self.ask(MAKER, action_pb2.GetSceneRequest(scene_id=scene_id))
        self.ask(MAKER, action_pb2.ListOpportunitiesRequest(scene_id=scene_id, page_size=50))
        funnel = self.ask(MAKER, review_pb2.GetFunnelRequest(scene_version=version)).funnel
        counts = {stage.name: stage.count for stage in funnel.stages}
        assert counts["treated"] <= counts["opportunities"], "More were treated than there are"
        self.ask(MAKER, review_pb2.GetEffectRequest(scene_version=version))
        totals = performance_pb2.GetTotalsRequest(
            metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW, scene_version=version
        )
        self.ask(MAKER, totals)

    @task(2)
    def look_through_the_shelf(self) -> None:
        """Products, materials, activities, and who is qualified."""
        products = self.ask(MAKER, product_pb2.ListProductsRequest(page_size=50)).products
        chosen = secrets.choice(products).definition.definition_id
        self.ask(MAKER, product_pb2.GetProductRequest(product_id=chosen))
        self.ask(MAKER, materials_pb2.ListMaterialsRequest(page_size=50))
        self.ask(MAKER, materials_pb2.GetMaterialRequest(material_id=self.stage.script_id))
        self.ask(MAKER, benefits_pb2.ListActivitiesRequest(page_size=50))
        activity = benefits_pb2.GetActivityRequest(activity_id=self.stage.activity_id)
        stock = self.ask(MAKER, activity).activity.stock
        held = stock.available + stock.granted + stock.redeemed
        assert stock.issued == held, "The stock does not balance"
        staff_id = secrets.choice(MANAGERS).staff_id
        self.ask(MAKER, learning_pb2.ListQualificationsRequest(staff_id=staff_id))

    @task(2)
    def take_back_a_grant(self) -> None:
        """Take a benefit back that was given; it goes to who waits, or into stock."""
        if self.handed.grants:
            revoke = benefits_pb2.RevokeGrantRequest(
                grant_id=self.handed.grants.popleft(), reason="LOAD_TEST", request_id=request_id()
            )
            self.ask(MAKER, revoke, REVOKE_REFUSED)

    @task(1)
    def check_the_log(self) -> None:
        """Compliance follows the behaviour log from its first entry on."""
        found = self.ask(CHECKER, review_pb2.CheckLogRequest())
        assert not found.broken_at, f"The behaviour log is broken at {found.broken_at}"
