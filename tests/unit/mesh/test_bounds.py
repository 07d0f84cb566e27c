"""Rules that are looked at without protovalidate: what they let pass, it lets pass too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import protovalidate
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from engine.sequencer.v1 import sequencer_pb2
from mesh.interceptors._bounds import keeper

CONTRACTS = (customer_pb2, sequencer_pb2)
NEAR = st.sampled_from([-1, 0, 1, 2, 99, 100, 101, 999, 1_000, 1_001, 1 << 30])
TEXT = st.integers(0, 300).map(lambda length: "文" * length)


def messages() -> Iterator[Descriptor]:
    for contract in CONTRACTS:
        yield from contract.DESCRIPTOR.message_types_by_name.values()


KEPT = [message for message in messages() if keeper(message) is not None]


def test_some_messages_of_the_bank_have_such_rules_alone() -> None:
    """Else all that follows would prove nothing."""
    assert customer_pb2.GetCustomerRequest.DESCRIPTOR in KEPT
    assert len(KEPT) > 5


@given(data=st.data(), kind=st.sampled_from(KEPT))
def test_what_is_let_pass_at_a_glance_breaks_no_rule(data: st.DataObject, kind: Descriptor) -> None:
    """Values lie on either side of the bounds that the contracts have."""
    message = message_factory.GetMessageClass(kind)()
    for field in kind.fields:
        if data.draw(st.booleans()):
            setattr(message, field.name, data.draw(value(field)))
    keeps = keeper(kind)
    assert keeps is not None
    if keeps(message):
        assert not protovalidate.collect_violations(message)


def value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return TEXT if field.type == FieldDescriptor.TYPE_STRING else TEXT.map(str.encode)
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return NEAR.map(abs)
        case FieldDescriptor.CPPTYPE_ENUM:
            assert field.enum_type is not None
            return st.sampled_from(list(field.enum_type.values_by_number))
        case _:
            return NEAR


@pytest.mark.parametrize(
    ("customer_id", "passes"), [(-1, False), (0, False), (1, True), (1 << 62, True)]
)
def test_a_bound_is_kept_to_the_number(customer_id: int, passes: bool) -> None:
    """The contract says that ids are above zero."""
    keeps = keeper(customer_pb2.GetCustomerRequest.DESCRIPTOR)
    assert keeps is not None
    assert keeps(customer_pb2.GetCustomerRequest(customer_id=customer_id)) is passes


def test_rules_of_another_kind_are_left_to_protovalidate() -> None:
    """Patterns, lists, messages within, and options that may be rules."""
    left = [message for message in messages() if message not in KEPT]
    assert customer_pb2.CreateFollowUpRequest.DESCRIPTOR in left
    assert keeper(policy_pb2.MethodPolicy.DESCRIPTOR) is None
    options = descriptor_pool.Default().FindMessageTypeByName("google.protobuf.MessageOptions")
    assert keeper(options) is None
