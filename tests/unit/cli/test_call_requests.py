"""Requests from JSON: what is read, and how what is wrong is told."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor_pool import DescriptorPool

from cli.calling import requests, sources
from cli.calling.catalogue import Row
from cli.calling.requests import RequestError
from engine.customer.v1 import customer_pb2

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]


def row(name: str) -> Row:
    return Row("customer", CUSTOMERS.methods_by_name[name], descriptor_pool.Default())


def refusal(name: str, text: str) -> str:
    with pytest.raises(RequestError) as refused:
        requests.one(row(name), text)
    return str(refused.value)


def test_json_is_read_by_either_name_of_a_field() -> None:
    """The contract's own and JSON's; ids as numbers or as text."""
    by_name: Any = requests.one(row("GetCustomer"), '{"customer_id": 9007199254740993}')
    by_json: Any = requests.one(row("GetCustomer"), '{"customerId": "9007199254740993"}')
    assert by_name.customer_id == by_json.customer_id == 9007199254740993


def test_no_json_is_the_empty_request() -> None:
    """Of a client stream it is none."""
    assert requests.one(row("ListCustomers"), None).ByteSize() == 0
    assert [*requests.many(row("ListCustomers"), None)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"customer_idd": 7}', "no field 'customer_idd': did you mean 'customer_id'?"),
        ('{"customerIdd": 7}', "no field 'customerIdd': did you mean 'customerId'?"),
        ('{"name": 7}', "GetCustomerRequest has no field 'name': it has customerId"),
        ('{"customerId": 1, "customer_id": 2}', "'customerId' and 'customer_id' are the same"),
        ('{"customerId": 1, "customerId": 2}', "'customerId' stands there twice"),
        ('{"customerId": "x"}', "customerId: "),
        ('{"customerId": 1.5}', "customerId: Couldn't parse integer: 1.5"),
        ("[1]", "the request must be an object, {…}, for it is a GetCustomerRequest"),
        ("{customerId: 7}", "this is no JSON: "),
        ("", "this is no JSON: "),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_request_that_is_wrong_is_told_by_its_field(text: str, said: str) -> None:
    """With the near name, as it was written: in snake case or in camel case."""
    assert said in refusal("GetCustomer", text)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{"tiers": 1}', "Customer has no field 'tiers' (customers[0]): did you mean 'tier'?"),
        ('{"tier": "TIER_AUM7"}', "customers[0].tier is no Tier: 'TIER_AUM7': did you mean 'T"),
        ('{"tier": "gold"}', "it has TIER_UNSPECIFIED, TIER_AUM0"),
        ('{"shares": {}}', "customers[0].shares must be a list, […]"),
        ('{"shares": [7]}', "customers[0].shares[0] must be an object, {…}, for it is an OwnerS"),
        ('{"hasWecom": "yes"}', "customers[0].hasWecom: Expected true or false"),
        ('{"riskGradeExpireTime": "soon"}', "customers[0].riskGradeExpireTime: Failed to parse"),
    ],
)
def test_a_wrong_field_within_is_told_by_its_path(entry: str, said: str) -> None:
    """Through lists and messages."""
    assert said in refusal("ImportCustomers", f'{{"customers": [{entry}]}}')


def test_any_and_well_known_messages_are_left_to_json_format() -> None:
    """A mask, a time and an empty value are written as JSON has them."""
    text = '{"customerId": 1, "followUp": {"nextTime": null}, "updateMask": "summary,nextStep"}'
    read: Any = requests.one(row("UpdateFollowUp"), text)
    assert [*read.update_mask.paths] == ["summary", "next_step"]
    assert not read.follow_up.HasField("next_time")


def test_the_lines_of_a_client_stream_are_requests() -> None:
    """Empty lines are passed over; a wrong one is told by its number."""
    text = '{"customerId": 1}\n\n{"customerId": 2}\n{"id": 3}'
    given = requests.many(row("GetCustomer"), text)
    taken: list[Any] = [next(given), next(given)]
    assert [request.customer_id for request in taken] == [1, 2]
    with pytest.raises(RequestError, match=r"line 4: .*'id'"):
        next(given)


def test_what_takes_effect_gets_a_request_id() -> None:
    """A new one when there is none; the wanted one, or its own, else."""
    effect = row("CreateFollowUp")
    empty: Any = requests.one(effect, "{}")
    made = requests.identify(empty, effect, "")
    assert made == empty.request_id != ""
    assert requests.key_of((empty,), effect) == made
    own: Any = requests.one(effect, '{"requestId": "mine"}')
    assert (requests.identify(own, effect, ""), own.request_id) == ("", "mine")
    wanted: Any = requests.one(effect, "{}")
    assert (requests.identify(wanted, effect, "theirs"), wanted.request_id) == ("", "theirs")


def test_what_only_reads_gets_none() -> None:
    """Nor does a method that takes none: to want one is a mistake."""
    reading = row("GetCustomer")
    request = requests.one(reading, "{}")
    assert requests.identify(request, reading, "") == ""
    assert requests.key_of((request,), reading) == ""
    with pytest.raises(RequestError, match="GetCustomer takes no request_id"):
        requests.identify(request, reading, "x")


def test_two_request_ids_are_one_too_many() -> None:
    """Which one was meant, nobody can tell."""
    effect = row("CreateFollowUp")
    own = requests.one(effect, '{"requestId": "mine"}')
    with pytest.raises(RequestError, match="another request_id: 'mine'"):
        requests.identify(own, effect, "theirs")


def test_methods_of_others_are_left_alone() -> None:
    """Whose options are not the mesh's, of those nothing is known: no id is made up."""
    foreign = _foreign_row()
    request: Any = requests.one(foreign, "{}")
    assert requests.identify(request, foreign, "") == request.request_id == ""


def test_a_file_is_read(tmp_path: Path) -> None:
    """As a whole for one request, by lines for a stream, also without an end of line."""
    file = tmp_path / "request.json"
    file.write_text('{\n  "customerId": 7\n}')
    read: Any = requests.one(row("GetCustomer"), f"@{file}")
    assert read.customer_id == 7
    file.write_text('{"customerId": 1}\n{"customerId": 2}')
    assert len([*requests.many(row("GetCustomer"), f"@{file}")]) == 2


@pytest.mark.parametrize("reader", [requests.one, lambda *a: [*requests.many(*a)]])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, reader: Any) -> None:
    """It is not there, or holds no text."""
    with pytest.raises(RequestError, match="cannot be read"):
        reader(row("GetCustomer"), f"@{tmp_path / 'none'}")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(RequestError, match="not UTF-8"):
        reader(row("GetCustomer"), f"@{tmp_path / 'bytes'}")


@pytest.mark.parametrize("reader", [requests.one, lambda *a: [*requests.many(*a)]])
def test_what_is_too_large_is_refused(
    tmp_path: Path, reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is per request: a stream may be longer than any line of it."""
    monkeypatch.setattr(sources, "MAX_BYTES", 1 << 20)
    file = tmp_path / "large.json"
    file.write_bytes(b" " * (1 << 21))
    with pytest.raises(RequestError, match="is larger than 1 MiB"):
        reader(row("GetCustomer"), f"@{file}")


def test_bytes_are_base64() -> None:
    """As JSON has them in protobuf."""
    read: Any = requests.one(_foreign_row(), f'{{"raw": "{base64.b64encode(b"xy").decode()}"}}')
    assert read.raw == b"xy"


def _foreign_row() -> Row:
    file = descriptor_pb2.FileDescriptorProto(name="foreign.proto", package="foreign")
    file.syntax = "proto3"
    message = file.message_type.add(name="Thing")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="request_id", number=1, type=field.TYPE_STRING, label=1)
    message.field.add(name="raw", number=2, type=field.TYPE_BYTES, label=1)
    service = file.service.add(name="Things")
    service.method.add(name="Do", input_type=".foreign.Thing", output_type=".foreign.Thing")
    pool = DescriptorPool()
    pool.Add(file)
    return Row("127.0.0.1:1", pool.FindServiceByName("foreign.Things").methods_by_name["Do"], pool)
