"""Events and reversals taken in over the real database, with live models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from centers.decision import tables, wire
from centers.decision.app import BLUEPRINT, Decision
from centers.decision.domain import Event, Outcome, Reversal
from centers.decision.errors import DecisionReason
from engine.decision.v1 import decision_pb2 as pb
from engine.mesh.v1.event_pb2 import Event as Told
from mesh.clock import ManualClock, to_micros
from mesh.errors import MeshError
from mesh.storage import Address, Store, migrations

Launch = Callable[[pb.Model], Awaitable[int]]
Published = Callable[[], Awaitable[list[Told]]]

LARGE = 5_000_000


def large_inflow(**fields: Any) -> pb.Model:
    return pb.Model(
        name="large inflow",
        event_type="core.inflow",
        threshold=pb.Threshold(at_least=LARGE),
        exclusion_classes=["LOAN_DISBURSEMENT", "INTERNAL_OWN"],
        scene_id=9,
        **fields,
    )


def inflow(
    key: str, at_us: int, amount: int = LARGE, customer: int = 7, kind: str = "SALARY"
) -> Event:
    return Event(
        event_type="core.inflow",
        business_key=key,
        customer_id=customer,
        occurred_us=at_us,
        numbers={"amount_fen": amount},
        texts={"class": kind},
    )


def reversal(key: str, at_us: int) -> Reversal:
    return Reversal(
        event_type="core.inflow", business_key=key, occurred_us=at_us, reason="BOOKING_ERROR"
    )


@pytest.fixture
def now(clock: ManualClock) -> int:
    return to_micros(clock.now())


def of_type(told: list[Told], message: type[Any]) -> list[Any]:
    name = message.DESCRIPTOR.full_name
    return [message.FromString(each.payload) for each in told if each.type == name]


async def verdicts(centre: Decision, model_id: int) -> dict[str, int]:
    found = await centre.answers.statistics(model_id, 0)
    return dict(found.verdicts)


def test_migrations_make_the_tables_that_statements_use(database: Address) -> None:
    """Columns, types and indexes."""
    assert BLUEPRINT.migrations is not None
    migrations.check(database, BLUEPRINT.migrations, tables.metadata)


async def test_event_above_the_threshold_fires_and_is_told(
    centre: Decision, launch: Launch, published: Published, now: int
) -> None:
    """The trigger carries scene and version, and neither amount nor class."""
    model_id = await launch(large_inflow())
    outcome = await centre.ingest.take_in([inflow("a", now)], [])
    assert outcome == Outcome(received=1, duplicates=0, stored=1, reversed=0, fired=1)
    (told,) = await published()
    assert (told.topic, told.key) == ("decision", "7")
    fired = pb.TriggerFired.FromString(told.payload).trigger
    assert told.chain.trigger_id == fired.trigger_id
    assert (fired.model_id, fired.model_version, fired.scene_id) == (model_id, 1, 9)
    assert str(LARGE) not in str(fired)


async def test_known_event_changes_nothing(
    centre: Decision, launch: Launch, published: Published, now: int
) -> None:
    """Within a request and across requests; the first under a key counts."""
    model_id = await launch(large_inflow())
    twice = [inflow("a", now, amount=1), inflow("a", now)]
    first = await centre.ingest.take_in(twice, [])
    again = await centre.ingest.take_in(twice, [])
    assert (first.duplicates, first.stored, first.fired) == (1, 1, 0)
    assert (again.duplicates, again.stored, again.fired) == (2, 0, 0)
    found = await centre.answers.statistics(model_id, 0)
    assert (found.received, found.duplicates, found.unique) == (4, 3, 1)
    assert await published() == []


async def test_event_known_from_before_the_launch_counts_as_a_duplicate(
    centre: Decision, launch: Launch, now: int
) -> None:
    """It is not evaluated: it came when the model was not live."""
    await centre.ingest.take_in([inflow("a", now)], [])
    model_id = await launch(large_inflow())
    await centre.ingest.take_in([inflow("a", now)], [])
    found = await centre.answers.statistics(model_id, 0)
    assert (found.received, found.duplicates, dict(found.verdicts)) == (1, 1, {})


@pytest.mark.parametrize("together", [True, False])
async def test_reversal_with_or_before_its_event_keeps_it_from_firing(
    centre: Decision, launch: Launch, published: Published, now: int, together: bool
) -> None:
    """The event is born reversed."""
    model_id = await launch(large_inflow())
    if not together:
        early = await centre.ingest.take_in([], [reversal("a", now)])
        assert early.reversed == 0
    outcome = await centre.ingest.take_in(
        [inflow("a", now)], [reversal("a", now)] if together else []
    )
    assert (outcome.reversed, outcome.fired) == (1, 0)
    assert await verdicts(centre, model_id) == {"VERDICT_REVERSED": 1}
    assert await published() == []


async def test_reversal_after_the_trigger_is_told_once(
    centre: Decision, launch: Launch, published: Published, now: int
) -> None:
    """With its reason; the same reversal again does nothing."""
    model_id = await launch(large_inflow())
    await centre.ingest.take_in([inflow("a", now)], [])
    first = await centre.ingest.take_in([], [reversal("a", now), reversal("a", now)])
    again = await centre.ingest.take_in([], [reversal("a", now)])
    assert (first.reversed, again.reversed) == (1, 0)
    (undone,) = of_type(await published(), pb.TriggerReversed)
    assert (undone.reason, undone.trigger.reversed) == ("BOOKING_ERROR", True)
    found = await centre.answers.statistics(model_id, 0)
    assert (dict(found.verdicts), found.reversed_later) == ({"VERDICT_FIRED": 1}, 1)


async def test_reversed_trigger_still_holds_its_window(
    centre: Decision, launch: Launch, now: int
) -> None:
    """One trigger for customer and window, whatever became of it."""
    await launch(large_inflow())
    await centre.ingest.take_in([inflow("a", now)], [])
    await centre.ingest.take_in([], [reversal("a", now)])
    assert (await centre.ingest.take_in([inflow("b", now)], [])).fired == 0


async def test_own_threshold_looks_at_the_request_itself_in_order_of_what_happened(
    centre: Decision, launch: Launch, now: int
) -> None:
    """The order within a request does not matter."""
    model = large_inflow(cooldown={"nanos": 1_000})
    model.threshold.own_percentile_bp, model.threshold.own_multiple_bp = 5_000, 20_000
    model_id = await launch(model)
    events = [inflow(f"k{n}", now + n, amount=LARGE * (1 + n)) for n in range(6)]
    await centre.ingest.take_in([*reversed(events)], [])
    # Three come before the fourth: it is 4 times the least, and their median is 2 times.
    assert await verdicts(centre, model_id) == {
        "VERDICT_FIRED": 6,
    }


async def test_small_scale_of_the_golden_loop_is_counted_exactly(
    centre: Decision, launch: Launch, now: int
) -> None:
    """10,000 received, 300 repeated; 2,580 above, minus 500, 700 and 80 (divided by 20)."""
    model = large_inflow()
    model.exclusion_classes.append("REDEMPTION")
    model_id = await launch(model)
    kinds = ["LOAN_DISBURSEMENT"] * 25 + ["INTERNAL_OWN"] * 20 + ["REDEMPTION"] * 15
    kinds += ["SALARY", "OWN_OTHER_BANK", "THIRD_PARTY"] * 23
    above = [inflow(f"a{n}", now, customer=n + 1, kind=kind) for n, kind in enumerate(kinds)]
    below = [inflow(f"b{n}", now, LARGE - 1, customer=n + 1) for n in range(485 - len(above))]
    handed_in = above + below + below[:15]
    taken_back = [reversal(event.business_key, now) for event in (*above[-4:], below[0])]
    outcome = await centre.ingest.take_in(handed_in, taken_back)
    assert outcome == Outcome(received=500, duplicates=15, stored=485, reversed=5, fired=65)
    found = await centre.answers.statistics(model_id, 0)
    assert (found.received, found.duplicates, found.unique) == (500, 15, 485)
    assert found.above_threshold == 129
    assert dict(found.verdicts) == {
        "VERDICT_FIRED": 65,
        "VERDICT_EXCLUDED_CLASS": 60,
        "VERDICT_REVERSED": 4,
        "VERDICT_BELOW_ABSOLUTE": 356,
    }
    assert dict(found.excluded) == {
        "LOAN_DISBURSEMENT": 25,
        "INTERNAL_OWN": 20,
        "REDEMPTION": 15,
    }


async def test_launch_of_the_next_version_retires_the_one_before(
    centre: Decision, launch: Launch, published: Published, now: int
) -> None:
    """No event meets both or neither, and triggers name the version that fired."""
    model_id = await launch(large_inflow())
    await centre.ingest.take_in([inflow("a", now)], [])
    await centre.models.draft(model_id, large_inflow(), "an", answer)
    await centre.ingest.take_in([inflow("b", now, customer=8)], [])
    await centre.backtests.make(model_id, 1, lambda found: found)
    await centre.models.submit(model_id, "an", answer)
    await centre.models.launch(model_id, "bo", answer)
    await centre.ingest.take_in([inflow("c", now, customer=9)], [])
    fired = [each.trigger for each in of_type(await published(), pb.TriggerFired)]
    assert [(t.business_key, t.model_version) for t in fired] == [("a", 1), ("b", 1), ("c", 2)]
    assert (await centre.models.get(model_id, 1))[1].name == "RETIRED"


async def test_paused_model_sees_nothing_until_it_is_resumed(
    centre: Decision, launch: Launch, now: int
) -> None:
    """What came meanwhile stays undecided, also when it comes again."""
    model_id = await launch(large_inflow())
    await centre.models.pause(model_id, answer)
    assert (await centre.ingest.take_in([inflow("a", now)], [])).fired == 0
    await centre.models.resume(model_id, answer)
    again = [inflow("a", now), inflow("b", now, customer=8)]
    assert (await centre.ingest.take_in(again, [])).fired == 1
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 1}


async def test_model_launched_after_ids_were_taken_decides_too(
    centre: Decision, launch: Launch, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction sees what the look before it did not, and begins again with more ids."""

    async def none_yet() -> dict[str, int]:
        return {}

    await launch(large_inflow())
    monkeypatch.setattr(centre.store.launches, "models_by_type", none_yet)
    events = [inflow("a", now), inflow("b", now, customer=8)]
    outcome = await centre.ingest.take_in(events, [])
    assert (outcome.stored, outcome.duplicates, outcome.fired) == (2, 0, 2)


async def test_two_models_of_one_type_decide_each_for_itself(
    centre: Decision, launch: Launch, published: Published, now: int
) -> None:
    """An event fires both, under ids of their own; a reversal undoes both."""
    await launch(large_inflow())
    await launch(large_inflow(filter="class == 'SALARY'"))
    assert (await centre.ingest.take_in([inflow("a", now)], [])).fired == 2
    await centre.ingest.take_in([], [reversal("a", now)])
    told = await published()
    fired = [each.trigger.trigger_id for each in of_type(told, pb.TriggerFired)]
    undone = [each.trigger.trigger_id for each in of_type(told, pb.TriggerReversed)]
    assert len(set(fired)) == 2
    assert undone == fired


async def test_refused_request_leaves_nothing(centre: Decision, store: Store, now: int) -> None:
    """All or none of a request."""
    wrong = inflow("b", now, kind="GIFT")
    with pytest.raises(MeshError) as error:
        await centre.ingest.take_in([inflow("a", now), wrong], [])
    assert error.value.reason is DecisionReason.EVENT_INVALID
    assert (await centre.ingest.take_in([inflow("a", now)], [])).stored == 1


async def test_amounts_lie_with_the_event_and_nowhere_else(
    centre: Decision, launch: Launch, store: Store, clock: ManualClock, now: int
) -> None:
    """X7: neither decisions, triggers, counts nor the outbox hold one."""
    import sqlalchemy as sa

    canary = 987_654_321
    await launch(large_inflow(filter=f"amount_fen != {canary - 1}"))
    await centre.ingest.take_in([inflow("a", now, canary)], [])
    holders = Counter[str]()
    for table in (*tables.metadata.tables, "engine_outbox", "engine_definition"):
        rows = await store.fetch_all(sa.text(f"SELECT * FROM {table}"))
        holders[table] = sum(str(canary) in str(list(row)) for row in rows)
    assert +holders == {"business_event": 1}


async def test_evidence_of_a_trigger_has_the_amount(
    centre: Decision, launch: Launch, published: Published, now: int
) -> None:
    """For the desk of the customer's owner."""
    await launch(large_inflow())
    await centre.ingest.take_in([inflow("a", now, LARGE + 5)], [])
    (fired,) = of_type(await published(), pb.TriggerFired)
    found = await centre.answers.evidence(fired.trigger.trigger_id)
    assert (found.amount_fen, found.texts) == (LARGE + 5, {"class": "SALARY"})
    with pytest.raises(MeshError) as error:
        await centre.answers.evidence(1_000_000)
    assert error.value.reason is DecisionReason.TRIGGER_NOT_FOUND


async def test_stamps_rise_though_the_clock_steps_back(
    centre: Decision, launch: Launch, clock: ManualClock, now: int
) -> None:
    """A reversal after a step back still comes after its event: it fired, and is undone."""
    model_id = await launch(large_inflow())
    await centre.ingest.take_in([inflow("a", now)], [])
    clock.advance(-60)
    await centre.ingest.take_in([], [reversal("a", now)])
    found = await centre.backtests.make(model_id, 2, lambda found: found)
    assert found.statistics.reversed_later == 0  # the event lies ahead of that clock
    clock.advance(120)
    found = await centre.backtests.make(model_id, 2, lambda found: found)
    assert dict(found.statistics.verdicts) == {"VERDICT_FIRED": 1}
    assert found.statistics.reversed_later == 1


def answer(shown: Any) -> pb.Model:
    return wire.model(*shown)
