"""What every store must do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue

from mesh.clock import ManualClock
from mesh.errors import MeshError, MeshReason
from mesh.storage import (
    IdempotentCall,
    IntegrityViolation,
    Replayed,
    StorageError,
    Store,
    Transaction,
    idempotent_call,
    purge_idempotency,
)
from tests.conformance.stores import STORES, place

METADATA = sa.MetaData()
ACCOUNTS = sa.Table(
    "account",
    METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.String(50), nullable=False, unique=True),
    sa.Column("balance", sa.BigInteger, sa.CheckConstraint("balance >= 0"), nullable=False),
)

NUMBERED = sa.Table(
    "numbered",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
)

ADD = sa.insert(ACCOUNTS)
ALL = sa.select(ACCOUNTS).order_by(ACCOUNTS.c.id)
ONE = sa.select(ACCOUNTS).where(ACCOUNTS.c.id == sa.bindparam("id"))
DEPOSIT = (
    sa.update(ACCOUNTS)
    .where(ACCOUNTS.c.id == sa.bindparam("account"))
    .values(balance=ACCOUNTS.c.balance + sa.bindparam("amount"))
)


def account(number: int, balance: int = 0) -> dict[str, Any]:
    return {"id": number, "owner": f"owner {number}", "balance": balance}


@contextmanager
def serving(request_id: str, request_hash: bytes = b"one") -> Iterator[None]:
    """As if the block served a call that carries a request id."""
    call = IdempotentCall(
        caller="rm001", method="/bank/Open", request_id=request_id, request_hash=request_hash
    )
    token = idempotent_call.set(call)
    try:
        yield
    finally:
        idempotent_call.reset(token)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=STORES)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Store]:
    database = place(request.param, request, tmp_path)
    async with database.open(clock=clock) as opened:
        await database.create(opened, ACCOUNTS, NUMBERED)
        async with opened.transaction() as tx:
            await tx.execute(ADD, account(1, balance=100))
        yield opened


async def balance(store: Store, number: int = 1) -> int:
    rows = await store.fetch_all(ONE, {"id": number})
    return cast("int", rows[0].balance)


async def test_a_transaction_takes_effect_as_a_whole(store: Store) -> None:
    """All statements of a block are there after it."""
    async with store.transaction() as tx:
        assert await tx.execute(DEPOSIT, {"account": 1, "amount": -30}) == 1
        assert await tx.execute(ADD, account(2, balance=30)) == 1
    assert [row.balance for row in await store.fetch_all(ALL)] == [70, 30]


async def test_an_exception_rolls_back_the_whole_block(store: Store) -> None:
    """Nothing of the block is kept, and the exception comes through."""

    async def withdraw() -> None:
        async with store.transaction() as tx:
            await tx.execute(DEPOSIT, {"account": 1, "amount": -30})
            raise LookupError

    with pytest.raises(LookupError):
        await withdraw()
    assert await balance(store) == 100


async def test_a_failed_transaction_does_not_touch_its_neighbours(store: Store) -> None:
    """Of many that run at once, exactly those that succeed are kept."""

    async def add(number: int) -> None:
        async with store.transaction() as tx:
            await tx.execute(ADD, account(number))
            if number % 3 == 0:
                raise LookupError

    numbers = range(2, 50)
    await asyncio.gather(*(add(number) for number in numbers), return_exceptions=True)
    kept = [row.id for row in await store.fetch_all(ALL)]
    assert kept == [1, *(number for number in numbers if number % 3)]


async def test_reads_do_not_see_what_is_not_committed(store: Store) -> None:
    """The transaction sees its own change, the store does not until the block has ended."""
    async with store.transaction() as tx:
        await tx.execute(DEPOSIT, {"account": 1, "amount": 5})
        assert (await tx.fetch_all(ONE, {"id": 1}))[0].balance == 105
        assert await balance(store) == 100
    assert await balance(store) == 105


async def test_one_statement_takes_many_parameter_sets(store: Store) -> None:
    """The count is of all rows, however many sets there are; none is no work."""
    async with store.transaction() as tx:
        assert await tx.execute(ADD, [account(number) for number in range(2, 1_502)]) == 1_500
        assert await tx.execute(ADD, []) == 0
    assert len(await store.fetch_all(ALL)) == 1_501


async def test_a_given_number_is_kept_even_when_it_is_zero(store: Store) -> None:
    """A column that numbers rows by itself takes the number that it is given."""
    async with store.transaction() as tx:
        await tx.execute(sa.insert(NUMBERED), [{"id": 0}, {"id": 7}])
    assert [row.id for row in await store.fetch_all(sa.select(NUMBERED.c.id))] == [0, 7]


async def test_parameter_sets_must_agree_in_their_names(store: Store) -> None:
    """A value that would be dropped is an error, and nothing is written."""
    with pytest.raises(StorageError, match="different names"):
        async with store.transaction() as tx:
            await tx.execute(ADD, [account(2), {"id": 3, "owner": "three"}])
    assert len(await store.fetch_all(ALL)) == 1


async def test_a_row_answers_by_name_and_by_position(store: Store) -> None:
    """A row is as long as the statement has columns."""
    (row,) = await store.fetch_all(ONE, {"id": 1})
    assert (row.owner, row[1], len(row)) == ("owner 1", "owner 1", 3)


async def test_writing_outside_a_transaction_is_refused(store: Store) -> None:
    """A read is only a read."""
    with pytest.raises(StorageError):
        await store.fetch_all(DEPOSIT, {"account": 1, "amount": 1})
    with pytest.raises(StorageError):
        await store.fetch_all(sa.text("UPDATE account SET balance = 0"))
    assert await balance(store) == 100


async def test_a_scan_gives_every_row_in_blocks(store: Store) -> None:
    """No block is longer than 1,000 rows, none is empty, the order is the statement's."""
    async with store.transaction() as tx:
        await tx.execute(ADD, [account(number) for number in range(2, 2_502)])
    blocks = [block async for block in store.scan(ALL)]
    assert [len(block) for block in blocks] == [1_000, 1_000, 501]
    assert [row.id for block in blocks for row in block] == list(range(1, 2_502))


async def test_a_scan_sees_the_state_it_began_with(store: Store) -> None:
    """What is committed meanwhile is for the next scan, and does not wait for this one."""
    async with store.transaction() as tx:
        await tx.execute(ADD, [account(number) for number in range(2, 3_002)])
    rows = 0
    async for block in store.scan(ALL):
        rows += len(block)
        async with store.transaction() as tx:
            await tx.execute(ADD, account(10_000 + rows))
    assert rows == 3_001


async def test_a_scan_may_be_left_early(store: Store) -> None:
    """The rest is not read, and the store goes on."""
    async with store.transaction() as tx:
        await tx.execute(ADD, [account(number) for number in range(2, 5_002)])
    async with aclosing(cast("Any", store.scan(ALL))) as blocks:
        async for block in blocks:
            assert len(block) == 1_000
            break
    assert await balance(store) == 100


async def test_a_broken_scan_raises_a_storage_error(store: Store) -> None:
    """An error of the statement reaches who consumes it."""
    with pytest.raises(StorageError):
        _ = [block async for block in store.scan(sa.text("SELECT * FROM nowhere"))]


async def test_a_duplicate_key_is_an_integrity_violation(store: Store) -> None:
    """It names the column and no value."""
    with pytest.raises(IntegrityViolation) as caught:
        async with store.transaction() as tx:
            await tx.execute(ADD, {**account(2), "owner": "owner 1"})
    assert (caught.value.kind, caught.value.columns) == ("unique", ("account.owner",))
    assert "owner 1" not in str(caught.value)


async def test_a_refused_value_is_an_integrity_violation(store: Store) -> None:
    """Checks and missing values are told apart."""
    for values, kind in (
        ({**account(2), "balance": -1}, "check"),
        ({**account(2), "owner": None}, "not_null"),
    ):
        with pytest.raises(IntegrityViolation) as caught:
            async with store.transaction() as tx:
                await tx.execute(ADD, values)
        assert caught.value.kind == kind


async def test_a_block_may_go_on_after_a_violation(store: Store) -> None:
    """Only the statement that was refused has no effect."""
    async with store.transaction() as tx:
        await tx.execute(ADD, account(2))
        with pytest.raises(IntegrityViolation):
            await tx.execute(ADD, account(1))
        await tx.execute(ADD, account(3))
    assert [row.id for row in await store.fetch_all(ALL)] == [1, 2, 3]


async def test_a_statement_that_makes_no_sense_is_a_storage_error(store: Store) -> None:
    """Foreign exceptions do not leave the store."""
    with pytest.raises(StorageError):
        await store.fetch_all(sa.text("SELEKT 1"))
    with pytest.raises(StorageError):
        await store.fetch_all(ONE, {})
    with pytest.raises(StorageError):
        await store.fetch_all(ONE, {"id": 2**70})


async def test_no_update_is_lost_among_many_tasks(store: Store) -> None:
    """200 tasks read, compute and write; the sum is right."""

    async def deposit() -> None:
        async with store.transaction() as tx:
            before = (await tx.fetch_all(ONE, {"id": 1}))[0].balance
            await asyncio.sleep(0)
            await tx.execute(sa.update(ACCOUNTS).values(balance=before + 1))

    await asyncio.gather(*(deposit() for _ in range(200)))
    assert await balance(store) == 300


async def test_cancelling_the_block_rolls_it_back(store: Store) -> None:
    """The store is free for the next transaction at once."""
    entered = asyncio.Event()

    async def hang() -> None:
        async with store.transaction() as tx:
            await tx.execute(DEPOSIT, {"account": 1, "amount": -30})
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.transaction() as tx:
        await tx.execute(DEPOSIT, {"account": 1, "amount": 1})
    assert await balance(store) == 101


async def test_cancelling_who_waits_leaves_the_queue_in_order(store: Store) -> None:
    """The one before and the one after still have their turn."""
    first_entered, let_go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with store.transaction() as tx:
            first_entered.set()
            await let_go.wait()
            await tx.execute(ADD, account(2))

    async def later(number: int) -> None:
        async with store.transaction() as tx:
            await tx.execute(ADD, account(number))

    tasks = [asyncio.create_task(first())]
    await first_entered.wait()
    tasks += [asyncio.create_task(later(number)) for number in (3, 4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    let_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert [row.id for row in await store.fetch_all(ALL)] == [1, 2, 4]


@pytest.mark.parametrize("seed", range(25))
async def test_random_cancellations_lose_nothing(store: Store, seed: int) -> None:
    """Kept is what returned; rolled back is what was cancelled inside; the writer goes on.

    What is cancelled while its end waits for the disk may be either.
    """
    random_ = random.Random(seed)
    ended: dict[int, str] = {}

    async def work(number: int, steps: int) -> None:
        ended[number] = "before"
        async with store.transaction() as tx:
            ended[number] = "inside"
            await tx.execute(ADD, account(number))
            for _ in range(steps):
                await asyncio.sleep(0)
            ended[number] = "leaving"
        ended[number] = "returned"

    tasks = [asyncio.create_task(work(n, random_.randrange(4))) for n in range(2, 62)]
    while not all(task.done() for task in tasks):
        if random_.random() < 0.7:
            random_.choice(tasks).cancel()
        for _ in range(random_.randrange(6)):
            await asyncio.sleep(0)
    async with store.transaction() as tx:
        await tx.execute(ADD, account(1_000))

    kept = {row.id for row in await store.fetch_all(ALL)} - {1, 1_000}
    must = {number for number, state in ended.items() if state == "returned"}
    may = {number for number, state in ended.items() if state == "leaving"}
    assert must <= kept <= must | may


async def open_account(store: Store, number: int, done: list[int]) -> None:
    """An effect with its answer, as a service's method has it."""
    async with store.transaction() as tx:
        await tx.execute(ADD, account(number))
        tx.answer(StringValue(value=f"opened {number}"))
    done.append(number)


async def test_the_same_call_again_gets_the_same_answer(store: Store) -> None:
    """The block does not run a second time."""
    done: list[int] = []
    with serving("r-1"):
        await open_account(store, 2, done)
    with serving("r-1"), pytest.raises(Replayed) as replay:
        await open_account(store, 3, done)
    assert StringValue.FromString(replay.value.response).value == "opened 2"
    assert done == [2]
    assert [row.id for row in await store.fetch_all(ALL)] == [1, 2]


async def test_another_request_under_the_same_id_is_refused(store: Store) -> None:
    """The caller is told, and nothing happens."""
    done: list[int] = []
    with serving("r-1"):
        await open_account(store, 2, done)
    with serving("r-1", request_hash=b"two"), pytest.raises(MeshError) as caught:
        await open_account(store, 3, done)
    assert caught.value.reason is MeshReason.REQUEST_ID_REUSED
    assert done == [2]


async def test_a_failed_call_may_come_again(store: Store) -> None:
    """An effect that was rolled back left no answer."""
    done: list[int] = []
    with serving("r-1"), pytest.raises(IntegrityViolation):
        await open_account(store, 1, done)
    with serving("r-1"):
        await open_account(store, 2, done)
    assert done == [2]


async def test_the_same_call_at_once_has_one_effect(store: Store) -> None:
    """Of ten arrivals one works, and all know the same answer."""
    done: list[int] = []

    async def arrive(number: int) -> str:
        with serving("r-1"):
            try:
                await open_account(store, number, done)
            except Replayed as replay:
                return StringValue.FromString(replay.response).value
            return f"opened {number}"

    answers = await asyncio.gather(*(arrive(number) for number in range(2, 12)))
    assert len(done) == 1
    assert set(answers) == {f"opened {done[0]}"}
    assert len(await store.fetch_all(ALL)) == 2


async def test_an_effect_without_an_answer_is_rolled_back(store: Store) -> None:
    """A call with a request id must say what it answers."""
    with serving("r-1"), pytest.raises(RuntimeError, match="without an answer"):
        async with store.transaction() as tx:
            await tx.execute(ADD, account(2))
    assert len(await store.fetch_all(ALL)) == 1


async def test_a_call_has_one_effect_only(store: Store) -> None:
    """A second transaction would not be covered by the answer."""
    done: list[int] = []
    with serving("r-1"):
        await open_account(store, 2, done)
        with pytest.raises(RuntimeError, match="had its transaction already"):
            await open_account(store, 3, done)
    assert done == [2]


async def test_a_call_may_try_again_after_a_roll_back(store: Store) -> None:
    """What was undone does not count as its transaction."""
    done: list[int] = []
    with serving("r-1"):
        with pytest.raises(IntegrityViolation):
            await open_account(store, 1, done)
        await open_account(store, 2, done)
    assert done == [2]


async def test_an_answer_outside_such_a_call_is_not_kept(store: Store) -> None:
    """Without a request id there is nothing to repeat."""
    done: list[int] = []
    await open_account(store, 2, done)
    with serving("r-1"):
        await open_account(store, 3, done)
    assert done == [2, 3]


async def test_old_answers_are_removed(store: Store, clock: ManualClock) -> None:
    """Those from before the moment go, the others stay."""
    done: list[int] = []
    for number in (2, 3):
        with serving(f"r-{number}"):
            await open_account(store, number, done)
        clock.advance(3_600)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30)
    assert await purge_idempotency(store, moment) == 1
    with serving("r-3"), pytest.raises(Replayed):
        await open_account(store, 4, done)
    with serving("r-2"):
        await open_account(store, 5, done)
    assert done == [2, 3, 5]


async def test_a_transaction_ends_with_its_block(store: Store) -> None:
    """Using it later is a mistake that shows."""
    kept: list[Transaction] = []
    async with store.transaction() as tx:
        kept.append(tx)
    with pytest.raises(RuntimeError, match="over"):
        await kept[0].execute(ADD, account(2))
    with pytest.raises(RuntimeError, match="over"):
        await kept[0].fetch_all(ALL)


async def test_transactions_do_not_nest(store: Store) -> None:
    """Waiting for oneself would be for ever."""
    with pytest.raises(RuntimeError, match="within a transaction"):
        async with store.transaction(), store.transaction():
            pass
    assert await balance(store) == 100
