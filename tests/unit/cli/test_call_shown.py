"""What `engine call` shows on standard output: templates and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pool, struct_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor, ServiceDescriptor

from cli.calling import rules, templates
from cli.calling.answers import Shape, as_json, print_answer
from cli.calling.catalogue import Row
from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2
from engine.decision.v1 import decision_pb2
from engine.expr.v1 import expr_pb2
from engine.identity.v1 import identity_pb2

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
ARK = ark_pb2.DESCRIPTOR.services_by_name["ArkService"]
USERS = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]


def row(name: str, service: ServiceDescriptor = CUSTOMERS) -> Row:
    return Row("customer", service.methods_by_name[name], descriptor_pool.Default())


def template(message: Any) -> Any:
    descriptor: Descriptor = message.DESCRIPTOR
    return templates.template(descriptor)


def test_a_template_says_what_belongs_where() -> None:
    """Types with their rules; what only the server fills is left out."""
    assert template(customer_pb2.CreateFollowUpRequest) == {
        "customerId": "int64, > 0",
        "followUp": {
            "followUpId": "int64, >= 0",
            "summary": "string, at most 2000 characters",
            "nextStep": "string, at most 500 characters",
            "nextTime": "time, as 2026-11-26T09:30:00Z",
            "etag": "string, at most 64 characters",
        },
        "requestId": "string, matches ^[A-Za-z0-9._:-]{0,128}$",
    }


def test_lists_maps_and_choices_are_shown_as_they_are_written() -> None:
    """A list has one entry that says how many there may be; a map one key."""
    fields = template(ark_pb2.QueryRequest)["fields"]
    names = "ARK_FIELD_NAME | ARK_FIELD_PHONE | ARK_FIELD_ID_CARD | ARK_FIELD_CIF | ARK_FIELD_AUM"
    assert fields == [f"1 or more entries, at most 10 entries, each once, {names}"]
    event = template(decision_pb2.BusinessEvent)
    assert event["texts"] == {"at most 20 entries, string": "string, at most 64 characters"}
    literal = template(expr_pb2.Literal)
    assert literal["boolValue"].startswith("bool, or else intValue, stringValue")


def test_a_message_within_itself_ends_the_template() -> None:
    """It would have no end."""
    assert template(expr_pb2.Expr)["unary"]["operand"] == "Expr, as above"


def test_personal_data_and_secrets_are_marked() -> None:
    """So that nobody sends them by mistake where they are kept."""
    record = template(ark_pb2.ImportCustomersRequest)["records"][0]
    assert record["phone"] == "string, matches ^1[3-9][0-9]{9}$, personal: PHONE"
    assert template(identity_pb2.CreateSessionRequest)["password"].endswith(", secret")


def test_well_known_messages_are_no_objects() -> None:
    """A time is text, a struct is anything; also as the whole request."""
    assert template(timestamp_pb2.Timestamp) == "time, as 2026-11-26T09:30:00Z"
    assert template(struct_pb2.Struct) == "any object"


def test_the_policy_and_the_rules_of_whole_messages_stand_beside_the_template() -> None:
    """Who may call, how far it reaches, how long it takes, and what no single value tells."""
    policy, *others = templates.about(row("CreateFollowUp"))
    assert policy == (
        "permission customer.follow_up, scope OWN_BOOK by customer_id, audited, at most 2 s, "
        "request_id is filled when it is left out"
    )
    assert others == [
        "follow_up.summary must not be empty",
        "followUp: required",
    ]
    (query,) = templates.about(row("Query", ARK))
    assert "changes nothing" in query


def test_rules_without_words_of_their_own_are_told_by_their_name() -> None:
    """A rule that a newer contract has is better told roughly than not at all."""
    found = validate_pb2.FieldRules()
    found.string.uuid = True
    found.string.len_bytes = 8
    found.string.max_len = 9
    found.string.min_len = 1
    said = [*rules.words(found)]
    assert said == ["1 or more characters", "at most 9 characters", "len bytes 8", "uuid"]


def test_times_in_rules_are_read_as_json_has_them() -> None:
    """Durations and moments."""
    found = validate_pb2.FieldRules(required=True)
    found.duration.gt.seconds = 0
    found.duration.lte.seconds = 60
    assert [*rules.words(found)] == ["required", "> 0s", "<= 60s"]


def test_answers_are_json_on_one_line_in_pipes(capsys: pytest.CaptureFixture[str]) -> None:
    """Chinese as it is; unset fields only when they are asked for."""
    answer = customer_pb2.GetPortraitResponse(portrait=customer_pb2.Portrait(name="王**"))
    print_answer(answer, row("GetPortrait"), Shape())
    assert capsys.readouterr().out == '{"portrait":{"name":"王**"}}\n'
    print_answer(answer, row("GetPortrait"), Shape(defaults=True))
    assert json.loads(capsys.readouterr().out)["portrait"]["aumBand"] == ""


def test_answers_move_no_cursor() -> None:
    """Text that others chose is written by its numbers where it would steer a terminal."""
    text = as_json({"name": "a\x1b[2J\x9b1m\u202eb"}, spread=True)
    assert text.isascii()
    assert json.loads(text) == {"name": "a\x1b[2J\x9b1m\u202eb"}
