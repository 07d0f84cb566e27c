"""Head office writes: strategies, and what is on the shelf; another one approves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from locust import between, task

from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.decision.v1 import decision_pb2
from engine.learning.v1 import learning_pb2
from engine.materials.v1 import materials_pb2
from engine.product.v1 import product_pb2
from loadtests.contracts import request_id
from loadtests.document import PAGES, document
from loadtests.people import CHECKER, LAUNCHER, MAKER
from loadtests.strategy import INFLOW
from loadtests.users.loop import LoopUser

TRAINEE: Final = 8_888
"""A member of staff of nobody's demo, who is qualified and loses it again."""

TERM_DAYS: Final = 30


class StrategyUser(LoopUser):
    """Plays the whole life of a strategy that no event ever fires."""

    wait_time = between(2, 4)

    @task
    def play(self) -> None:
        """Draft, change, test, launch, pause, resume, replace, roll back, end."""
        scene = self._scene(request_id()[:12])
        drafted = self.ask(MAKER, action_pb2.DraftSceneRequest(scene=scene)).scene
        whose = {"scene_id": drafted.definition.definition_id}
        scene.definition.etag = drafted.definition.etag
        scene.nodes[0].guidance = "Changed"
        self.ask(MAKER, action_pb2.UpdateSceneRequest(**whose, scene=scene))
        model_id, backtest_id = self._model(whose["scene_id"])
        self._launch(whose, backtest_id)
        self._play_model(model_id)
        self.ask(MAKER, action_pb2.PauseSceneRequest(**whose, request_id=request_id()))
        self.ask(MAKER, action_pb2.ResumeSceneRequest(**whose, request_id=request_id()))
        scene.definition.Clear()
        scene.definition.definition_id = whose["scene_id"]
        self.ask(MAKER, action_pb2.DraftSceneRequest(scene=scene, request_id=request_id()))
        self._launch(whose, backtest_id)
        back = self.ask(MAKER, action_pb2.RollBackSceneRequest(**whose, request_id=request_id()))
        assert back.scene.scene_version == drafted.scene_version, "Back to another version"
        self.ask(MAKER, action_pb2.EndSceneRequest(**whose, request_id=request_id()))

    def _launch(self, whose: dict[str, Any], backtest_id: int) -> None:
        simulate = action_pb2.SimulateSceneRequest(
            **whose, backtest_id=backtest_id, request_id=request_id()
        )
        self.ask(MAKER, simulate)
        self.ask(MAKER, action_pb2.SubmitSceneRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, action_pb2.ApproveSceneRequest(**whose, request_id=request_id()))
        self.ask(MAKER, action_pb2.LaunchSceneRequest(**whose, request_id=request_id()))

    def _model(self, scene_id: int) -> tuple[int, int]:
        model = decision_pb2.Model(
            name="压测 Load test", event_type=INFLOW, filter="channel == 'NONE'", scene_id=scene_id
        )
        draft = decision_pb2.DraftModelRequest(model=model, request_id=request_id())
        model.definition.CopyFrom(self.ask(MAKER, draft).model.definition)
        model_id = model.definition.definition_id
        model.cooldown.FromTimedelta(timedelta(days=2))
        self.ask(MAKER, decision_pb2.UpdateModelRequest(model_id=model_id, model=model))
        test = decision_pb2.BacktestModelRequest(model_id=model_id, days=1, request_id=request_id())
        return model_id, self.ask(MAKER, test).backtest.backtest_id

    def _play_model(self, model_id: int) -> None:
        whose = {"model_id": model_id}
        self.ask(MAKER, decision_pb2.SubmitModelRequest(**whose, request_id=request_id()))
        self.ask(LAUNCHER, decision_pb2.LaunchModelRequest(**whose, request_id=request_id()))
        self.ask(LAUNCHER, decision_pb2.PauseModelRequest(**whose, request_id=request_id()))
        self.ask(LAUNCHER, decision_pb2.ResumeModelRequest(**whose, request_id=request_id()))
        self.ask(LAUNCHER, decision_pb2.PauseModelRequest(**whose, request_id=request_id()))

    @staticmethod
    def _scene(name: str) -> action_pb2.Scene:
        return action_pb2.Scene(
            name=f"压测 {name}",
            objective=f"load_test_{name}",
            business=action_pb2.BUSINESS_SERVICE,
            nodes=[action_pb2.Node(name="回访 Call")],
            success_metric="net_external_inflow",
        )


class CatalogueUser(LoopUser):
    """Puts things on the shelf and takes them off again, so that it stays as it was."""

    wait_time = between(2, 4)

    @task
    def product(self) -> None:
        """A product: on sale, suspended, on sale, suspended for good."""
        product = product_pb2.Product(
            code=f"LT-{request_id()[:12].upper()}",
            name="压测产品 Load test",
            product_class=product_pb2.PRODUCT_CLASS_WEALTH,
            issuer_risk=product_pb2.PRODUCT_RISK_R5,
            own_risk=product_pb2.PRODUCT_RISK_R5,
        )
        draft = product_pb2.DraftProductRequest(product=product, request_id=request_id())
        made = self.ask(MAKER, draft).product
        whose = {"product_id": made.definition.definition_id}
        self.ask(MAKER, product_pb2.SubmitProductRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, product_pb2.ApproveProductRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, product_pb2.SuspendProductRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, product_pb2.ResumeProductRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, product_pb2.SuspendProductRequest(**whose, request_id=request_id()))

    @task
    def material(self) -> None:
        """A document: uploaded, approved, recalled."""
        material = materials_pb2.Material(
            material_type=materials_pb2.MATERIAL_TYPE_PDF, title="压测 Load test"
        )
        draft = materials_pb2.DraftMaterialRequest(material=material, request_id=request_id())
        made = self.ask(MAKER, draft).material
        whose = {"material_id": made.definition.definition_id}
        chunk = document()
        self.ask(MAKER, materials_pb2.UploadContentRequest(**whose, chunk=chunk))
        submit = materials_pb2.SubmitMaterialRequest(**whose, request_id=request_id())
        submitted = self.ask(MAKER, submit).material
        assert submitted.pages == PAGES, "Pages are lost"
        self.ask(CHECKER, materials_pb2.ApproveMaterialRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, materials_pb2.RecallMaterialRequest(**whose, request_id=request_id()))

    @task
    def activity(self) -> None:
        """A benefit with a little stock."""
        activity = benefits_pb2.Activity(
            name="压测 Load test",
            sku=f"LOAD-{request_id()[:12].upper()}",
            benefit_type=benefits_pb2.BENEFIT_TYPE_POINTS,
        )
        draft = benefits_pb2.DraftActivityRequest(activity=activity, request_id=request_id())
        made = self.ask(MAKER, draft).activity
        whose = {"activity_id": made.definition.definition_id}
        self.ask(MAKER, benefits_pb2.SubmitActivityRequest(**whose, request_id=request_id()))
        self.ask(CHECKER, benefits_pb2.ApproveActivityRequest(**whose, request_id=request_id()))
        issue = benefits_pb2.IssueStockRequest(**whose, quantity=7, request_id=request_id())
        assert self.ask(CHECKER, issue).stock.available == 7, "Another stock"

    @task
    def qualification(self) -> None:
        """A qualification: issued, and revoked at once."""
        code = f"LOAD_{request_id()[:12].upper()}"
        issue = learning_pb2.IssueQualificationRequest(
            staff_id=TRAINEE, code=code, source="LOAD_TEST", request_id=request_id()
        )
        issue.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=TERM_DAYS))
        self.ask(MAKER, issue)
        revoke = learning_pb2.RevokeQualificationRequest(
            staff_id=TRAINEE, code=code, reason="LOAD_TEST", request_id=request_id()
        )
        revoked = self.ask(MAKER, revoke).qualification
        assert revoked.state == learning_pb2.QUALIFICATION_STATE_REVOKED, "Not revoked"
