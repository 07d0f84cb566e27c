"""What a call is about is read from its request: ids, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from engine.mesh.v1 import context_pb2, policy_pb2
from mesh.audit import Subject, policy_version
from mesh.contract import ContractError, Method
from tests.unit.mesh.audit.desk import CUSTOMER, method

_FIELD: Final = descriptor_pb2.FieldDescriptorProto

CHAIN = context_pb2.ChainIds(task_id=1, contact_id=2)


def _toy() -> Any:
    """A request: ids of its own, of a message in it, and one that is personal data."""
    file = descriptor_pb2.FileDescriptorProto(name="toy.proto", package="toy", syntax="proto3")
    inner = file.message_type.add(name="Inner")
    inner.field.add(name="customer_id", number=1, type=_FIELD.TYPE_INT64, label=1)
    inner.field.add(name="grant_id", number=2, type=_FIELD.TYPE_INT64, label=1)
    outer = file.message_type.add(name="Request")
    card = outer.field.add(name="card_id", number=1, type=_FIELD.TYPE_INT64, label=1)
    kind = policy_pb2.SENSITIVITY_ACCOUNT
    card.options.Extensions[policy_pb2.sensitivity] = kind
    outer.field.add(name="scene_id", number=2, type=_FIELD.TYPE_INT64, label=1)
    outer.field.add(name="task_id", number=3, type=_FIELD.TYPE_INT64, label=1)
    outer.field.add(name="request_id", number=4, type=_FIELD.TYPE_STRING, label=1)
    outer.field.add(name="code", number=5, type=_FIELD.TYPE_STRING, label=1)
    outer.field.add(name="staff_ids", number=6, type=_FIELD.TYPE_INT64, label=3)
    outer.field.add(
        name="inner", number=7, type=_FIELD.TYPE_MESSAGE, type_name=".toy.Inner", label=1
    )
    pool = descriptor_pool.DescriptorPool()
    for dependency in (descriptor_pb2.DESCRIPTOR, *policy_pb2.DESCRIPTOR.dependencies):
        pool.AddSerializedFile(dependency.serialized_pb)
    file.dependency.append("engine/mesh/v1/policy.proto")
    pool.AddSerializedFile(policy_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName("toy.Request")


TOY = _toy()
Request: Any = message_factory.GetMessageClass(TOY)


def toy(**policy: Any) -> Method:
    stated = policy_pb2.MethodPolicy(permission="x", **policy)
    return replace(method("GetPortrait"), input=TOY, policy=stated)


@pytest.mark.parametrize(
    ("policy", "request_", "wanted"),
    [
        ({}, {"scene_id": 3, "task_id": 4}, "scene_id=3"),
        ({}, {"task_id": 4}, "task_id=4"),
        ({}, {"card_id": 6222, "task_id": 4}, "task_id=4"),
        ({}, {"card_id": 6222, "request_id": "key"}, ""),
        ({"scope_field": "task_id"}, {"scene_id": 3, "task_id": 4}, "task_id=4"),
        ({"object_field": "code"}, {"code": "A1", "task_id": 4}, "code=A1"),
        ({"object_field": "inner.grant_id"}, {"inner": {"grant_id": 9}}, "inner.grant_id=9"),
        ({"object_field": "code"}, {"task_id": 4}, ""),
    ],
)
def test_the_object_is_what_the_policy_names_or_the_first_id(
    policy: dict[str, Any], request_: dict[str, Any], wanted: str
) -> None:
    """Object field, else scope field, else the first id that is there; never personal data."""
    assert Subject(toy(**policy)).object(Request(**request_)) == wanted


def test_an_object_of_any_length_is_cut() -> None:
    """A request that is refused for its length is recorded all the same."""
    named = Subject(toy(object_field="code")).object(Request(code="x" * 10_000))
    assert len(named) == 128


def test_the_customer_is_found_one_message_down() -> None:
    """A request's own customer would go before that."""
    subject = Subject(toy())
    assert subject.customer_id(Request(inner={"customer_id": 42})) == 42
    assert subject.customer_id(Request()) == 0
    assert Subject(replace(toy(), input=toy().output)).customer_id(Request()) == 0


def test_chain_ids_of_the_request_go_before_those_that_the_call_carries() -> None:
    """And leave the carried ones as they are."""
    carried = context_pb2.ChainIds(task_id=1, contact_id=2)
    found = Subject(toy()).chain(Request(task_id=4, inner={"grant_id": 9}), carried)
    assert found == context_pb2.ChainIds(task_id=4, contact_id=2, grant_id=9)
    assert carried == CHAIN


@pytest.mark.parametrize(
    ("path", "told"),
    [("card_id", "personal data"), ("nothing", "nothing"), ("staff_ids", "staff_ids")],
)
def test_an_object_field_that_cannot_be_shown_stops_the_start(path: str, told: str) -> None:
    """Personal data, a field that is not there, a list."""
    with pytest.raises(ContractError, match=told):
        Subject(toy(object_field=path))


def test_a_stream_of_requests_names_nothing() -> None:
    """There is no request when it is recorded."""
    subject = Subject(replace(toy(), client_streaming=True))
    requests = object()
    assert (subject.object(requests), subject.customer_id(requests)) == ("", 0)
    with pytest.raises(ContractError, match="stream"):
        Subject(replace(toy(object_field="task_id"), client_streaming=True))


def test_the_policy_version_names_the_policies_and_the_trust() -> None:
    """The same ones have the same version, others another."""
    versions = [
        policy_version([CUSTOMER], b"trust"),
        policy_version([CUSTOMER], b"other trust"),
        policy_version([], b"trust"),
    ]
    assert len(set(versions)) == 3
    assert all(len(version) == 12 for version in versions)
    assert policy_version([CUSTOMER], b"trust") == versions[0]
