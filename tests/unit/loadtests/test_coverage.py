"""Which methods of the golden loop the users of the load test call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

import loadtests
from loadtests.contracts import method_of
from mesh import contract
from mesh.contract import Method

CENTRES: Final = (
    "decision",
    "action",
    "reach",
    "wecom",
    "product",
    "benefits",
    "materials",
    "learning",
    "performance",
    "review",
)
LEFT_OUT: Final = {
    # One contact policy holds for all: a load test that published its own would
    # change what a platform in use admits. The gates of admission are loaded by every send.
    "ReachService/DraftPolicy",
    "ReachService/SubmitPolicy",
    "ReachService/ApprovePolicy",
}
"""Methods for people that no user of the load test calls, and why."""

USERS: Final = Path(loadtests.__file__).parent / "users"
"""Read as text: to import them would patch this process for gevent."""


def methods(centre: str) -> Iterator[Method]:
    """Everything that the centre's contract serves."""
    file = import_module(f"engine.{centre}.v1.{centre}_pb2").DESCRIPTOR
    for service in file.services_by_name.values():
        for method in service.methods:
            yield contract.method(method)


def name(method: Method) -> str:
    return f"{method.service.rpartition('.')[2]}/{method.name}"


def asked() -> set[str]:
    """Methods whose requests the modules of the users name, each as `area_pb2.SomeRequest`."""
    found = set()
    for path in USERS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.endswith("Request"):
                assert isinstance(node.value, ast.Name)
                area = node.value.id.removesuffix("_pb2")
                request = getattr(import_module(f"engine.{area}.v1.{area}_pb2"), node.attr)
                found.add(name(method_of(request.DESCRIPTOR)))
    return found


@pytest.mark.parametrize("centre", CENTRES)
def test_every_method_for_people_is_called_by_a_user(centre: str) -> None:
    """What is added to a contract is put under load, or left out with a reason."""
    for_people = {name(method) for method in methods(centre) if not method.policy.internal}

    assert for_people - asked() - LEFT_OUT == set()


def test_nothing_is_left_out_that_is_called() -> None:
    """The list of exceptions has no entry that is none, or that does not exist."""
    existing = {name(method) for centre in CENTRES for method in methods(centre)}

    assert LEFT_OUT & asked() == set()
    assert existing >= LEFT_OUT
