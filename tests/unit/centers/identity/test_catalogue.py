"""The catalogue of roles against the permissions that the contracts ask for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
from centers.identity.roles import ROLES
from mesh import contract
from mesh.contract import Method


def methods() -> Iterator[Method]:
    """Every method of every contract."""
    for folder in map(Path, engine.__path__):
        for path in sorted(folder.glob("*/v1/*_pb2.py")):
            module = importlib.import_module(f"engine.{path.parts[-3]}.v1.{path.stem}")
            for service in module.DESCRIPTOR.services_by_name.values():
                yield from map(contract.method, service.methods)


@pytest.fixture(scope="module")
def asked() -> dict[str, bool]:
    """Permissions that contracts ask for, and whether any of their methods is open to users."""
    found: dict[str, bool] = {}
    for method in methods():
        name = method.policy.permission
        if name:
            found[name] = found.get(name, False) or not method.policy.internal
    return found


def test_every_permission_of_a_role_opens_something(asked: dict[str, bool]) -> None:
    """A role names no permission that no contract asks for."""
    carried = frozenset().union(*(role.permissions for role in ROLES.values()))
    assert carried <= asked.keys()


def test_every_method_for_users_can_be_called_by_somebody(asked: dict[str, bool]) -> None:
    """Each permission of a method that is not internal is carried by a role."""
    carried = frozenset().union(*(role.permissions for role in ROLES.values()))
    assert {name for name, open_to_users in asked.items() if open_to_users} <= carried


def test_no_role_lets_a_person_call_for_a_service(asked: dict[str, bool]) -> None:
    """Bulk import and the watch on revocations belong to services alone."""
    carried = frozenset().union(*(role.permissions for role in ROLES.values()))
    assert not carried & {"ark.import", "customer.import", "trust.watch"}
