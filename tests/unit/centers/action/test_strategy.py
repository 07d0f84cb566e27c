"""What a version of a scene says of windows, desks and whom it treats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from centers.action.domain import TaskOwner
from centers.action.holdout import held_out
from centers.action.strategy import HELD_OUT, Facts, Strategy
from engine.action.v1 import action_pb2
from tests.unit.centers.action.office import (
    AGENT,
    AGENT_KIND,
    BRANCH,
    MANAGER_KIND,
    RM,
    ROBOT,
    ROBOT_KIND,
    owner,
    scene,
)

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MANAGER = TaskOwner(kind=MANAGER_KIND, owner_id=RM, branch_id=BRANCH)
POOL = action_pb2.Pool(owner_kind=AGENT_KIND, owner_id=AGENT)


def strategy(**fields: Any) -> Strategy:
    return Strategy(scene_id=5, scene_version=50, scene=scene(**fields))


def facts(**known: Any) -> Facts:
    given: dict[str, Any] = {
        "opted_out": False,
        "same_objective": False,
        "runs": True,
        "owner": owner(11),
    }
    return Facts(**(given | known))


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"opted_out": True, "same_objective": True, "runs": False, "owner": None}, "OPTED_OUT"),
        ({"same_objective": True, "runs": False, "owner": None}, "SAME_OBJECTIVE"),
        ({"runs": False, "owner": None}, "SCENE_NOT_RUNNING"),
        ({"owner": None}, "NO_OWNER"),
        ({"owner": owner(11, 0)}, "NO_OWNER"),
    ],
    ids=["opted out", "same objective", "paused", "unknown", "owned by nobody"],
)
def test_the_first_reason_counts(known: dict[str, Any], reason: str) -> None:
    """Of several reasons against a task, the order of the contract says which is told."""
    verdict = strategy().judge(11, facts(**known))
    assert action_pb2.SuppressReason.Name(verdict.reason) == f"SUPPRESS_REASON_{reason}"
    assert verdict.state == action_pb2.OPPORTUNITY_STATE_SUPPRESSED
    assert verdict.arm == action_pb2.ARM_TREATED
    assert verdict.owner is None


def test_nothing_against_it_makes_a_task_for_the_owner() -> None:
    """The task goes to whom the customer belongs."""
    verdict = strategy().judge(11, facts())
    assert verdict.state == action_pb2.OPPORTUNITY_STATE_TASKED
    assert verdict.owner == MANAGER


FACTS = st.builds(
    facts,
    opted_out=st.booleans(),
    same_objective=st.booleans(),
    runs=st.booleans(),
    owner=st.sampled_from([None, owner(11), owner(11, 0)]),
)


@given(st.integers(1, 2**62), st.integers(0, 5_000), FACTS)
def test_x11_who_is_held_out_is_left_alone_whatever_else_is_known(
    customer_id: int, holdout_bp: int, known: Facts
) -> None:
    """The draw comes first: no fact turns a held-out customer into a task or a reason."""
    verdict = strategy(holdout_bp=holdout_bp, holdout_salt="s").judge(customer_id, known)
    assert (verdict == HELD_OUT) == held_out("s", customer_id, holdout_bp)


def test_versions_without_a_salt_draw_alike() -> None:
    """A new version of a scene keeps who is held out; another scene draws anew."""
    first = Strategy(scene_id=5, scene_version=50, scene=scene(holdout_bp=2_000))
    second = Strategy(scene_id=5, scene_version=51, scene=scene(holdout_bp=2_000))
    other = Strategy(scene_id=6, scene_version=60, scene=scene(holdout_bp=2_000))
    customers = range(1, 500)
    drawn = [[one.holds_out(customer) for customer in customers] for one in (first, second, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_windows_follow_one_another_without_gap() -> None:
    """An instant before the end of a window belongs to it, the end to the next."""
    of_days = strategy(window=Duration(seconds=86_400))
    start = datetime(2026, 3, 2, tzinfo=UTC)
    key = of_days.window_key(start)
    assert of_days.window_key(start + timedelta(days=1, microseconds=-1)) == key
    assert of_days.window_key(start + timedelta(days=1)) == key + 1
    assert strategy().window_key(start) == strategy().window_key(start + timedelta(days=1))


def test_due_time_is_never_behind_the_end_of_the_opportunity() -> None:
    """A node may allow more time than the opportunity is worth."""
    slow = action_pb2.Node(name="slow", due_within=Duration(seconds=30 * 86_400))
    patient = strategy(nodes=[slow], opportunity_ttl=Duration(seconds=86_400))
    expire = patient.expire_time(NINE)
    assert expire == NINE + timedelta(days=1)
    assert patient.due_time(0, NINE, expire) == expire
    assert strategy().due_time(0, NINE, NINE + timedelta(days=7)) == NINE + timedelta(days=1)


@pytest.mark.parametrize("seconds", [-5, 0, 10**12])
def test_odd_spans_are_bounded(seconds: int) -> None:
    """A span that says nothing means the default, an endless one ten years."""
    odd = strategy(opportunity_ttl=Duration(seconds=seconds))
    assert NINE < odd.expire_time(NINE) <= NINE + timedelta(days=3_650)


def test_owners_of_another_kind_leave_it_to_the_pool() -> None:
    """Who may not do the node gives way to head office's pool, or to nobody without one."""
    robots_alone = action_pb2.Node(name="call", actors=[ROBOT_KIND])
    robot = TaskOwner(kind=ROBOT_KIND, owner_id=ROBOT, branch_id=0)
    pool = TaskOwner(kind=AGENT_KIND, owner_id=AGENT, branch_id=0)
    assert strategy(nodes=[robots_alone], pool=POOL).owner_for(0, robot) == robot
    assert strategy(nodes=[robots_alone], pool=POOL).owner_for(0, MANAGER) == pool
    assert strategy(nodes=[robots_alone]).owner_for(0, MANAGER) is None
