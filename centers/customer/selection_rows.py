"""Statements that read a page of customers, each along an index."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from centers.customer.domain import Extent, Reach
from centers.customer.service import Selection
from centers.customer.tables import customer, customer_share

_COMPARE: Final[Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def selecting(selection: Selection) -> sa.Select[Any]:
    """The statement for a selection; of a book, for the customers that its staff own."""
    return _page(sa.select(customer).where(_within(selection.reach)), selection)


def assisting(selection: Selection) -> sa.Select[Any]:
    """The statement for the rest of a book: for the customers of others that its staff assist.

    By tier it sorts them: they are few.
    """
    share = customer_share.c
    assisted = (share.staff_id == selection.reach.of) & (share.position > 0)
    whose = share.customer_id == customer.c.customer_id
    return _page(sa.select(customer).join(customer_share, whose).where(assisted), selection)


def _within(reach: Reach) -> sa.ColumnElement[bool]:
    match reach.extent:
        case Extent.ALL:
            return sa.true()
        case Extent.BRANCH:
            return customer.c.branch_id == reach.of
        case Extent.OWNED:
            return customer.c.owner_id == reach.of
        case Extent.NONE:
            return sa.false()


def _page(customers: sa.Select[Any], selection: Selection) -> sa.Select[Any]:
    for condition in selection.conditions:
        compare = _COMPARE[condition.operator]
        customers = customers.where(compare(customer.c[condition.field], condition.value))
    keys = [customer.c[field] for field in selection.order.fields]
    descending = selection.order.descending
    if selection.after is not None:
        beyond = operator.lt if descending else operator.gt
        customers = customers.where(beyond(sa.tuple_(*keys), sa.tuple_(*selection.after)))
    order = (key.desc() if descending else key for key in keys)
    return customers.order_by(*order).limit(selection.limit)
