"""The access log is a chain: what is changed in it shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from centers.ark.access import Access, append
from mesh.seal import GENESIS, Head

ACCESS = Access(
    time=datetime(2026, 1, 1, 9, 30, tzinfo=UTC),
    user="rm001",
    service="customer",
    purpose="service",
    customers=1,
    fields=("name", "phone"),
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
)


def test_first_entry_follows_genesis() -> None:
    """The first entry stands at position 1."""
    entry = append(ACCESS)
    assert entry.position == 1
    assert entry == append(ACCESS, Head(position=0, seal=GENESIS))


def test_seal_depends_on_every_part() -> None:
    """Another value anywhere in an access, another place or another past changes the seal."""
    entries = [
        append(ACCESS),
        append(ACCESS, Head(position=1)),
        append(ACCESS, Head(seal="1" * 64)),
        append(replace(ACCESS, time=datetime(2026, 1, 1, 9, 31, tzinfo=UTC))),
        append(replace(ACCESS, user="rm002")),
        append(replace(ACCESS, service="search")),
        append(replace(ACCESS, purpose="audit")),
        append(replace(ACCESS, customers=2)),
        append(replace(ACCESS, fields=("name",))),
        append(replace(ACCESS, trace_id="")),
    ]
    assert len({entry.seal for entry in entries}) == len(entries)


def test_seal_keeps_fields_apart() -> None:
    """Text that moves from one field to the next gives another seal."""
    one = append(replace(ACCESS, user="ab", service="c"))
    other = append(replace(ACCESS, user="a", service="bc"))
    assert one.seal != other.seal


def test_seals_of_logs_that_exist_stay_what_they_are() -> None:
    """A log that was begun by an earlier version of the program goes on to hold."""
    seal = "39e3a75ef5988cac9d9489a0e473d1b75f915c68ae7d84cefde7ba9583644854"
    assert append(ACCESS).seal == seal
