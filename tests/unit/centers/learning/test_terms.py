"""Terms of qualifications: one at a time, to the microsecond, and none forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from centers.learning import tables
from centers.learning.app import BLUEPRINT
from centers.learning.domain import Grant, Qualification
from centers.learning.errors import LearningReason
from centers.learning.scope import StaffScope
from centers.learning.service import Learning
from centers.learning.store import QualificationStore
from engine.learning.v1 import learning_pb2
from engine.mesh.v1 import policy_pb2
from engine.mesh.v1.event_pb2 import Event
from mesh.clock import ManualClock
from mesh.context import Principal, Scope
from mesh.errors import MeshError
from mesh.storage import SQLiteStore, Store, migrations
from mesh.telemetry import NullTracer

STAFF, CODE = 7, "FUND_SALES"
START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)

VALID, EXPIRED, REVOKED, RENEWED = (
    learning_pb2.QUALIFICATION_STATE_VALID,
    learning_pb2.QUALIFICATION_STATE_EXPIRED,
    learning_pb2.QUALIFICATION_STATE_REVOKED,
    learning_pb2.QUALIFICATION_STATE_RENEWED,
)


class Numbers:
    """Ids from memory."""

    def __init__(self) -> None:
        self._numbers = count(1)

    async def next(self) -> int:
        return next(self._numbers)


class Centre:
    """The centre's use cases on a store, with a clock that the test holds."""

    def __init__(self, store: Store) -> None:
        self.clock = ManualClock(START)
        self.learning = Learning(QualificationStore(store), Numbers(), self.clock)

    async def issue(self, lasts: timedelta, staff_id: int = STAFF, code: str = CODE) -> Any:
        grant = Grant(
            staff_id=staff_id,
            code=code,
            expire_time=self.clock.now() + lasts,
            source="EXAM",
            issuer="hq001",
        )
        return await self.learning.issue(grant, _answer)

    async def revoke(self) -> Any:
        return await self.learning.revoke(STAFF, CODE, "COMPLAINT", _answer)

    async def terms(self) -> Sequence[Qualification]:
        return (await self.learning.qualifications(STAFF))[0]

    async def states(self) -> list[int]:
        found, now = await self.learning.qualifications(STAFF)
        return [one.state(now) for one in found]


def _answer(found: Qualification, _now: datetime) -> learning_pb2.HasQualificationResponse:
    return learning_pb2.HasQualificationResponse(qualified=True)


@pytest.fixture
def centre(store: Store) -> Centre:
    return Centre(store)


async def test_qualification_ends_at_its_very_moment(centre: Centre) -> None:
    """It holds one microsecond before it expires and no longer when it does."""
    await centre.issue(SECOND)
    centre.clock.advance(1 - 1e-6)
    assert await centre.learning.held(STAFF, CODE) is not None
    centre.clock.advance(1e-6)
    assert await centre.learning.held(STAFF, CODE) is None
    assert await centre.states() == [EXPIRED]


async def test_revocation_holds_at_once(centre: Centre) -> None:
    """Who was qualified is not, in the same moment."""
    await centre.issue(SECOND)
    await centre.revoke()
    assert await centre.learning.held(STAFF, CODE) is None
    assert await centre.states() == [REVOKED]
    (term,) = await centre.terms()
    assert term.revoke_reason == "COMPLAINT"


async def test_renewal_keeps_the_former_term(centre: Centre) -> None:
    """The newer term is the one that holds; the former is history, as it was issued."""
    await centre.issue(timedelta(days=30))
    (former,) = await centre.terms()
    centre.clock.advance(60)
    await centre.issue(timedelta(days=90))
    assert await centre.states() == [VALID, RENEWED]
    held = await centre.learning.held(STAFF, CODE)
    assert held is not None
    assert held.expire_time == START + timedelta(minutes=1, days=90)
    assert (await centre.terms())[1] == former.renewed(centre.clock.now())


async def test_term_that_expired_is_not_renewed(centre: Centre) -> None:
    """A gap stays a gap in the history."""
    await centre.issue(SECOND)
    centre.clock.advance(2)
    await centre.issue(SECOND)
    assert await centre.states() == [VALID, EXPIRED]


async def test_clock_that_was_set_back_does_not_reach_into_the_history(centre: Centre) -> None:
    """A new term begins where the last change left off, not before it."""
    await centre.issue(timedelta(days=1))
    centre.clock.advance(60)
    await centre.issue(timedelta(days=1))
    centre.clock.advance(-90)
    await centre.issue(timedelta(days=1))
    assert [term.issue_time for term in await centre.terms()] == [
        START + timedelta(seconds=60),
        START + timedelta(seconds=60),
        START,
    ]


async def test_nothing_can_be_revoked_that_is_not_held(centre: Centre) -> None:
    """Neither before it was issued nor after it expired."""
    for lasts in (None, SECOND):
        if lasts:
            await centre.issue(lasts)
            centre.clock.advance(1)
        with pytest.raises(MeshError) as refused:
            await centre.revoke()
        assert refused.value.reason is LearningReason.NOT_QUALIFIED


async def test_term_must_end_in_the_future(centre: Centre) -> None:
    """One that is over from the start is refused, and nothing is renewed by it."""
    await centre.issue(SECOND)
    with pytest.raises(MeshError) as refused:
        await centre.issue(timedelta(0))
    assert refused.value.reason is LearningReason.TERM_OVER
    assert await centre.states() == [VALID]


async def test_qualification_is_of_one_person_and_one_code(centre: Centre) -> None:
    """Renewing one leaves all others alone."""
    await centre.issue(SECOND)
    await centre.issue(SECOND, staff_id=STAFF + 1)
    await centre.issue(SECOND, code="INSURANCE_SALES")
    assert await centre.states() == [VALID, VALID]
    assert await centre.learning.held(STAFF + 1, CODE) is not None
    assert await centre.learning.held(STAFF + 1, "INSURANCE_SALES") is None


async def test_each_change_is_told(centre: Centre, store: Store) -> None:
    """What ended and what began, in that order, by member of staff."""
    await centre.issue(SECOND)
    await centre.issue(SECOND)
    await centre.revoke()
    events = [Event.FromString(raw) for _, raw in await store.outbox.read(10)]
    told = [learning_pb2.QualificationChanged.FromString(one.payload) for one in events]
    assert {(one.topic, one.key) for one in events} == {("learning", str(STAFF))}
    assert [(one.qualification.qualification_id, one.qualification.state) for one in told] == [
        (1, VALID),
        (1, RENEWED),
        (2, VALID),
        (2, REVOKED),
    ]


Step = tuple[str, float, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(("issue", "revoke")),
        st.sampled_from((-3.0, -1.0, 0.0, 1e-6, 1.0, 2.0, 5.0)),  # clocks are set back, too
        st.integers(1, 6),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(history=steps)
def test_at_every_instant_one_term_holds_at_most_and_none_is_forgotten(
    history: list[Step], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is issued and revoked when: terms of a code do not overlap, history only grows."""
    asyncio.run(_play(history, _fresh(tmp_path_factory)))


_folders: dict[str, Path] = {}


def _fresh(factory: pytest.TempPathFactory) -> Path:
    """One migrated database for all examples; each empties it."""
    if "database" not in _folders:
        path = factory.mktemp("learning") / "learning.db"
        assert BLUEPRINT.migrations is not None
        migrations.upgrade(path, BLUEPRINT.migrations)
        _folders["database"] = path
    return _folders["database"]


async def _play(history: list[Step], database: Path) -> None:
    async with SQLiteStore(database, tracer=NullTracer()) as store:
        async with store.transaction() as tx:
            await tx.execute(sa.delete(tables.qualification))
        centre = Centre(store)
        known: dict[int, tuple[Any, ...]] = {}
        for kind, passed, lasts in history:
            centre.clock.advance(passed)
            with suppress(MeshError):  # nothing is held, or it would be over from the start
                await (centre.issue(lasts * SECOND) if kind == "issue" else centre.revoke())
            terms = {one.qualification_id: _granted(one) for one in await centre.terms()}
            assert known.items() <= terms.items()
            known = terms
        await _check_instants(centre)


def _granted(term: Qualification) -> tuple[Any, ...]:
    return term.staff_id, term.code, term.issue_time, term.expire_time, term.issuer, term.source


async def _check_instants(centre: Centre) -> None:
    terms = await centre.terms()
    edges = {
        edge
        for term in terms
        for edge in (term.issue_time, term.expire_time, term.revoke_time, term.renew_time)
        if edge is not None
    }
    for edge in edges:
        for instant in (edge - MICROSECOND, edge, edge + MICROSECOND):
            assert sum(term.is_valid(instant) for term in terms) <= 1
            centre.clock.advance((instant - centre.clock.now()).total_seconds())
            held = await centre.learning.held(STAFF, CODE)
            valid = (term for term in terms if term.is_valid(centre.clock.now()))
            assert held == next(valid, None)


@pytest.mark.parametrize(
    ("scope", "staff_id", "allowed"),
    [
        (policy_pb2.SCOPE_ALL, 0, True),
        (policy_pb2.SCOPE_BRANCH, STAFF, True),
        (policy_pb2.SCOPE_OWN_BOOK, STAFF, True),
        (policy_pb2.SCOPE_SELF, STAFF, True),
        (policy_pb2.SCOPE_BRANCH, STAFF + 1, False),
        (policy_pb2.SCOPE_SELF, 0, False),
        (policy_pb2.SCOPE_UNSPECIFIED, STAFF, False),
    ],
)
async def test_who_does_not_see_all_sees_himself(
    scope: Scope, staff_id: int, allowed: bool
) -> None:
    """Qualifications belong to a person, not to his customers or his branch."""
    principal = Principal(subject="x", permissions=frozenset(), staff_id=staff_id)
    assert await StaffScope()(principal, scope, STAFF) is allowed
