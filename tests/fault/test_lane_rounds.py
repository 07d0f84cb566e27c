"""Rounds of lanes keep what was promised, and their judges see what does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from mesh.lane import CARRIERS
from tests.fault import Outcome, ViolationError, rounds
from tests.fault.history import Operation
from tests.fault.lane_calls import SLACK_S, WRONG, Ran, in_time, is_surely_not_run, to_its_own

SEED = 20261127
SECONDS = 15.0

OK = {"told": "OK", "over_s": -1.0}
LOST = {"told": "UNAVAILABLE: the connection was lost", "over_s": -1.0}


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that fails leaves what it knows with the test."""
    monkeypatch.setattr(rounds, "KEPT", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_calls_are_what_was_promised(carrier: str) -> None:
    """None runs twice or hangs, what was answered ran, and all are well again in the end."""
    told = rounds.play_lanes(f"lanes-{carrier}", seed=SEED, seconds=SECONDS)
    assert told.ended["OK"] > 1_000
    assert told.faults


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_callers_that_repeat_whatever_was_lost_are_found_out() -> None:
    """They run calls twice that have an effect; the round says so, and how to see it again."""
    with pytest.raises(ViolationError, match=r"(?s)ran twice.*again: .*--only lanes-unix"):
        rounds.play_lanes("lanes-unix", seed=SEED, seconds=SECONDS, careless=True)


def asked(number: int, outcome: Outcome, answer: Any, kind: str = "once") -> Operation:
    return Operation(process="caller", kind=kind, value=number, outcome=outcome, answer=answer)


@pytest.mark.parametrize(
    ("history", "runs", "wrong"),
    [
        ([asked(1, Outcome.OK, OK)], [("once", 1)], ""),
        ([asked(1, Outcome.UNKNOWN, LOST)], [("once", 1)], ""),
        ([asked(1, Outcome.UNKNOWN, LOST)], [], ""),
        ([asked(1, Outcome.OK, OK)], [("once", 1), ("once", 1)], "ran twice"),
        ([asked(1, Outcome.OK, OK, "again")], [("again", 1)] * 2, ""),
        ([asked(1, Outcome.OK, OK, "again")], [("again", 1)] * 3, "ran more than 2 times"),
        ([asked(1, Outcome.OK, OK)], [], "answered and never ran"),
        ([asked(1, Outcome.FAILED, LOST)], [("once", 1)], "was not sent, and ran"),
        ([], [("once", 1)], "ran and was never asked"),
    ],
)
def test_a_judge_compares_what_was_told_with_what_ran(
    history: Sequence[Operation], runs: Sequence[tuple[str, int]], wrong: str
) -> None:
    """What may have run once at most, what must have, and what must not."""
    found = "; ".join(Ran(runs=runs)(history))
    assert wrong in found
    assert bool(wrong) == bool(found)


def test_a_judge_sees_calls_that_hang() -> None:
    """Beyond their deadline and the slack; or for good."""
    late = asked(1, Outcome.OK, {"told": "OK", "over_s": SLACK_S + 0.1})
    in_slack = asked(2, Outcome.OK, {"told": "OK", "over_s": SLACK_S - 0.1})
    never = asked(3, Outcome.UNKNOWN, None)
    assert in_time([in_slack]) == []
    assert in_time([late, in_slack, never]) == [
        "ended too long after its deadline: 1 (1)",
        "never ended: 1 (3)",
    ]


def test_a_judge_sees_an_answer_to_another_call() -> None:
    """A lane carries many: each gets its own."""
    assert to_its_own([asked(1, Outcome.OK, OK)]) == []
    assert to_its_own([asked(1, Outcome.OK, {"told": WRONG})]) != []


@pytest.mark.parametrize(
    ("code", "details", "surely"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: …", True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many calls wait for this server", True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", True),
        (grpc.StatusCode.UNAVAILABLE, "The connection was lost: the server is silent", False),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", False),
    ],
)
def test_some_errors_say_that_a_call_did_not_run(
    code: grpc.StatusCode, details: str, surely: bool
) -> None:
    """All others leave it open."""
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
    assert is_surely_not_run(error) == surely
