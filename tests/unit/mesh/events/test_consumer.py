"""Each event has its effect once, in order for each key, whatever fails on the way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict

import grpc
import pytest
import sqlalchemy as sa

from engine.mesh.v1.bus_pb2 import PollRequest, PollResponse
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import Event
from engine.mesh.v1.trust_pb2 import Revocation
from mesh import context
from mesh.context import RequestContext
from mesh.errors import MeshError, MeshReason
from mesh.events import Effect, event
from mesh.storage import SQLiteStore, StoreUnavailable, Transaction
from mesh.telemetry import (
    NullSpan,
    NullTracer,
    Span,
    SpanKind,
    Telemetry,
    TraceContext,
    current_trace,
)
from tests.unit.mesh.events.conftest import EFFECTS, TOPIC, Shop, kept, told


async def test_each_event_has_its_effect(shop: Shop) -> None:
    """Those that wait when it starts, and those that come later."""
    await shop.append([told(f"{n}") for n in range(700)])
    async with shop.consumer(batch=300):
        await shop.until(700)
        await shop.append([told("later")])
        assert sorted(await shop.until(701)) == sorted([*map(str, range(700)), "later"])


async def test_an_event_that_comes_twice_has_one_effect(shop: Shop) -> None:
    """In one batch, in a later one, and after a restart."""
    twice = told("twice")
    await shop.append([twice, told("a"), twice])
    async with shop.consumer():
        await shop.until(2)
        await shop.append([twice, told("b")])
        await shop.until(3)
    await shop.append([twice, told("c")])
    async with shop.consumer():
        assert sorted(await shop.until(4)) == ["a", "b", "c", "twice"]


async def test_events_of_one_key_are_consumed_in_their_order(shop: Shop) -> None:
    """Though the earlier one takes longer; others do not wait for it."""
    go = asyncio.Event()

    async def before(text: str) -> None:
        if text == "x1":
            await go.wait()
        if text == "y2":
            go.set()

    shop.before = before
    await shop.append([told("x1", "x"), told("y1", "y"), told("x2", "x"), told("y2", "z")])
    async with shop.consumer():
        found = await shop.until(4)
    assert found.index("x1") < found.index("x2")


async def test_reactions_run_together_within_a_bound(shop: Shop) -> None:
    """As many as the subscription allows, and no more."""
    running, most = 0, 0
    full = asyncio.Event()

    async def before(_: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1

    shop.before = before
    await shop.append([told(f"{n}") for n in range(50)])
    async with shop.consumer(concurrency=4):
        await shop.until(50)
    assert most == 4


async def test_a_poison_event_is_buried_while_others_go_on(shop: Shop) -> None:
    """After five more tries; those of its key follow then, those of others do not wait."""
    tries: Counter[str] = Counter()
    others = asyncio.Event()

    async def before(text: str) -> None:
        tries[text] += 1
        if text == "fine":
            others.set()
        if text == "poison":
            if tries[text] > 1:
                await others.wait()
            raise LookupError("a name that must not be told")

    shop.before = before
    shop.within = _set_when(others, "fine")
    await shop.append([told("poison", "k"), told("next", "k"), told("fine", "other")])
    async with shop.consumer():
        assert await shop.until_dead(1) == ["poison"]
        assert sorted(await shop.until(2)) == ["fine", "next"]
    assert tries["poison"] == 6
    (dead,) = shop.bus.dead("shop", TOPIC)
    assert shop.clock.monotonic() >= 0.75 * 1.55, "each try waited twice as long"
    assert dead.dead_letter_id


def _set_when(event_: asyncio.Event, wanted: str):  # type: ignore[no-untyped-def]
    async def within(_: Transaction, text: str) -> None:
        if text == wanted:
            event_.set()

    return within


async def test_a_poisonous_effect_is_found_alone(shop: Shop) -> None:
    """What shared its transaction has its effect nevertheless."""

    async def within(tx: Transaction, text: str) -> None:
        if text == "poison":
            await tx.execute(sa.insert(EFFECTS), {"number": 1, "text": "first"})
            await tx.execute(sa.insert(EFFECTS), {"number": 1, "text": "first again"})

    shop.within = within
    await shop.append([told(text) for text in ("a", "poison", "b")])
    async with shop.consumer():
        assert await shop.until_dead(1) == ["poison"]
        assert await shop.until(2) == ["a", "b"]


def unavailable() -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
    )


@pytest.mark.parametrize(
    "error",
    [
        unavailable(),
        MeshError(MeshReason.OVERLOADED),
        StoreUnavailable("away"),
        TimeoutError(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_passes_by_itself_is_tried_until_it_does(
    shop: Shop, error: BaseException
) -> None:
    """Far more often than what is an error; also a call that was cancelled under it."""
    tries = 0

    async def before(text: str) -> None:
        nonlocal tries
        if text == "first":
            tries += 1
            if tries < 20:
                raise error

    shop.before = before
    await shop.append([told("first", "k"), told("second", "k")])
    async with shop.consumer():
        assert await shop.until(2) == ["first", "second"]
    assert not shop.bus.dead("shop", TOPIC)


async def test_a_store_that_is_away_is_waited_for(shop: Shop) -> None:
    """The transaction is tried again as it is."""
    failures = 7

    async def within(*_: object) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreUnavailable("away")

    shop.within = within
    await shop.append([told("a"), told("b")])
    async with shop.consumer():
        assert sorted(await shop.until(2)) == ["a", "b"]


async def test_a_dead_letter_is_replayed(shop: Shop) -> None:
    """Once what made it fail is mended; then it is gone."""
    mended = False

    async def before(text: str) -> None:
        if text == "poison" and not mended:
            raise LookupError

    shop.before = before
    await shop.append([told("poison"), told("a")])
    async with shop.consumer():
        await shop.until_dead(1)
        mended = True
        await shop.bus.replay()
        assert await shop.until(2) == ["a", "poison"]
        await shop.append([told("b")])
        await shop.until(3)
    assert not shop.bus.dead("shop", TOPIC)


async def test_stopped_in_the_middle_it_goes_on_where_it_was(shop: Shop) -> None:
    """Nothing lost and nothing twice, though the bus never heard of the first effects."""
    hold = asyncio.Event()

    async def before(text: str) -> None:
        if text == "k2":
            await hold.wait()

    shop.before = before
    await shop.append([told("k1", "k"), told("k2", "k"), told("k3", "k")])
    async with shop.consumer():
        assert await shop.until(1) == ["k1"]
    hold.set()
    async with shop.consumer():
        assert await shop.until(3) == ["k1", "k2", "k3"]


async def test_stopping_tells_the_bus_what_was_consumed(shop: Shop) -> None:
    """The next member is served at once, from the next event on."""
    await shop.append([told("a"), told("b")])
    async with shop.consumer():
        await shop.until(2)
        await asyncio.sleep(0)
    await shop.append([told("c")])
    request = PollRequest(group="shop", topic=TOPIC, member="another")
    answer = await shop.bus.poll(request)
    assert answer.active
    assert [logged.position for logged in answer.events][-1] == 3


async def test_one_member_works_and_another_stands_by(shop: Shop) -> None:
    """The stand-by goes on when the first one stops."""
    async with shop.consumer():
        await shop.append([told("a")])
        await shop.until(1)
        stand_by = shop.consumer()
        async with stand_by:
            await shop.append([told("b")])
            await shop.until(2)
    async with shop.consumer():
        await shop.append([told("c")])
        assert await shop.until(3) == ["a", "b", "c"]


async def test_a_member_at_work_tells_the_bus(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a batch takes long, and no longer: so it is served on, and makes room when it dies."""
    monkeypatch.setattr("mesh.events._consumer.RENEW_S", 0.001)
    enough, renewals, poll = asyncio.Event(), 0, shop.bus.poll

    async def counting(request: PollRequest) -> PollResponse:
        nonlocal renewals
        renewals += request.renewing
        if renewals == 3:
            enough.set()
        return await poll(request)

    monkeypatch.setattr(shop.bus, "poll", counting)
    shop.before = lambda _: enough.wait()
    await shop.append([told("a")])
    async with shop.consumer():
        await shop.until(1)
        before = renewals
        await asyncio.sleep(0.02)
        assert renewals <= before + 1


async def test_an_event_without_effect_is_done_with(shop: Shop, store: SQLiteStore) -> None:
    """It is not asked about again."""
    asked: list[str] = []

    async def react(given: Event) -> Effect | None:
        asked.append(given.event_id)
        return None

    one = told("a")
    for number in (1, 2):
        await shop.append([one, told("another")])
        async with shop.consumer(react=react):
            await shop.until_consumed(1 + number)
    assert asked.count(one.event_id) == 1
    assert await kept(store) == []


async def test_reaction_and_effect_act_for_the_event(shop: Shop, store: SQLiteStore) -> None:
    """As the service itself, on behalf of the actor, with chain, date and trace of the event."""
    heard: list[tuple[RequestContext, TraceContext | None]] = []
    chain = ChainIds(scene_version=3, trigger_id=4)

    async def react(_: Event) -> Effect:
        heard.append((context.current(), current_trace()))

        async def effect(tx: Transaction) -> None:
            heard.append((context.current(), current_trace()))
            tx.publish(event(Revocation(), chain=ChainIds(task_id=5)))

        return effect

    trace = TraceContext.root(sampled=False)
    call = RequestContext(on_behalf_of="rm001", chain=chain, business_date="2026-11-23")
    with context.using(call), NullSpan(trace):
        given = told("a")
    await shop.append([given])
    async with shop.consumer(react=react):
        await store.outbox.wait()
    for seen, within in heard:
        assert (seen.actor, seen.user, seen.service) == ("rm001", "", "")
        assert seen.chain == chain
        assert seen.business_date == "2026-11-23"
        assert within == trace
    ((_, raw),) = await store.outbox.read(10)
    derived = Event.FromString(raw)
    assert derived.actor == "rm001"
    assert derived.chain == ChainIds(scene_version=3, trigger_id=4, task_id=5)


class Recorder(NullTracer):
    """Keeps the names of the spans that it is asked for, with their parents."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, TraceContext]] = []

    def span(self, name: str, kind: SpanKind, parent: TraceContext) -> Span:
        self.spans.append((name, parent))
        return super().span(name, kind, parent)


async def test_a_sampled_event_has_spans_in_its_trace(shop: Shop) -> None:
    """One for the reaction, one for the effect; events of other traces have none."""
    recorder = Recorder()
    shop.telemetry = Telemetry(tracer=recorder)
    trace = TraceContext.root(sampled=True)
    with NullSpan(trace):
        sampled = told("a")
    with NullSpan(TraceContext.root(sampled=False)):
        other = told("b")
    await shop.append([sampled, other, told("c")])
    async with shop.consumer():
        await shop.until(3)
    name = "google.protobuf.StringValue"
    assert recorder.spans == [(f"consume {name}", trace), (f"apply {name}", trace)]


@pytest.mark.parametrize("seed", range(5))
async def test_order_and_effect_hold_whatever_fails(shop: Shop, seed: int) -> None:
    """A model: random keys, failures, waits and restarts; each once, each key in order."""
    chance = random.Random(seed)
    count = 200
    left = {f"{n}": chance.choice([0] * 6 + [1, 2, 5]) for n in range(count)}
    poison = {f"{n}" for n in chance.sample(range(count), 5)}

    async def before(text: str) -> None:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        if text in poison:
            raise LookupError
        if left[text]:
            left[text] -= 1
            raise chance.choice([LookupError(), unavailable()])

    async def within(_: Transaction, text: str) -> None:
        if chance.random() < 0.05:
            raise StoreUnavailable("away")

    shop.before, shop.within = before, within
    keys = {f"{n}": f"key {chance.randrange(20)}" for n in range(count)}
    events = [told(text, key) for text, key in keys.items()]
    await shop.append(events[:120])
    await shop.append(events[100:])  # as a relay does that crashed
    for reached in (40, 120):
        async with shop.consumer(batch=50, transaction=10):
            await shop.until(reached)
    async with shop.consumer(batch=50):
        dead = await shop.until_dead(len(poison))
        found = await shop.until(count - len(poison))
    assert sorted(found) == sorted({*keys} - poison)
    assert {*dead} == poison
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for text in found:
        by_key[keys[text]].append(int(text))
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
