"""The contracts of the centres keep X13: who reads of a customer, or acts, is on record.

A new method that should be recorded and is not fails here. One that need not be is
put among the exceptions, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

import centers
from mesh import contract
from mesh.contract import Method

NOT_RECORDED: Final[Mapping[str, str]] = {
    "/engine.benefits.v1.BenefitsService/GetGrant": (
        "the state of one grant, by its id, for who waits for it: no personal data, and the "
        "claim that made it is on record with its id"
    ),
    "/engine.customer.v1.CustomerService/GetCustomer": (
        "token, tier, grade and owner, as every row of the caller's own book has them: no "
        "personal data, and the hottest read; what shows the person, the portrait, is recorded"
    ),
    "/engine.performance.v1.PerformanceService/GetTotals": (
        "sums over all customers of an owner, polled by dashboards; the entries behind them "
        "and their explanation are recorded"
    ),
    "/engine.reach.v1.ReachService/GetContact": (
        "the state of one contact, by its id, for who waits for it to end: no personal data, "
        "and the call that made it is on record with its id"
    ),
}
"""What the rules below find and what is not recorded, with the reason."""

ACTS: Final = "has side effects"
SHOWS: Final = "answers personal data"
READS: Final = "answers what is known of one customer"


def methods() -> Iterator[Method]:
    """Those of the centres that users may call, by path."""
    for folder in sorted(Path(centers.__file__ or centers.__path__[0]).glob("*/app.py")):
        area = folder.parent.name
        file = import_module(f"engine.{area}.v1.{area}_pb2").DESCRIPTOR
        for service in file.services_by_name.values():
            for descriptor in service.methods:
                method = contract.method(descriptor)
                if not method.policy.internal and not method.policy.anonymous:
                    yield method


METHODS: Final = {method.path: method for method in methods()}


def fields(message: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[FieldDescriptor]:
    """All fields of a message and of those within it."""
    seen |= {message.full_name}
    for field in message.fields:
        yield field
        if field.message_type is not None and field.message_type.full_name not in seen:
            yield from fields(field.message_type, seen)


def why_recorded(method: Method) -> str:
    """Why its calls belong into the behaviour log; empty when nothing says so."""
    if not method.read_only:
        return ACTS
    answered = list(fields(method.output))
    if any(contract.sensitivity(field) for field in answered):
        return SHOWS
    of_one_row = method.policy.scope_field
    names_customer = any(field.name == "customer_id" for field in answered)
    if of_one_row == "customer_id" or (of_one_row and names_customer):
        return READS
    return ""


def test_all_centres_are_looked_at() -> None:
    """Each serves something, and each of the three reasons is found somewhere."""
    found = {path.split(".")[1] for path in METHODS}
    assert found >= {"action", "benefits", "customer", "reach", "review"}
    assert {why_recorded(method) for method in METHODS.values()} == {ACTS, SHOWS, READS, ""}


@pytest.mark.parametrize("path", sorted(METHODS))
def test_x13_what_reads_of_customers_or_acts_is_recorded(path: str) -> None:
    """Unless it stands among the exceptions."""
    method = METHODS[path]
    why = why_recorded(method)
    assert method.policy.audited or not why or path in NOT_RECORDED, (
        f"{path} {why}: add `audited: true`, or an exception with its reason"
    )


def test_every_exception_is_one() -> None:
    """None is of a method that is gone, is recorded after all, or acts."""
    for path in NOT_RECORDED:
        assert not METHODS[path].policy.audited
        assert why_recorded(METHODS[path]) in {SHOWS, READS}
