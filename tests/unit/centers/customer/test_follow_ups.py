"""Use cases of follow-ups over the real database."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import pytest

from centers.customer.domain import Change, Draft, FollowUp
from centers.customer.errors import CustomerReason
from centers.customer.follow_up_rows import FollowUpStore
from centers.customer.follow_ups import FollowUps
from centers.customer.wire import follow_up
from engine.customer.v1 import customer_pb2
from mesh.clock import ManualClock
from mesh.errors import MeshError
from mesh.paging import PageRequest
from mesh.storage import Store

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
DRAFT = Draft(summary="spoke about deposits", next_step="send the brochure", next_time=NINE)


class CountedIds:
    """Ids 1, 2, …; `taken` is the last one."""

    def __init__(self) -> None:
        self.taken = 0
        self._ids = count(1)

    async def next(self) -> int:
        self.taken = next(self._ids)
        return self.taken


def created(made: FollowUp) -> customer_pb2.CreateFollowUpResponse:
    return customer_pb2.CreateFollowUpResponse(follow_up=follow_up(made))


def updated(made: FollowUp) -> customer_pb2.UpdateFollowUpResponse:
    return customer_pb2.UpdateFollowUpResponse(follow_up=follow_up(made))


def change(*fields: str, summary: str = "", next_step: str = "") -> Change:
    draft = Draft(summary=summary, next_step=next_step, next_time=None)
    return Change(fields=frozenset(fields), draft=draft)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NINE)


@pytest.fixture
def ids() -> CountedIds:
    return CountedIds()


@pytest.fixture
def follow_ups(store: Store, ids: CountedIds, clock: ManualClock) -> FollowUps:
    return FollowUps(FollowUpStore(store), ids, clock)


async def test_new_follow_up_has_author_and_times(follow_ups: FollowUps) -> None:
    """Author and times are set here, whatever the draft says."""
    await follow_ups.create(11, DRAFT, "rm007", created)
    made = await follow_ups.get(11, 1)
    assert (made.author, made.create_time, made.update_time) == ("rm007", NINE, NINE)
    assert (made.summary, made.next_step, made.next_time) == (
        DRAFT.summary,
        DRAFT.next_step,
        NINE,
    )


@pytest.mark.parametrize("field", ["summary", "next_step"])
async def test_personal_number_is_refused_before_anything_happens(
    follow_ups: FollowUps, ids: CountedIds, field: str
) -> None:
    """A number in a text is refused, its field named, the number itself not repeated."""
    texts = {"summary": "call", "next_step": "call"} | {field: "call 138 1234 5678"}
    draft = Draft(summary=texts["summary"], next_step=texts["next_step"], next_time=None)
    with pytest.raises(MeshError) as refused:
        await follow_ups.create(11, draft, "rm007", created)
    assert refused.value.reason is CustomerReason.PERSONAL_DATA_IN_TEXT
    assert [v.field for v in refused.value.violations] == [f"follow_up.{field}"]
    assert "138" not in str(refused.value.to_status())
    assert ids.taken == 0


async def test_unknown_follow_up_is_not_found(follow_ups: FollowUps) -> None:
    """A follow-up of another customer is as unknown as none."""
    await follow_ups.create(11, DRAFT, "rm007", created)
    for customer_id, follow_up_id in ((12, 1), (11, 2)):
        with pytest.raises(MeshError) as refused:
            await follow_ups.get(customer_id, follow_up_id)
        assert refused.value.reason is CustomerReason.FOLLOW_UP_NOT_FOUND


async def test_pages_show_newest_first_and_each_once(
    follow_ups: FollowUps, clock: ManualClock
) -> None:
    """Pages lead from the newest to the oldest; one that is added meanwhile disturbs none."""
    for _ in range(7):
        await follow_ups.create(11, DRAFT, "rm007", created)
        clock.advance(1)
    seen: list[int] = []
    token = ""
    for _ in range(3):
        page = await follow_ups.page(11, PageRequest(listing="11", size=3, token=token))
        seen.extend(one.follow_up_id for one in page.entries)
        await follow_ups.create(11, DRAFT, "rm007", created)
        clock.advance(1)
        token = page.next_token
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert not token


async def test_update_changes_named_fields_and_etag(
    follow_ups: FollowUps, clock: ManualClock
) -> None:
    """A change keeps author and creation, moves the time of change, and gives a new etag."""
    await follow_ups.create(11, DRAFT, "rm007", created)
    before = await follow_ups.get(11, 1)
    clock.advance(60)
    await follow_ups.update(11, 1, change("next_step", next_step="meet"), before.etag, updated)
    after = await follow_ups.get(11, 1)
    assert (after.next_step, after.summary, after.author) == ("meet", DRAFT.summary, "rm007")
    assert after.create_time == NINE
    assert after.update_time == clock.now()
    assert after.etag != before.etag


async def test_update_with_old_etag_is_refused(follow_ups: FollowUps) -> None:
    """Who decided on an old state must look again; the present etag is told."""
    await follow_ups.create(11, DRAFT, "rm007", created)
    old = (await follow_ups.get(11, 1)).etag
    await follow_ups.update(11, 1, change("summary", summary="first"), old, updated)
    with pytest.raises(MeshError) as refused:
        await follow_ups.update(11, 1, change("summary", summary="second"), old, updated)
    present = await follow_ups.get(11, 1)
    assert refused.value.reason is CustomerReason.ETAG_MISMATCH
    assert refused.value.metadata == {"etag": present.etag}
    assert present.summary == "first"


async def test_update_without_etag_takes_effect(follow_ups: FollowUps) -> None:
    """Without an etag the last writer wins."""
    await follow_ups.create(11, DRAFT, "rm007", created)
    for text in ("first", "second"):
        await follow_ups.update(11, 1, change("summary", summary=text), "", updated)
    assert (await follow_ups.get(11, 1)).summary == "second"


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        (change(), CustomerReason.UPDATE_INVALID, "update_mask"),
        (change("summary"), CustomerReason.UPDATE_INVALID, "follow_up.summary"),
        (
            change("next_step", next_step="330102199001011234"),
            CustomerReason.PERSONAL_DATA_IN_TEXT,
            "follow_up.next_step",
        ),
    ],
    ids=["nothing", "empty summary", "identity number"],
)
async def test_update_that_breaks_a_rule_changes_nothing(
    follow_ups: FollowUps, wrong: Change, reason: CustomerReason, field: str
) -> None:
    """A change must name something, keep the summary, and hold no personal number."""
    await follow_ups.create(11, DRAFT, "rm007", created)
    before = await follow_ups.get(11, 1)
    with pytest.raises(MeshError) as refused:
        await follow_ups.update(11, 1, wrong, "", updated)
    assert refused.value.reason is reason
    assert [violation.field for violation in refused.value.violations] == [field]
    assert await follow_ups.get(11, 1) == before


async def test_update_of_unknown_follow_up_is_not_found(follow_ups: FollowUps) -> None:
    """There is nothing to change where there is no follow-up."""
    with pytest.raises(MeshError) as refused:
        await follow_ups.update(11, 1, change("summary", summary="new"), "", updated)
    assert refused.value.reason is CustomerReason.FOLLOW_UP_NOT_FOUND
