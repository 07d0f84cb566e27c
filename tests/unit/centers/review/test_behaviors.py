"""What an entry of the behaviour log is, and who may see which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from centers.review.behaviors import EMPTY, Entry, Filter, Told, append, follows, keys_of, reach
from engine.mesh.v1 import policy_pb2
from engine.mesh.v1.event_pb2 import AuditRecord
from mesh.context import Principal, Scope
from tests.unit.centers.review.telling import behavior

CALLER = Principal(subject="rm001", permissions=frozenset(), staff_id=7, branch_id=3)
ALL, BRANCH = policy_pb2.SCOPE_ALL, policy_pb2.SCOPE_BRANCH


def entry(**said: object) -> Entry:
    event = behavior(**said)  # type: ignore[arg-type]
    told = Told(event_id=event.event_id, source=event.source, record=event.payload)
    return append(told, keys_of(AuditRecord.FromString(event.payload)), EMPTY)


def test_an_entry_is_found_by_what_its_record_says() -> None:
    """Actor, branch, customer, task and verb."""
    keys = entry(actor="rm009", branch_id=4, task_id=42, customer_id=12, verb="/a/B").keys
    assert (keys.actor, keys.branch_id, keys.task_id) == ("rm009", 4, 42)
    assert (keys.customer_id, keys.verb) == (12, "/a/B")


def test_an_entry_that_was_touched_does_not_follow() -> None:
    """Neither with another record nor with another place, source, key or seal."""
    good = entry()
    told = good.told
    other = entry(actor="rm002")
    assert follows(good, EMPTY)
    for touched in (
        replace(good, position=2),
        replace(good, seal=other.seal),
        replace(good, told=other.told),
        replace(good, told=replace(told, source="reach")),
        replace(good, told=replace(told, event_id="0" * 32)),
        replace(good, told=replace(told, record=b"\xff")),
        replace(good, keys=other.keys),
    ):
        assert not follows(touched, EMPTY), touched


def test_head_office_sees_what_it_asks_for() -> None:
    """All of it."""
    asked = Filter(actor="rm002", verb="/a/B")
    assert reach(asked, CALLER, ALL) == asked


def test_a_branch_manager_sees_what_his_branch_did() -> None:
    """Of it what he asks for."""
    asked = Filter(actor="rm002", task_id=42)
    assert reach(asked, CALLER, BRANCH) == Filter(actor="rm002", task_id=42, branch_id=3)


@pytest.mark.parametrize(
    "scope",
    [policy_pb2.SCOPE_OWN_BOOK, policy_pb2.SCOPE_SELF, policy_pb2.SCOPE_UNSPECIFIED],
)
def test_anybody_else_sees_what_he_did_himself(scope: Scope) -> None:
    """Also of customers that others look after; nothing of what others did."""
    assert reach(Filter(), CALLER, scope) == Filter(actor="rm001")
    assert reach(Filter(actor="rm001"), CALLER, scope) == Filter(actor="rm001")
    assert reach(Filter(actor="rm002"), CALLER, scope) is None


def test_who_has_no_branch_sees_no_branch() -> None:
    """Not those records either that have none."""
    assert reach(Filter(), replace(CALLER, branch_id=0), BRANCH) == Filter(actor="rm001")
