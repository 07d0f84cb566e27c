"""Policies are read from descriptors, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh import contract

CUSTOMER = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]


def test_a_method_is_read_with_all_that_governs_it() -> None:
    """Path, permission, scope, HTTP rule, time-out and retry class."""
    method = contract.method(CUSTOMER.methods_by_name["GetPortrait"])
    assert method.path == "/engine.customer.v1.CustomerService/GetPortrait"
    assert method.policy.permission == "customer.read"
    assert method.policy.scope == policy_pb2.SCOPE_BRANCH
    assert method.http is not None
    assert method.http.get == "/v1/customers/{customer_id}/portrait"
    assert method.timeout_s == 2.0
    assert method.read_only
    assert method.idempotent
    assert not method.has_request_id


def test_a_policy_is_found_in_a_pool_of_its_own() -> None:
    """A gateway that got the descriptors over the wire reads the same policy."""
    pool = descriptor_pool.DescriptorPool()
    _add(pool, customer_pb2.DESCRIPTOR)
    descriptor = pool.FindMethodByName("engine.customer.v1.CustomerService.GetPortrait")
    assert contract.method(descriptor).policy.permission == "customer.read"


def test_a_policy_is_found_whatever_was_touched_first() -> None:
    """Options read before the option modules were imported must not hide the policy."""
    program = """
from google.protobuf import descriptor_pb2, descriptor_pool
from engine.customer.v1 import customer_pb2
method = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name["GetCustomer"]
method.GetOptions()
from mesh import contract
assert contract.method(method).policy.permission == "customer.read"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_method_without_permission_does_not_load() -> None:
    """Anything unknown is denied, and the message says what to add."""
    with pytest.raises(contract.ContractError, match="states neither permission nor anonymous"):
        contract.method(_toy_method(b""))


def test_a_foreign_method_takes_the_policy_that_it_is_given() -> None:
    """Which must allow somebody, too."""
    given = policy_pb2.MethodPolicy(permission="order.read")
    assert contract.method(_toy_method(b""), foreign=given).policy == given
    with pytest.raises(contract.ContractError, match="states neither permission nor anonymous"):
        contract.method(_toy_method(b""), foreign=policy_pb2.MethodPolicy(cost=3))


def test_a_policy_of_the_contract_cannot_be_replaced() -> None:
    """Not even by one that is narrower: there would be two answers to who may call."""
    given = policy_pb2.MethodPolicy(anonymous=True)
    with pytest.raises(contract.ContractError, match="a policy of its own"):
        contract.method(CUSTOMER.methods_by_name["GetPortrait"], foreign=given)


def test_a_policy_from_the_future_does_not_load() -> None:
    """A field that this version does not know may forbid what we would allow."""
    policy = policy_pb2.MethodPolicy(anonymous=True).SerializeToString()
    unknown_field = b"\xf8\x3f\x01"  # field 1023, varint 1
    options = descriptor_pb2.MethodOptions()
    options.MergeFromString(_length_delimited(50100, policy + unknown_field))
    with pytest.raises(contract.ContractError, match="1023"):
        contract.method(_toy_method(options.SerializeToString()))


def test_a_path_leads_to_its_field_or_is_refused() -> None:
    """Also through a message; never through a list, nor to what does not exist."""
    create = contract.method(CUSTOMER.methods_by_name["CreateFollowUp"]).input
    assert contract.field(create, "follow_up.author").full_name.endswith("FollowUp.author")
    imported = contract.method(CUSTOMER.methods_by_name["ImportCustomers"]).input
    for message, path in ((create, "nothing"), (create, "customer_id.x"), (imported, "customers")):
        with pytest.raises(contract.ContractError, match=path):
            contract.field(message, path)


def test_sensitive_fields_are_known() -> None:
    """The kind of personal data is read from the field."""
    from engine.ark.v1 import ark_pb2

    record = ark_pb2.CustomerRecord.DESCRIPTOR
    phone = record.fields_by_name["phone"]
    assert contract.sensitivity(phone) == policy_pb2.SENSITIVITY_PHONE
    plain = ark_pb2.CustomerToken.DESCRIPTOR.fields_by_name["customer_id"]
    assert contract.sensitivity(plain) == policy_pb2.SENSITIVITY_UNSPECIFIED


def _add(pool: descriptor_pool.DescriptorPool, file: Any) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.serialized_pb)


def _length_delimited(number: int, payload: bytes) -> bytes:
    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*out, value])

    return varint(number << 3 | 2) + varint(len(payload)) + payload


def _toy_method(options: bytes) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="toy.proto", package="toy", syntax="proto3")
    file.message_type.add(name="Nothing")
    service = file.service.add(name="Toy")
    method = service.method.add(name="Do", input_type=".toy.Nothing", output_type=".toy.Nothing")
    method.options.MergeFromString(options)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMethodByName("toy.Toy.Do")
