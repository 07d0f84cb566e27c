"""WeCom's own rules: nothing goes out unconfirmed, limits hold, what was cancelled stays so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.wecom.v1 import wecom_pb2
from mesh.clock import ManualClock
from mesh.errors import MeshError
from mesh.storage import SQLiteStore, Store, migrations
from mesh.telemetry import NullTracer
from simulators.errors import SimulatorReason
from simulators.reports import ReportStore
from simulators.wecom.app import BLUEPRINT
from simulators.wecom.domain import Limits, days_in_month
from simulators.wecom.rate import CallRate
from simulators.wecom.service import Wecom
from simulators.wecom.store import TaskStore

MEMBER, FRIEND = "staff-7", "wm11"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    path = tmp_path / "wecom-server.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    async with SQLiteStore(path, tracer=NullTracer()) as store:
        yield store


class Server:
    """WeCom on a store, with a clock that the test holds, and what it owes the bank."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self.store = store
        self.clock = ManualClock(datetime(2026, 11, 23, tzinfo=UTC))
        self.wecom = Wecom(TaskStore(store), limits or Limits(), self.clock, lambda: None)

    async def add(self, contact_id: int, friend: str = FRIEND, member: str = MEMBER) -> str:
        return await self.wecom.add(contact_id, friend, member, "您好")

    async def outcomes(self) -> list[tuple[str, str, str]]:
        """Owed callbacks as (msgid, change, code)."""
        owed = await ReportStore(self.store).due(self.clock.now(), 10_000)
        told = [wecom_pb2.ReceiveCallbackRequest.FromString(one.payload) for one in owed]
        return [(one.msgid, one.change_type, one.result_code) for one in told]


@pytest.fixture
def server(store: Store) -> Server:
    return Server(store)


async def refused(call: object) -> SimulatorReason:
    with pytest.raises(MeshError) as failed:
        await call  # type: ignore[misc]
    reason = failed.value.reason
    assert isinstance(reason, SimulatorReason)
    return reason


async def test_nothing_goes_out_before_the_member_confirms(server: Server) -> None:
    """Once he does the bank is told so, and that the message arrived."""
    msgid = await server.add(5)
    assert await server.add(5) == msgid
    assert await server.outcomes() == []
    assert await server.wecom.confirm(MEMBER, [msgid, msgid]) == 1
    assert await server.outcomes() == [(msgid, "confirmed", ""), (msgid, "delivered", "")]
    assert await server.wecom.confirm(MEMBER, [msgid]) == 0
    assert len(await server.outcomes()) == 2


async def test_plan_decides_what_fails(server: Server) -> None:
    """A code fails messages to the contact; an empty one lets them arrive again."""
    await server.wecom.plan({FRIEND: "NOT_FRIEND"})
    first = await server.add(5)
    await server.wecom.confirm(MEMBER, [first])
    await server.wecom.plan({FRIEND: ""})
    second = await server.add(6)
    await server.wecom.confirm(MEMBER, [second])
    outcomes = await server.outcomes()
    assert outcomes[1::2] == [(first, "failed", "NOT_FRIEND"), (second, "delivered", "")]


async def test_customer_gets_one_message_for_each_day_of_the_month(store: Store) -> None:
    """What fails does not count, others are not affected, and a new month begins anew."""
    server = Server(store)
    server.clock.advance(timedelta(days=7, hours=15).total_seconds())
    assert server.clock.now() == datetime(2026, 11, 30, 15, tzinfo=UTC)  # 23:00 at the bank
    msgids = [await server.add(contact_id) for contact_id in range(1, 33)]
    await server.wecom.plan({FRIEND: "NOT_FRIEND"})
    await server.wecom.confirm(MEMBER, msgids[:1])
    await server.wecom.plan({FRIEND: ""})
    await server.wecom.confirm(MEMBER, msgids[1:20])
    await server.wecom.confirm(MEMBER, msgids[20:])
    ends = [(change, code) for _, change, code in await server.outcomes() if change != "confirmed"]
    assert ends.count(("delivered", "")) == days_in_month(server.clock.now().date()) == 30
    assert ends[-1] == ("failed", "LIMIT_REACHED")
    server.clock.advance(3_600)
    next_month, other = await server.add(40), await server.add(41, friend="wm12")
    await server.wecom.confirm(MEMBER, [next_month, other])
    told = await server.outcomes()
    assert {(next_month, "delivered", ""), (other, "delivered", "")} <= {*told}


async def test_member_confirms_his_own_tasks_alone(server: Server) -> None:
    """One of another member in the list, and none is confirmed."""
    own, other = await server.add(5), await server.add(6, member="staff-8")
    assert await refused(server.wecom.confirm(MEMBER, [own, other])) is (
        SimulatorReason.MESSAGE_TASK_UNKNOWN
    )
    assert await server.outcomes() == []


async def test_only_what_was_not_confirmed_can_be_cancelled(server: Server) -> None:
    """A cancelled task cannot be confirmed, and WeCom does not call back for it."""
    first, second = await server.add(5), await server.add(6)
    assert await server.wecom.cancel(first)
    assert await server.wecom.cancel(first)
    assert await server.wecom.confirm(MEMBER, [first]) == 0
    assert await server.outcomes() == []
    await server.wecom.confirm(MEMBER, [second])
    assert not await server.wecom.cancel(second)
    assert await refused(server.wecom.cancel("msg-none")) is SimulatorReason.MESSAGE_TASK_UNKNOWN


async def test_member_is_reminded_three_times_within_a_day(server: Server) -> None:
    """The fourth is refused until the first is a day old; a closed task cannot be reminded of."""
    msgid = await server.add(5)
    for _ in range(3):
        await server.wecom.remind(msgid)
        server.clock.advance(60)
    assert await refused(server.wecom.remind(msgid)) is SimulatorReason.REMINDED_ENOUGH
    server.clock.advance(timedelta(hours=23, minutes=57).total_seconds())
    await server.wecom.remind(msgid)
    assert await refused(server.wecom.remind(msgid)) is SimulatorReason.REMINDED_ENOUGH
    await server.wecom.confirm(MEMBER, [msgid])
    assert await refused(server.wecom.remind(msgid)) is SimulatorReason.MESSAGE_TASK_CLOSED


async def test_same_key_with_another_content_is_refused(server: Server) -> None:
    """One contact is one message."""
    await server.add(5)
    assert await refused(server.add(5, friend="wm12")) is SimulatorReason.KEY_REUSED


async def test_too_many_calls_within_a_minute_are_refused(store: Store) -> None:
    """Each method has a count of its own; the next minute begins anew."""
    server = Server(store, Limits(rates=((60.0, 2),)))
    first = await server.add(1)
    server.clock.advance(20)
    await server.add(2)
    with pytest.raises(MeshError) as failed:
        await server.add(3)
    assert failed.value.reason is SimulatorReason.CALL_RATE_EXCEEDED
    assert failed.value.retry_after_s == pytest.approx(40)
    await server.wecom.remind(first)
    server.clock.advance(40)
    await server.add(3)


def test_calls_are_counted_by_the_minute_and_by_the_hour() -> None:
    """The longer wait is told; a refused call counts in neither window."""
    clock = ManualClock()
    rate = CallRate(((60.0, 3), (3_600.0, 4)), clock)
    for _ in range(3):
        rate.take()
    for waits_s in (60, 60):
        with pytest.raises(MeshError) as failed:
            rate.take()
        assert failed.value.retry_after_s == waits_s
    clock.advance(60)
    rate.take()
    with pytest.raises(MeshError) as failed:
        rate.take()
    assert failed.value.retry_after_s == 3_540
