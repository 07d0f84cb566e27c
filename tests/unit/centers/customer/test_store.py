"""The customer centre's database: selections, pages, follow-ups."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from centers.customer import tables
from centers.customer.app import BLUEPRINT
from centers.customer.domain import (
    ORDERS,
    Customer,
    Extent,
    FollowUp,
    MaskedValues,
    Order,
    Reach,
    presumed_kind,
    undivided,
)
from centers.customer.errors import CustomerReason
from centers.customer.filter import Condition
from centers.customer.follow_up_rows import FollowUpStore
from centers.customer.selection_rows import assisting, selecting
from centers.customer.service import Customers, Selection
from centers.customer.store import AT_ONCE, CustomerStore
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import ownership_pb2, policy_pb2
from mesh.context import Scope
from mesh.errors import MeshError
from mesh.ownership import Share
from mesh.paging import PageRequest
from mesh.storage import Store, migrations

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
EVERYTHING = Reach(Extent.ALL)
CUSTOMER = Customer(
    customer_id=11,
    tier=3,
    risk_grade=2,
    risk_grade_expiry=NINE,
    owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    owner_id=7,
    branch_id=3,
    has_wecom=True,
    senior=True,
    shares=undivided(7, 3),
)
FOLLOW_UP = FollowUp(
    follow_up_id=5,
    customer_id=11,
    summary="谈到三年期存款",
    next_step="send the brochure",
    next_time=None,
    author="rm007",
    create_time=NINE,
    update_time=NINE,
)
COMPARE = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}

MANAGER = ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER


@st.composite
def customers_of_few(draw: st.DrawFn) -> Customer:
    """A customer of one of three managers, whom the others may help, or of nobody."""
    owner_id, branch_id = draw(st.integers(0, 3)), draw(st.integers(1, 2))
    shares = undivided(owner_id, branch_id)
    for staff_id in draw(st.sets(st.integers(1, 3))) - {owner_id}:
        shares += (Share(staff_id=staff_id, share_bp=0, branch_id=1),) * bool(owner_id)
    return Customer(
        customer_id=draw(st.integers(1, 2**62)),
        tier=draw(st.integers(1, 7)),
        risk_grade=draw(st.integers(0, 5)),
        risk_grade_expiry=None,
        owner_kind=MANAGER if owner_id else ownership_pb2.OWNER_KIND_UNSPECIFIED,
        owner_id=owner_id,
        branch_id=branch_id,
        has_wecom=draw(st.booleans()),
        senior=draw(st.booleans()),
        shares=shares,
    )


CUSTOMERS = customers_of_few()
CONDITIONS = st.one_of(
    st.builds(Condition, st.just("tier"), st.sampled_from(sorted(COMPARE)), st.integers(0, 8)),
    st.builds(
        Condition, st.just("risk_grade"), st.sampled_from(sorted(COMPARE)), st.integers(0, 5)
    ),
    st.builds(Condition, st.just("has_wecom"), st.sampled_from(["=", "!="]), st.integers(0, 1)),
    st.builds(Condition, st.just("owner_id"), st.sampled_from(["=", "!="]), st.integers(0, 4)),
)
CALLERS = st.tuples(
    st.sampled_from(policy_pb2.Scope.values()), st.integers(0, 3), st.integers(0, 2)
)
"""Scope, staff number and branch of a caller."""


EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    # The store outlives an example; each one begins by emptying it.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class NoArk:
    """An Ark that knows nobody."""

    async def masked(self, customer_id: int) -> MaskedValues | None:
        return None


async def emptied(store: Store) -> Customers:
    async with store.transaction() as tx:
        await tx.execute(sa.delete(tables.customer))
        await tx.execute(sa.delete(tables.customer_share))
    return Customers(CustomerStore(store), FollowUpStore(store), NoArk())


async def all_pages(
    book: Customers,
    order: Order,
    size: int,
    *,
    reach: Reach = EVERYTHING,
    conditions: Sequence[Condition] = (),
    between: Sequence[Customer] = (),
) -> list[Customer]:
    """All pages of a list; after each, one of the customers of `between` is added."""
    later = list(between)
    seen: list[Customer] = []
    token, more = "", True
    while more:
        request = PageRequest(listing="list", size=size, token=token)
        page = await book.book(reach, conditions, order, request)
        assert len(page.entries) <= size
        seen.extend(page.entries)
        assert page.next_token != token or not token, "the list does not move on"
        token = page.next_token
        more = bool(token)
        if later:
            await book.take_in([later.pop()])
    return seen


def query_plan(database: Path, statement: sa.Select[Any]) -> str:
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    connection = sqlite3.connect(database)
    steps = connection.execute(f"EXPLAIN QUERY PLAN {compiled}").fetchall()
    connection.close()
    return "; ".join(step[3] + " " for step in steps)


def respond(follow_up: FollowUp) -> customer_pb2.CreateFollowUpResponse:
    message = customer_pb2.FollowUp(follow_up_id=follow_up.follow_up_id)
    return customer_pb2.CreateFollowUpResponse(follow_up=message)


@pytest.fixture
def customers(store: Store) -> CustomerStore:
    return CustomerStore(store)


@pytest.fixture
def follow_ups(store: Store) -> FollowUpStore:
    return FollowUpStore(store)


def test_migrations_make_the_tables(database: Path) -> None:
    """The revisions lead to the very tables that the statements are written for."""
    assert BLUEPRINT.migrations is not None
    migrations.check(database, BLUEPRINT.migrations, tables.metadata)


async def test_customer_comes_back_as_stored(customers: CustomerStore) -> None:
    """What was stored is read again, with and without a grade."""
    bare = replace(CUSTOMER, customer_id=12, risk_grade=0, risk_grade_expiry=None, has_wecom=False)
    await customers.replace([CUSTOMER, bare])
    assert await customers.customer(11) == CUSTOMER
    assert await customers.customer(12) == bare
    assert await customers.customer(13) is None


async def test_shares_come_back_in_their_order(customers: CustomerStore) -> None:
    """Owner and assistants are read alike one by one, many at once, and as owners alone."""
    parts = ((7, 6_000, 3), (9, 1_000, 0), (8, 3_000, 4))
    shares = tuple(Share(staff_id=s, share_bp=bp, branch_id=b) for s, bp, b in parts)
    shared, alone = replace(CUSTOMER, shares=shares), replace(CUSTOMER, customer_id=12)
    await customers.replace([shared, alone])
    assert await customers.customer(11) == shared
    assert await customers.customers([12, 11, 13]) == {11: shared, 12: alone}
    assert await customers.owners([12, 11, 13]) == {11: shared.owner, 12: alone.owner}


async def test_shares_leave_with_a_new_import(customers: CustomerStore) -> None:
    """Who helped before and does not now is gone."""
    helped = (*undivided(7, 3), Share(staff_id=8, share_bp=0, branch_id=4))
    await customers.replace([replace(CUSTOMER, shares=helped)])
    await customers.replace([CUSTOMER])
    assert await customers.owners([11]) == {11: CUSTOMER.owner}


def test_customers_held_before_get_the_kind_of_their_owner(tmp_path: Path) -> None:
    """Migration presumes of old rows what an import presumes of new ones."""
    assert BLUEPRINT.migrations is not None
    versions = BLUEPRINT.migrations / "versions"
    old = tmp_path / "old" / "versions"
    old.mkdir(parents=True)
    shutil.copy(next(versions.glob("0001_*.py")), old)
    database = tmp_path / "customer.db"
    migrations.upgrade(database, old.parent)
    owners = [(0, 0), (7, 3), (9, 0)]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO customer VALUES (?, 3, 2, NULL, ?, ?, 1)",
            [(number, *owner) for number, owner in enumerate(owners, 1)],
        )
    migrations.upgrade(database, BLUEPRINT.migrations)
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT owner_kind, senior, is_shared FROM customer").fetchall()
    assert rows == [(presumed_kind(*owner), 0, 0) for owner in owners]


async def test_known_customer_is_replaced(customers: CustomerStore) -> None:
    """A second import leaves one row with the new values."""
    await customers.replace([CUSTOMER])
    await customers.replace([replace(CUSTOMER, tier=5)])
    assert await customers.customer(11) == replace(CUSTOMER, tier=5)
    assert (await customers.statistics()).customers == 1


@EXAMPLES
@given(
    held=st.lists(CUSTOMERS, max_size=25, unique_by=lambda customer: customer.customer_id),
    conditions=st.lists(CONDITIONS, max_size=3),
    caller=CALLERS,
    order=st.sampled_from(list(ORDERS.values())),
    size=st.integers(1, 7),
)
async def test_pages_show_what_a_plain_search_shows(
    store: Store,
    *,
    held: list[Customer],
    conditions: list[Condition],
    caller: tuple[Scope, int, int],
    order: Order,
    size: int,
) -> None:
    """All pages together are the rows within the caller's scope that match, each once, in order."""
    scope, staff_id, branch_id = caller
    wanted = sorted(
        (
            customer
            for customer in held
            if customer.owner.is_within(scope, staff_id=staff_id, branch_id=branch_id)
            and all(COMPARE[c.operator](getattr(customer, c.field), c.value) for c in conditions)
        ),
        key=order.cursor,
        reverse=order.descending,
    )
    book = await emptied(store)
    if held:
        await book.take_in(held)
    reach = Reach.within(scope, staff_id=staff_id, branch_id=branch_id)
    assert await all_pages(book, order, size, reach=reach, conditions=conditions) == wanted


@EXAMPLES
@given(
    st.lists(CUSTOMERS, max_size=40, unique_by=lambda customer: customer.customer_id),
    st.integers(0, 40),
    st.sampled_from(list(ORDERS.values())),
    st.integers(1, 7),
)
async def test_pages_stay_whole_while_rows_are_added(
    store: Store, held: list[Customer], early: int, order: Order, size: int
) -> None:
    """Rows that come between two pages make none of the others appear twice or not at all."""
    first, later = held[:early], held[early:]
    book = await emptied(store)
    if first:
        await book.take_in(first)
    seen = await all_pages(book, order, size, between=later)
    assert len(seen) == len(set(seen))
    assert set(first) <= set(seen)
    assert seen == sorted(seen, key=order.cursor, reverse=order.descending)


@pytest.mark.parametrize(
    ("reach", "order", "index"),
    [
        (Reach(Extent.OWNED, 7), "customer_id", "customer_owner "),
        (Reach(Extent.OWNED, 7), "tier", "customer_owner_tier "),
        (Reach(Extent.OWNED, 7), "tier desc", "customer_owner_tier "),
        (Reach(Extent.BRANCH, 3), "customer_id", "customer_branch "),
        (Reach(Extent.BRANCH, 3), "tier desc", "customer_branch_tier "),
        (EVERYTHING, "tier", "customer_tier "),
    ],
)
@pytest.mark.parametrize("later_page", [False, True])
async def test_page_is_read_along_an_index(
    database: Path, reach: Reach, order: str, index: str, later_page: bool
) -> None:
    """No page of a book or branch sorts rows or passes over those of others."""
    keys = ORDERS[order].fields
    selection = Selection(
        reach=reach,
        conditions=(),
        order=ORDERS[order],
        after=tuple(3 for _ in keys) if later_page else None,
        limit=51,
    )
    plan = query_plan(database, selecting(selection))
    assert f"USING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("order", ORDERS)
async def test_assisted_customers_are_found_by_who_assists(database: Path, order: str) -> None:
    """The rest of a book is reached from the shares, not by passing over customers."""
    selection = Selection(
        reach=Reach(Extent.OWNED, 7), conditions=(), order=ORDERS[order], after=None, limit=51
    )
    plan = query_plan(database, assisting(selection))
    assert "SEARCH customer_share USING INDEX customer_share_staff " in plan
    assert "SEARCH customer USING INTEGER PRIMARY KEY " in plan


async def test_many_owners_are_read_in_blocks(customers: CustomerStore) -> None:
    """However many are asked for, all that are held are answered."""
    held = [replace(CUSTOMER, customer_id=number) for number in range(1, AT_ONCE + 3)]
    await customers.replace(held)
    owners = await customers.owners(range(AT_ONCE + 10))
    assert owners == {one.customer_id: one.owner for one in held}


async def test_follow_up_comes_back_as_stored(follow_ups: FollowUpStore) -> None:
    """A follow-up is found under its customer, and under no other."""
    await follow_ups.add(FOLLOW_UP, respond)
    assert await follow_ups.follow_up(11, 5) == FOLLOW_UP
    assert await follow_ups.follow_up(12, 5) is None


async def test_newest_follow_ups_come_first(follow_ups: FollowUpStore) -> None:
    """Follow-ups come by time of creation, and by id where that is the same."""
    times = {5: NINE, 9: NINE, 7: NINE + timedelta(hours=1), 8: NINE - timedelta(hours=1)}
    for follow_up_id, time in times.items():
        await follow_ups.add(
            replace(FOLLOW_UP, follow_up_id=follow_up_id, create_time=time), respond
        )
    await follow_ups.add(replace(FOLLOW_UP, follow_up_id=6, customer_id=12), respond)
    newest = await follow_ups.newest(11, after=None, limit=3)
    assert [one.follow_up_id for one in newest] == [7, 9, 5]
    rest = await follow_ups.newest(11, after=newest[-1].cursor, limit=3)
    assert [one.follow_up_id for one in rest] == [8]


async def test_change_replaces_follow_up(follow_ups: FollowUpStore) -> None:
    """A change is kept, and the answer is made from what is kept."""
    await follow_ups.add(FOLLOW_UP, respond)
    changed = replace(FOLLOW_UP, summary="new", version=2)
    answer = await follow_ups.change(11, 5, lambda _: changed, respond)
    assert answer.follow_up.follow_up_id == 5
    assert await follow_ups.follow_up(11, 5) == changed


async def test_change_that_fails_keeps_nothing(follow_ups: FollowUpStore) -> None:
    """When the answer cannot be made the follow-up stays as it was."""
    await follow_ups.add(FOLLOW_UP, respond)

    def fail(_: FollowUp) -> customer_pb2.CreateFollowUpResponse:
        raise MeshError(CustomerReason.UPDATE_INVALID)

    with pytest.raises(MeshError):
        await follow_ups.change(11, 5, lambda f: replace(f, summary="new", version=2), fail)
    assert await follow_ups.follow_up(11, 5) == FOLLOW_UP


async def test_unknown_follow_up_cannot_be_changed(follow_ups: FollowUpStore) -> None:
    """A follow-up of another customer is as unknown as none."""
    await follow_ups.add(FOLLOW_UP, respond)
    with pytest.raises(MeshError) as refused:
        await follow_ups.change(12, 5, lambda present: present, respond)
    assert refused.value.reason is CustomerReason.FOLLOW_UP_NOT_FOUND


async def test_statistics_count_both_tables(
    customers: CustomerStore, follow_ups: FollowUpStore
) -> None:
    """Customers and follow-ups are counted."""
    await customers.replace([CUSTOMER, replace(CUSTOMER, customer_id=12)])
    await follow_ups.add(FOLLOW_UP, respond)
    statistics = await customers.statistics()
    assert (statistics.customers, statistics.follow_ups) == (2, 1)
