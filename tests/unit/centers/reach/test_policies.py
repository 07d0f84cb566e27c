"""The contact policy: drafted, approved by another person, in force from the next admission on."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from centers.reach.domain import Channel, ContactClass
from centers.reach.errors import ReachReason
from centers.reach.policies import Policies
from centers.reach.rules import DEMO
from engine.mesh.v1 import definition_pb2
from engine.reach.v1 import reach_pb2
from mesh.definitions import DefinitionReason
from mesh.errors import MeshError, MeshReason

Policy = reach_pb2.ContactPolicy
UNKNOWN = reach_pb2.Channel.ValueType(9)


class Ids:
    def __init__(self) -> None:
        self._ids = count(500)

    async def next(self) -> int:
        return next(self._ids)


@pytest.fixture
def policies(desk: Any) -> Policies:
    return Policies(desk.store, Ids(), desk.clock, DEMO)


def weekly(limit: int) -> Policy:
    policy = Policy()
    policy.caps.add(limit=limit).window.FromTimedelta(timedelta(days=7))
    return policy


def drafted(made: Policy) -> reach_pb2.DraftPolicyResponse:
    return reach_pb2.DraftPolicyResponse(contact_policy=made)


async def published(policies: Policies, policy: Policy) -> Policy:
    draft = await policies.draft(policy, "hq", drafted)
    version = draft.contact_policy.definition.version
    await policies.submit(version, "hq", drafted)
    return (await policies.approve(version, "compliance", drafted)).contact_policy


async def test_the_policy_in_the_code_holds_until_one_is_published(policies: Policies) -> None:
    """It is version 0 and has no head; a draft changes nothing."""
    await policies.draft(weekly(5), "hq", drafted)
    assert await policies.in_force() == DEMO
    shown = await policies.get(0)
    assert not shown.HasField("definition")
    assert [cap.limit for cap in shown.caps] == [1, 4]


async def test_x8_a_published_version_holds_at_once_and_never_changes(
    policies: Policies,
) -> None:
    """The next one is another version; the first is still to be read as it was."""
    await published(policies, weekly(2))
    rules = await policies.in_force()
    assert (rules.version, rules.caps[0].limit) == (1, 2)
    await published(policies, weekly(3))
    rules = await policies.in_force()
    assert (rules.version, rules.caps[0].limit) == (2, 3)
    first = await policies.get(1)
    assert first.caps[0].limit == 2
    assert first.definition.state == definition_pb2.DEFINITION_STATE_PUBLISHED


async def test_what_another_process_published_holds_at_once(desk: Any, policies: Policies) -> None:
    """Each asks the database, and decodes a version once."""
    other = Policies(desk.store, Ids(), desk.clock, DEMO)
    assert await other.in_force() == DEMO
    await published(policies, weekly(2))
    rules = await other.in_force()
    assert rules.version == 1
    assert await other.in_force() is rules


async def test_x9_the_author_cannot_approve(policies: Policies) -> None:
    """Somebody else must; the mesh asks who the author is."""
    await policies.draft(weekly(2), "hq", drafted)
    await policies.submit(1, "hq", drafted)
    assert await policies.author(None, 1) == "hq"  # type: ignore[arg-type]
    assert await policies.author(None, 7) is None  # type: ignore[arg-type]
    with pytest.raises(MeshError) as refused:
        await policies.approve(1, "hq", drafted)
    assert refused.value.reason is MeshReason.CHECKER_IS_MAKER


async def test_a_draft_is_its_author_s_to_change(policies: Policies) -> None:
    """He drafts again and it is the same version; another person may not."""
    await policies.draft(weekly(2), "hq", drafted)
    again = await policies.draft(weekly(4), "hq", drafted)
    assert again.contact_policy.definition.version == 1
    assert (await policies.get(1)).caps[0].limit == 4
    with pytest.raises(MeshError) as refused:
        await policies.draft(weekly(9), "somebody", drafted)
    assert refused.value.reason is DefinitionReason.NOT_THE_AUTHOR


async def test_what_is_approved_is_what_was_meant(policies: Policies) -> None:
    """Another version's number is refused, and nothing is published."""
    await policies.draft(weekly(2), "hq", drafted)
    await policies.submit(1, "hq", drafted)
    with pytest.raises(MeshError) as refused:
        await policies.approve(2, "compliance", drafted)
    assert refused.value.reason is ReachReason.POLICY_VERSION_MISMATCH
    assert (await policies.in_force()).version == 0


async def test_a_policy_is_read_as_it_was_written(policies: Policies) -> None:
    """An unstated class is marketing, an unstated channel all of them."""
    policy = weekly(2)
    policy.quiet_hours.add(channel=reach_pb2.CHANNEL_CALL, from_minute=1200, to_minute=60)
    policy.min_gap.FromTimedelta(timedelta(hours=2))
    policy.consent_channels.append(reach_pb2.CHANNEL_SMS)
    await published(policies, policy)
    rules = await policies.in_force()
    (cap,) = rules.caps
    assert (cap.channel, cap.contact_class) == (Channel.ALL, ContactClass.MARKETING)
    assert rules.min_gap == timedelta(hours=2)
    assert rules.wants_consent(Channel.SMS)
    assert not rules.quiet_hours(Channel.SMS)
    assert len(rules.quiet_hours(Channel.CALL)) == 1
    assert rules.confirm_within == timedelta(days=1)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (Policy(caps=[reach_pb2.Cap(limit=1)]), "contact_policy.caps[0].window"),
        (Policy(consent_channels=[UNKNOWN]), "contact_policy.consent_channels[0]"),
        (
            Policy(quiet_hours=[reach_pb2.QuietHours(channel=UNKNOWN)]),
            "contact_policy.quiet_hours[0].channel",
        ),
        (Policy(min_gap=Duration(seconds=-1)), "contact_policy.min_gap"),
    ],
)
async def test_rules_that_cannot_hold_are_refused(
    policies: Policies, policy: Policy, field: str
) -> None:
    """The fields are named."""
    with pytest.raises(MeshError) as refused:
        await policies.draft(policy, "hq", drafted)
    assert refused.value.reason is ReachReason.POLICY_INVALID
    assert [one.field for one in refused.value.violations] == [field]
