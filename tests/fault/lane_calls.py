"""What callers of a round of lanes noted, and judges of it: what ran, what was told, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc

from mesh.lane.server import OVERLOADED
from tests.fault.checkers import _told
from tests.fault.history import Operation, Outcome

SLACK_S: Final = 2.0
"""How long after its deadline a call may end, by the clock of a caller that is not frozen."""
MOST_RUNS: Final = 2
"""Of a call that may be repeated: it is repeated once."""

WRONG: Final = "an answer to something else"

_NOT_RUN: Final = (
    "failed to connect to all addresses",
    "No instance of",
    "Too many calls wait",
    OVERLOADED,
)
"""How it is told that a call was not sent, or not begun."""


def is_surely_not_run(error: grpc.aio.AioRpcError) -> bool:
    """Whether what a caller was told says that the call had no effect."""
    return (error.details() or "").startswith(_NOT_RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Judges by the runs that the servers noted: method and number, in any order."""

    runs: Sequence[tuple[str, int]]

    def __call__(self, history: Sequence[Operation]) -> list[str]:
        times = Counter(number for _, number in self.runs)
        once = [number for number, many in Counter(self._of("once")).items() if many > 1]
        again = [number for number, many in Counter(self._of("again")).items() if many > MOST_RUNS]
        asked = {operation.value for operation in history}
        refused = _numbers(history, Outcome.FAILED)
        return [
            *_told("ran twice though it has an effect", once),
            *_told(f"ran more than {MOST_RUNS} times", again),
            *_told("answered and never ran", _numbers(history, Outcome.OK) - times.keys()),
            *_told("told that it was not sent, and ran", refused & times.keys()),
            *_told("ran and was never asked", times.keys() - asked),
        ]

    def _of(self, wanted: str) -> Iterable[int]:
        return (number for method, number in self.runs if method == wanted)


def in_time(history: Sequence[Operation]) -> list[str]:
    """No call ended later than its deadline and some slack, and none never."""
    answers = [(each.value, _answer(each)) for each in history]
    late = [number for number, answer in answers if answer.get("over_s", 0.0) > SLACK_S]
    open_ = [number for number, answer in answers if not answer]
    return [*_told("ended too long after its deadline", late), *_told("never ended", open_)]


def to_its_own(history: Sequence[Operation]) -> list[str]:
    """Every answer is that of its call."""
    wrong = [each.value for each in history if _answer(each).get("told") == WRONG]
    return _told("got the answer of another call", wrong)


def told(history: Iterable[Operation]) -> Counter[str]:
    """How calls ended, by status."""
    return Counter(str(_answer(each).get("told", "nothing")).partition(":")[0] for each in history)


def _answer(operation: Operation) -> Mapping[str, Any]:
    return operation.answer or {}


def _numbers(history: Sequence[Operation], outcome: Outcome) -> set[int]:
    return {operation.value for operation in history if operation.outcome is outcome}
