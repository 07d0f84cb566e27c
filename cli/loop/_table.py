"""The table of the loop: what must be found, and what the platform says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc

from bank.inflow import EXPECTED
from cli.loop._strategy import Strategy
from cli.loop.catalogue import MAKER
from cli.loop.people import People, tried, until
from cli.loop.report import Line
from engine.decision.v1 import decision_pb2, decision_pb2_grpc
from engine.performance.v1 import performance_pb2, performance_pb2_grpc
from engine.review.v1 import review_pb2, review_pb2_grpc

if TYPE_CHECKING:
    from engine.decision.v1.decision_pb2_grpc import DecisionServiceAsyncStub
    from engine.performance.v1.performance_pb2_grpc import PerformanceServiceAsyncStub
    from engine.review.v1.review_pb2_grpc import ReviewServiceAsyncStub

_TITLES: Final[Mapping[str, str]] = {
    "injected": "events handed in 注入流水",
    "unique": "unique after deduplication 去重后",
    "above_threshold": "above the personal threshold 超个人阈值",
    "excluded_loan": "excluded: loan disbursement 剔除放款",
    "excluded_internal": "excluded: own transfer, redemption 剔除行内互转与赎回",
    "reversed_before": "reversed before evaluation 评估前冲正",
    "opportunities": "opportunities 商机",
    "held_out": "held out by hash 留出对照",
    "treated": "treated 实验组",
    "opted_out": "suppressed: opted out 已拒收",
    "same_objective": "suppressed: open task, same objective 同目标任务",
    "tasks": "tasks 任务",
    "tasks_rm": "… of relationship managers 客户经理",
    "tasks_do": "… of direct operations 线上直营",
    "tasks_robot": "… of robots 机器人",
    "reversed_after": "cancelled by reversal 冲正撤销",
    "live": "live 有效任务",
    "receipts": "admission receipts 准入凭证",
    "admitted": "admitted 准入",
    "deferred": "deferred: quiet hours 免打扰延后",
    "denied_cap": "denied: cap 频控拒绝",
    "wecom_created": "WeCom created 企微创建",
    "wecom_confirmed": "WeCom confirmed by staff 员工确认",
    "wecom_delivered": "WeCom delivered 企微送达",
    "calls": "calls 外呼",
    "effective_calls": "calls of a minute or more 有效通话",
    "reached": "reached 触达",
    "intent": "intent 有意向",
    "claimed": "pressed claim 申领",
    "granted": "granted 发放",
    "wait_listed": "wait-listed 候补",
    "converted": "converted, treated 转化（实验组）",
    "converted_holdout": "converted, held out 转化（对照组）",
    "inflow_fen": "net external inflow, fen 行外净流入（分）",
    "ledger_fen": "owners + unallocated, fen 归属合计（分）",
    "split_customers": "customers split 70/30 分润客户",
    "treated_rate": "rate, treated 实验组转化率",
    "holdout_rate": "rate, held out 对照组转化率",
    "lift": "lift, 95 % interval 提升及区间",
}

_EXPECTED_TEXTS: Final = {
    "treated_rate": "8.1 %",
    "holdout_rate": "3.1 %",
    "lift": "5.0 pp [1.7, 8.4]",
    "ledger_fen": f"{EXPECTED['inflow_fen']:,}",
}
_STAGES: Final = {
    "opportunities": "opportunities",
    "treated": "treated",
    "tasks": "tasks",
    "reached": "reached",
    "intent": "intent",
    "converted": "converted",
}
_COUNTS: Final = {
    "held_out": "held_out",
    "opted_out": "suppressed_opted_out",
    "same_objective": "suppressed_same_objective",
    "tasks_rm": "tasks_rm",
    "tasks_do": "tasks_do",
    "tasks_robot": "tasks_robot",
    "reversed_after": "cancelled_reversed",
    "receipts": "receipts",
    "admitted": "admitted",
    "deferred": "deferred",
    "denied_cap": "denied_cap",
    "wecom_created": "wecom_created",
    "wecom_confirmed": "wecom_confirmed",
    "wecom_delivered": "wecom_delivered",
    "calls": "calls",
    "effective_calls": "effective_calls",
    "claimed": "claimed",
    "granted": "granted",
    "wait_listed": "wait_listed",
}


class Findings:
    """Asks the platform what it found of one strategy, as head office."""

    def __init__(self, people: People, strategy: Strategy) -> None:
        self._strategy = strategy
        self._decision: DecisionServiceAsyncStub = decision_pb2_grpc.DecisionServiceStub(
            people.as_user(MAKER, "decision")
        )
        self._review: ReviewServiceAsyncStub = review_pb2_grpc.ReviewServiceStub(
            people.as_user(MAKER, "review")
        )
        self._performance: PerformanceServiceAsyncStub = (
            performance_pb2_grpc.PerformanceServiceStub(people.as_user(MAKER, "performance"))
        )

    async def reach(self, **expected: int) -> None:
        """Wait until the funnel says so, a minute at most; it is told by events."""

        def enough(found: Mapping[str, int]) -> bool:
            return all(found[name] == number for name, number in expected.items())

        await until(self._funnel, enough)

    async def table(self) -> Sequence[Line]:
        """The whole table, once the last events have arrived or a minute is over."""
        await self.reach(**{name: EXPECTED[name] for name in (*_STAGES, *_COUNTS)})
        found = await self._statistics()
        found |= {name: f"{number:,}" for name, number in (await self._funnel()).items()}
        found |= await self._totals()
        found |= await self._effect()
        return list(_lines(found))

    async def _funnel(self) -> Mapping[str, int]:
        request = review_pb2.GetFunnelRequest(scene_version=self._strategy.scene_version)
        try:
            funnel = (await tried(lambda: self._review.GetFunnel(request))).funnel
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            funnel = review_pb2.Funnel()  # the launch has not been told yet
        stages = {stage.name: stage.count for stage in funnel.stages}
        found = {name: stages.get(stage, 0) for name, stage in _STAGES.items()}
        found |= {name: funnel.counts.get(count, 0) for name, count in _COUNTS.items()}
        return found | {"live": found["tasks"] - found["reversed_after"]}

    async def _statistics(self) -> dict[str, str]:
        request = decision_pb2.GetModelStatisticsRequest(model_id=self._strategy.model_id)
        answer = await tried(lambda: self._decision.GetModelStatistics(request))
        statistics = answer.statistics
        excluded: Mapping[str, int] = statistics.excluded
        numbers = {
            "injected": statistics.received,
            "unique": statistics.unique,
            "above_threshold": statistics.above_threshold,
            "excluded_loan": excluded.get("LOAN_DISBURSEMENT", 0),
            "excluded_internal": excluded.get("INTERNAL_OWN", 0) + excluded.get("REDEMPTION", 0),
            "reversed_before": statistics.verdicts.get("VERDICT_REVERSED", 0),
        }
        return {name: f"{number:,}" for name, number in numbers.items()}

    async def _totals(self) -> dict[str, str]:
        request = performance_pb2.GetTotalsRequest(
            metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW,
            scene_version=self._strategy.scene_version,
        )

        def enough(answer: performance_pb2.GetTotalsResponse) -> bool:
            # A result that comes before its cause was told is credited once it is: to its
            # scene when the opportunity is, to its owners when the contact is.
            found = (answer.total_fen, answer.split_customers)
            return found == (EXPECTED["inflow_fen"], EXPECTED["split_customers"])

        totals = await until(lambda: self._performance.GetTotals(request), enough)
        ledger = totals.unallocated_fen + sum(
            owner.amount_fen for owner in totals.owners if owner.owner_id
        )
        numbers = {
            "inflow_fen": totals.total_fen,
            "ledger_fen": ledger,
            "split_customers": totals.split_customers,
        }
        return {name: f"{number:,}" for name, number in numbers.items()}

    async def _effect(self) -> dict[str, str]:
        request = review_pb2.GetEffectRequest(scene_version=self._strategy.scene_version)

        def enough(answer: review_pb2.GetEffectResponse) -> bool:
            return answer.effect.holdout.converted == EXPECTED["converted_holdout"]

        answer = await until(lambda: self._review.GetEffect(request), enough)
        return _effect_texts(answer.effect)


def _effect_texts(effect: review_pb2.Effect) -> dict[str, str]:
    found = {"converted_holdout": f"{effect.holdout.converted:,}"}
    if effect.hidden_because:
        return found | dict.fromkeys(("treated_rate", "holdout_rate", "lift"), "hidden")
    low, high = effect.lift_low_ppm / 1e4, effect.lift_high_ppm / 1e4
    return found | {
        "treated_rate": f"{effect.treated.rate_ppm / 1e4:.1f} %",
        "holdout_rate": f"{effect.holdout.rate_ppm / 1e4:.1f} %",
        "lift": f"{effect.lift_ppm / 1e4:.1f} pp [{low:.1f}, {high:.1f}]",
    }


def _lines(found: Mapping[str, Any]) -> Iterator[Line]:
    for key, title in _TITLES.items():
        expected = _EXPECTED_TEXTS.get(key) or f"{EXPECTED[key]:,}"
        yield Line(key=key, title=title, expected=expected, found=found.get(key, "–"))
