"""The Ark's use cases over its real database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
import sqlalchemy as sa

from centers.ark.domain import Field, Record
from centers.ark.errors import ArkReason
from centers.ark.service import Ark, Asker
from centers.ark.store import ArkStore
from centers.ark.tables import access_log
from centers.ark.wire import FIELDS
from engine.ark.v1 import ark_pb2
from engine.mesh.v1 import policy_pb2
from mesh.clock import ManualClock
from mesh.errors import MeshError
from mesh.seal import GENESIS
from mesh.storage import Store

WANG = Record(
    cif="1000004321",
    name="王小明",
    phone="13812341234",
    id_card="33010219900101123X",
    aum_fen=6_000_000,
)
LI = replace(WANG, cif="1000004322", name="李雷")
ASKER = Asker(user="rm001", service="customer", purpose="service", trace_id="ab" * 16)
NAME = FIELDS[ark_pb2.ARK_FIELD_NAME]
PHONE = FIELDS[ark_pb2.ARK_FIELD_PHONE]


class CountedTokens:
    """Tokens 101, 102, …; remembers how many were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._tokens = count(101)

    async def take(self, count: int) -> Sequence[int]:
        self.asked.append(count)
        return [next(self._tokens) for _ in range(count)]


@pytest.fixture
def tokens() -> CountedTokens:
    return CountedTokens()


@pytest.fixture
def ark(store: Store, tokens: CountedTokens) -> Ark:
    clock = ManualClock()
    ark_store = ArkStore(store, clock)
    return Ark(ark_store, ark_store, tokens, clock)


async def test_tokens_are_taken_for_new_customers_alone(ark: Ark, tokens: CountedTokens) -> None:
    """A customer who is known costs no token."""
    assert await ark.take_in([WANG]) == [101]
    assert await ark.take_in([LI, WANG]) == [102, 101]
    assert tokens.asked == [1, 1]


async def test_repeated_number_is_refused_with_its_place(ark: Ark, tokens: CountedTokens) -> None:
    """A number that occurs twice is named by its places, never by itself."""
    with pytest.raises(MeshError) as refused:
        await ark.take_in([WANG, LI, replace(WANG, name="王五")])
    assert refused.value.reason is ArkReason.DUPLICATE_CUSTOMER
    (violation,) = refused.value.violations
    assert violation.field == "records[2].cif"
    assert "records[0].cif" in violation.description
    assert WANG.cif not in str(refused.value) + violation.description
    assert tokens.asked == []


async def test_customers_are_shown_masked_in_the_order_asked_for(ark: Ark) -> None:
    """Known customers are shown in the order of the question; others are left out."""
    one, other = await ark.take_in([WANG, LI])
    shown = await ark.show([other, 999, one], [NAME, PHONE], ASKER)
    assert [masked.customer_id for masked in shown] == [other, one]
    assert shown[1].values == {"name": "王**", "phone": "138****1234"}


@pytest.mark.parametrize("asked", list(FIELDS))
async def test_every_field_of_the_contract_is_masked(ark: Ark, asked: int) -> None:
    """No field that may be asked for is shown in clear."""
    (token,) = await ark.take_in([WANG])
    field = FIELDS[asked]
    (shown,) = await ark.show([token], [field], ASKER)
    assert list(shown.values) == [field.name]
    assert shown.values[field.name] not in ("", str(getattr(WANG, field.name)))


async def test_field_without_mask_is_denied_and_nothing_is_read(ark: Ark) -> None:
    """One field without a masking rule denies the whole question."""
    (token,) = await ark.take_in([WANG])
    bare = Field("phone", policy_pb2.SENSITIVITY_UNSPECIFIED)
    with pytest.raises(MeshError) as refused:
        await ark.show([token], [NAME, bare], ASKER)
    assert refused.value.reason is ArkReason.FIELD_DENIED
    assert refused.value.metadata == {"fields": "phone"}


async def test_every_question_is_on_record(ark: Ark) -> None:
    """Each question leaves one entry, also when it finds nobody; the chain holds."""
    (token,) = await ark.take_in([WANG])
    await ark.show([token], [NAME], ASKER)
    await ark.show([998, 999], [NAME, PHONE], ASKER)
    check = await ark.check_access_log()
    assert (check.entries, check.broken_at) == (2, None)


async def test_empty_log_holds(ark: Ark) -> None:
    """A log without entries is whole."""
    check = await ark.check_access_log()
    assert (check.entries, check.seal, check.broken_at) == (0, GENESIS, None)


@pytest.mark.parametrize(
    "tampering",
    [
        sa.update(access_log).where(access_log.c.position == 2).values(user="rm009"),
        sa.update(access_log).where(access_log.c.position == 2).values(customers=0),
        sa.update(access_log).where(access_log.c.position == 2).values(time_us=0),
        sa.update(access_log).where(access_log.c.position == 2).values(seal="0" * 64),
        sa.delete(access_log).where(access_log.c.position == 2),
    ],
    ids=["user", "customers", "time", "seal", "removed"],
)
async def test_tampering_shows_at_its_place(
    ark: Ark, store: Store, tampering: sa.Update | sa.Delete
) -> None:
    """An entry that was changed or taken out is found, with all before it in order."""
    for _ in range(4):
        await ark.show([1], [NAME], ASKER)
    async with store.transaction() as tx:
        assert await tx.execute(tampering) == 1
    check = await ark.check_access_log()
    assert (check.entries, check.broken_at) == (1, 2)


async def test_newest_seal_shows_that_the_end_was_cut(ark: Ark, store: Store) -> None:
    """A cut end leaves a whole chain, but another newest seal."""
    await ark.show([1], [NAME], ASKER)
    await ark.show([2], [NAME], ASKER)
    before = await ark.check_access_log()
    async with store.transaction() as tx:
        await tx.execute(sa.delete(access_log).where(access_log.c.position == 2))
    after = await ark.check_access_log()
    assert after.broken_at is None
    assert after.seal != before.seal
