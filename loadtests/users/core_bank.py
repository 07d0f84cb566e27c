"""The core bank: hands in money that moved, some of it twice, and takes some of it back."""

from __future__ import annotations

import secrets
from collections import deque
from datetime import datetime
from typing import Final

from locust import between, task

from engine.decision.v1 import decision_pb2
from engine.performance.v1 import performance_pb2
from loadtests.contracts import request_id
from loadtests.people import SOURCE
from loadtests.strategy import INFLOW
from loadtests.users.loop import LoopUser
from mesh.zone import BANK_ZONE

EVENTS: Final = 10
"""In a batch."""

TWICE: Final = 2
"""Of a batch, handed in a second time."""

TAKEN_BACK: Final = 1
"""Of the batches before, for each batch."""

RESULTS: Final = 5
MEMORY: Final = 200


class CoreBankUser(LoopUser):
    """A system of the bank, on its own account."""

    wait_time = between(1, 2)

    def on_start(self) -> None:
        """Begin with a batch of events, so that even a short run has one."""
        self._events: deque[str] = deque(maxlen=MEMORY)
        self._results: deque[str] = deque(maxlen=MEMORY)
        self.hand_in_events()

    @task(3)
    def hand_in_events(self) -> None:
        """A batch of inflows with repetitions, and a reversal of an earlier one."""
        customers = self.stage.customers
        events = [self.stage.inflow(request_id(), secrets.choice(customers)) for _ in range(EVENTS)]
        taken_back = [self._reversal(key) for key in _some(self._events, TAKEN_BACK)]
        request = decision_pb2.IngestRequest(
            events=[*events, *events[:TWICE]], reversals=taken_back, request_id=request_id()
        )
        answer = self.ask(SOURCE, request)
        assert (answer.stored, answer.duplicates) == (EVENTS, TWICE), "Not each event once"
        assert answer.reversed == len(taken_back), "Not each reversal once"
        self._events.extend(event.business_key for event in events)

    @task(1)
    def record_results(self) -> None:
        """Money that stayed, one part twice, and one part taken back."""
        results = [self._result() for _ in range(RESULTS)]
        taken_back = [_taken_back(key) for key in _some(self._results, TAKEN_BACK)]
        request = performance_pb2.RecordResultsRequest(
            results=[*results, results[0]], reversals=taken_back, request_id=request_id()
        )
        answer = self.ask(SOURCE, request)
        assert (answer.recorded, answer.duplicates) == (RESULTS, 1), "Not each result once"
        assert answer.reversed == len(taken_back), "Not each reversal once"
        self._results.extend(result.business_key for result in results)

    def _result(self) -> performance_pb2.Result:
        result = performance_pb2.Result(
            metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW,
            business_key=f"LR-{request_id()}",
            customer_id=secrets.choice(self.stage.customers),
            amount_fen=1 + secrets.randbelow(10_000_000),
            money_class="OWN_OTHER_BANK",
            business_date=_today(),
        )
        result.occurred_time.GetCurrentTime()
        return result

    @staticmethod
    def _reversal(key: str) -> decision_pb2.Reversal:
        reversal = decision_pb2.Reversal(event_type=INFLOW, business_key=key, reason="CORRECTED")
        reversal.occurred_time.GetCurrentTime()
        return reversal


def _taken_back(key: str) -> performance_pb2.ResultReversal:
    return performance_pb2.ResultReversal(
        metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW,
        business_key=key,
        business_date=_today(),
        reason="CORRECTED",
    )


def _some(keys: deque[str], count: int) -> list[str]:
    """The oldest of them, each of which is taken once."""
    return [keys.popleft() for _ in range(min(count, len(keys)))]


def _today() -> str:
    return datetime.now(BANK_ZONE).date().isoformat()
