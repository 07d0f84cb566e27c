"""What can be called, and by which names: 'customer/GetCustomer', 'GetCustomer' and others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from mesh import contract
from mesh.contract import ContractError, Method
from mesh.reflection import Contract

MAX_NEAR: Final = 5
"""Most candidates that are named for a name that is none."""


@dataclass(frozen=True)
class Row:
    """A method of a running server.

    `peer` is the server's name in the registry, or its address. The pool of the
    descriptor's contract lives as long as the row.
    """

    peer: str
    descriptor: MethodDescriptor
    pool: DescriptorPool

    @cached_property
    def path(self) -> str:
        """As gRPC names it: "/engine.customer.v1.CustomerService/GetCustomer"."""
        service: Any = self.descriptor.containing_service
        return f"/{service.full_name}/{self.descriptor.name}"

    @cached_property
    def policy(self) -> Method | None:
        """What the mesh's options say of it; None for a method that has none of them."""
        try:
            return contract.method(self.descriptor)
        except ContractError:
            return None

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of what it belongs to: server, service in short, service in full."""
        service: Any = self.descriptor.containing_service
        own = (service.name, service.full_name)
        return own if ":" in self.peer else (self.peer, *own)  # an address is part of no name

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names that it can be called by, with "/" before the method."""
        return self.descriptor.name, *(f"{g}/{self.descriptor.name}" for g in self.groups)


class Catalogue:
    """The methods of some servers."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows: Final = tuple(rows)
        self._count = Counter(name for row in self.rows for name in set(row.names))

    @classmethod
    def of(cls, contracts: Iterable[tuple[str, Contract]]) -> Catalogue:
        """The methods of contracts, each with the name of the server that it was asked of."""
        return cls(row for peer, found in contracts for row in _rows(peer, found))

    def methods(self, name: str) -> Sequence[Row]:
        """The methods that a name means; "." may stand for "/", and one "/" before all."""
        wanted = _dotted(name)
        return [row for row in self.rows if any(_dotted(n) == wanted for n in row.names)]

    def group(self, name: str) -> Sequence[Row]:
        """The methods of a server or service."""
        return [row for row in self.rows if name in row.groups]

    def label(self, row: Row) -> str:
        """The shortest name with a service in it that means this method alone."""
        _, *qualified = row.names
        return next((n for n in qualified if self._count[n] == 1), qualified[-1])

    def near(self, name: str) -> list[str]:
        """Names like one that is none, the likeliest first: of services and of methods."""
        wanted = _dotted(name).lower()
        head, _, _ = wanted.rpartition(".")
        methods = self._near_methods(wanted)
        groups = self._near_groups(head or wanted)
        return [*dict.fromkeys(methods or groups if head else groups + methods)][:MAX_NEAR]

    def _near_methods(self, wanted: str) -> list[str]:
        known = {_dotted(n).lower(): row for row in self.rows for n in row.names}
        alike = get_close_matches(wanted, known, n=MAX_NEAR, cutoff=0.7)
        within = [n for n in known if wanted in n.rpartition(".")[2]]
        return [self.label(known[n]) for n in (*alike, *within)]

    def _near_groups(self, wanted: str) -> list[str]:
        groups = {group.lower(): group for row in self.rows for group in row.groups}
        return [groups[near] for near in get_close_matches(wanted, groups, n=2, cutoff=0.8)]


def _rows(peer: str, found: Contract) -> Iterator[Row]:
    for name in found.services:
        for descriptor in found.pool.FindServiceByName(name).methods:
            yield Row(peer, descriptor, found.pool)


def _dotted(name: str) -> str:
    return name.removeprefix("/").replace("/", ".")
