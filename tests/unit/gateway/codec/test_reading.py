"""JSON to messages: what is taken, and what is refused with its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec import JsonCodec, JsonTypes, load
from gateway.errors import GatewayReason
from mesh.errors import MeshError

Build = Callable[..., Any]
EVERYTHING = "gateway.testing.v1.Everything"


@pytest.fixture(scope="module")
def codec(pool: DescriptorPool) -> JsonCodec:
    descriptor = pool.FindMessageTypeByName(EVERYTHING)
    return JsonCodec(JsonTypes(pool), descriptor, descriptor)


def refused(codec: JsonCodec, body: str | bytes) -> MeshError:
    with pytest.raises(MeshError) as caught:
        codec.parse(body if isinstance(body, bytes) else body.encode())
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ('"7"', 7),
        ("-7", -7),
        ("1e5", 100_000),
        ('"1e5"', 100_000),
        ("1.0", 1),
        ('"1.0"', 1),
        ("2147483647", 2**31 - 1),
        ("-2147483648", -(2**31)),
        ("-0", 0),
    ],
)
def test_integers_come_as_numbers_or_text(codec: JsonCodec, text: str, value: int) -> None:
    """Every spelling of a whole number is one."""
    parsed: Any = codec.parse(f'{{"aInt32": {text}}}'.encode())
    assert parsed.a_int32 == value


@pytest.mark.parametrize(
    "text",
    [
        "0.5", '"0.5"', "true", "[]", "{}", '""', '" 1"', '"1 "', '"+1"', '"0x1"', '"1_000"',
        '"01"', '"１"', "2147483648", '"2147483648"', "-2147483649", "1e10", '"1e999999999"',
        '"NaN"',
    ],
)  # fmt: skip
def test_what_is_no_integer_of_the_field_is_refused(codec: JsonCodec, text: str) -> None:
    """Fractions, other bases, blanks, and what does not fit."""
    error = refused(codec, f'{{"aInt32": {text}}}')
    assert error.reason is GatewayReason.INVALID_FIELD
    assert [violation.field for violation in error.violations] == ["aInt32"]


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("aUint32", 0, 2**32 - 1),
        ("aFixed32", 0, 2**32 - 1),
        ("aSint32", -(2**31), 2**31 - 1),
        ("aInt64", -(2**63), 2**63 - 1),
        ("aSfixed64", -(2**63), 2**63 - 1),
        ("aUint64", 0, 2**64 - 1),
    ],
)
def test_integers_are_exact_up_to_their_bounds(
    codec: JsonCodec, field: str, low: int, high: int
) -> None:
    """The bounds are taken, as number and as text; one further is refused."""
    for value in (low, high):
        assert codec.parse(f'{{"{field}": {value}}}'.encode()) == codec.parse(
            f'{{"{field}": "{value}"}}'.encode()
        )
    for value in (low - 1, high + 1):
        assert refused(codec, f'{{"{field}": {value}}}').reason is GatewayReason.INVALID_FIELD


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("3", 3.0),
        ('"1.5"', 1.5),
        ('"-1e3"', -1000.0),
        ('"Infinity"', math.inf),
        ('"-Infinity"', -math.inf),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_floats(codec: JsonCodec, text: str, value: float) -> None:
    """Numbers, numbers as text, and the names of what JSON has no number for."""
    parsed: Any = codec.parse(f'{{"aDouble": {text}}}'.encode())
    assert parsed.a_double == value


def test_nan_is_read_as_text(codec: JsonCodec) -> None:
    """It has a name."""
    parsed: Any = codec.parse(b'{"aDouble": "NaN", "aFloat": "NaN"}')
    assert math.isnan(parsed.a_double)
    assert math.isnan(parsed.a_float)


@pytest.mark.parametrize("text", ['"nan"', '"inf"', '"1,5"', '""', '" 1"', "true", '"1e999"'])
def test_what_is_no_float_is_refused(codec: JsonCodec, text: str) -> None:
    """Python's own spellings are not JSON's."""
    assert refused(codec, f'{{"aDouble": {text}}}').reason is GatewayReason.INVALID_FIELD


def test_float_of_32_bits_has_its_own_bound(codec: JsonCodec) -> None:
    """A double that does not fit is refused, not made infinite."""
    assert refused(codec, b'{"aFloat": 3.5e38}').reason is GatewayReason.INVALID_FIELD
    parsed: Any = codec.parse(b'{"aFloat": 3.4028234663852886e+38}')
    assert parsed.a_float == 3.4028234663852886e38


@pytest.mark.parametrize("text", ['"_-8="', '"_-8"', '"/+8="', '"/+8"'])
def test_bytes_come_in_both_alphabets_padded_or_not(codec: JsonCodec, text: str) -> None:
    """All four are the same bytes."""
    parsed: Any = codec.parse(f'{{"aBytes": {text}}}'.encode())
    assert parsed.a_bytes == b"\xff\xef"


@pytest.mark.parametrize("text", ['"_"', '"a b="', '"a==="', '"a\\n"', "1"])
def test_what_is_no_base64_is_refused(codec: JsonCodec, text: str) -> None:
    """Characters outside the alphabet are not skipped."""
    assert refused(codec, f'{{"aBytes": {text}}}').reason is GatewayReason.INVALID_FIELD


@pytest.mark.parametrize(
    ("text", "number"),
    [('"COLOR_RED"', 1), ('"COLOR_ROSSO"', 1), ("1", 1), ("-1", -1), ("77", 77), ("1.0", 1)],
)
def test_enums_come_by_name_or_number(codec: JsonCodec, text: str, number: int) -> None:
    """Aliases count; numbers without a name are kept."""
    parsed: Any = codec.parse(f'{{"aColor": {text}}}'.encode())
    assert parsed.a_color == number


@pytest.mark.parametrize("text", ['"RED"', '"color_red"', '"1"', "1.5", "true", "99999999999"])
def test_unknown_names_of_an_enum_are_refused(codec: JsonCodec, text: str) -> None:
    """A typing error does not become the default."""
    assert refused(codec, f'{{"aColor": {text}}}').reason is GatewayReason.INVALID_FIELD


@pytest.mark.parametrize("text", ["1", '"true"', 'null, "aBool": 1'])
def test_booleans_are_true_or_false(codec: JsonCodec, text: str) -> None:
    """Neither numbers nor text."""
    assert refused(codec, f'{{"aBool": {text}}}').code.name == "INVALID_ARGUMENT"


def test_names_of_either_kind_and_given_json_names_are_read(
    codec: JsonCodec, message: Build
) -> None:
    """camelCase, the original name, and a name that the contract chose."""
    body = b'{"a_int32": 1, "aInt64": 2, "@other": "x"}'
    assert codec.parse(body) == message("Everything", a_int32=1, a_int64=2, renamed="x")


def test_null_is_absence(codec: JsonCodec, message: Build) -> None:
    """For every kind of field but Value and NullValue."""
    body = b'{"aInt32": null, "aChild": null, "manyInt64": null, "byString": null, "aTime": null}'
    assert codec.parse(body) == message("Everything")


def test_null_is_a_value_where_it_has_one(codec: JsonCodec) -> None:
    """A Value may be null, and a NullValue is nothing else."""
    parsed: Any = codec.parse(b'{"aValue": null, "choiceNull": null, "manyValue": [null, 1]}')
    assert parsed.a_value.WhichOneof("kind") == "null_value"
    assert parsed.WhichOneof("choice") == "choice_null"
    assert [value.WhichOneof("kind") for value in parsed.many_value] == [
        "null_value",
        "number_value",
    ]


def test_members_of_a_oneof_at_their_default_are_set(codec: JsonCodec) -> None:
    """Naming a member chooses it."""
    parsed: Any = codec.parse(b'{"choiceNumber": 0}')
    assert parsed.WhichOneof("choice") == "choice_number"
    parsed = codec.parse(b'{"choiceNumber": null, "choiceText": ""}')
    assert parsed.WhichOneof("choice") == "choice_text"


def test_optional_field_at_its_default_is_present(codec: JsonCodec) -> None:
    """Presence is what `optional` is for."""
    parsed: Any = codec.parse(b'{"maybeInt32": 0}')
    assert parsed.HasField("maybe_int32")
    assert not parsed.HasField("maybe_string")


def test_lists_and_maps(codec: JsonCodec, message: Build) -> None:
    """Also of messages, and with keys that are no text in the contract."""
    body = b"""{
        "manyInt64": ["1", 2], "manyChild": [{"aInt32": 1}, {}],
        "byInt32": {"-1": "x"}, "byBool": {"true": "COLOR_RED"}, "byUint64": {"1": "AQ=="},
        "children": {"a": {"aChild": {}}}, "durations": {"d": "1.5s"},
        "manyTime": ["1970-01-01T00:00:01Z"]
    }"""
    parsed: Any = codec.parse(body)
    assert list(parsed.many_int64) == [1, 2]
    assert list(parsed.many_child) == [message("Everything", a_int32=1), message("Everything")]
    assert dict(parsed.by_int32) == {-1: "x"}
    assert dict(parsed.by_bool) == {True: 1}
    assert dict(parsed.by_uint64) == {1: b"\x01"}
    assert parsed.children["a"].HasField("a_child")
    assert (parsed.durations["d"].seconds, parsed.durations["d"].nanos) == (1, 500_000_000)
    assert parsed.many_time[0].seconds == 1


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("1970-01-01T00:00:00.5Z", 0, 500_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1, 999_999_999),
        ("1970-01-01T08:00:00+08:00", 0, 0),
        ("1969-12-31T23:30:00-00:30", 0, 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
    ],
)
def test_timestamps(codec: JsonCodec, text: str, seconds: int, nanos: int) -> None:
    """RFC 3339 with any offset."""
    parsed: Any = codec.parse(f'{{"aTime": "{text}"}}'.encode())
    assert (parsed.a_time.seconds, parsed.a_time.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        '"1970-01-01"', '"1970-01-01T00:00:00"', '"1970-01-01t00:00:00z"', '"1970-13-01T00:00:00Z"',
        '"1970-01-01T24:00:00Z"', '"1970-01-01T00:00:60Z"', '"1970-01-01T00:00:00.Z"',
        '"1970-01-01T00:00:00.0000000001Z"', '"0001-01-01T00:00:00+00:01"',
        '"9999-12-31T23:59:59-00:01"', '"1970-01-01T00:00:00+24:00"', '"10000-01-01T00:00:00Z"',
        "0", "{}",
    ],
)  # fmt: skip
def test_what_is_no_timestamp_is_refused(codec: JsonCodec, text: str) -> None:
    """Also times outside the years 1 to 9999."""
    assert refused(codec, f'{{"aTime": {text}}}').reason is GatewayReason.INVALID_FIELD


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("0s", 0, 0),
        ("1.5s", 1, 500_000_000),
        ("-0.000000001s", 0, -1),
        ("-1.5s", -1, -500_000_000),
        ("315576000000s", 315_576_000_000, 0),
        ("-315576000000.999999999s", -315_576_000_000, -999_999_999),
    ],
)
def test_durations(codec: JsonCodec, text: str, seconds: int, nanos: int) -> None:
    """The sign is that of both parts."""
    parsed: Any = codec.parse(f'{{"aDuration": "{text}"}}'.encode())
    assert (parsed.a_duration.seconds, parsed.a_duration.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    "text", ['"1"', '"s"', '".5s"', '"1.s"', '"1 s"', '"315576000001s"', '"999999999999s"', "1"]
)
def test_what_is_no_duration_is_refused(codec: JsonCodec, text: str) -> None:
    """Also what is longer than 10,000 years."""
    assert refused(codec, f'{{"aDuration": {text}}}').reason is GatewayReason.INVALID_FIELD


def test_field_masks_are_camel_case(codec: JsonCodec) -> None:
    """Paths are snake_case in the message; snake_case in JSON is refused."""
    parsed: Any = codec.parse(b'{"aMask": "fooBar.baz,qux"}')
    assert list(parsed.a_mask.paths) == ["foo_bar.baz", "qux"]
    parsed = codec.parse(b'{"aMask": ""}')
    assert list(parsed.a_mask.paths) == []
    assert refused(codec, b'{"aMask": "foo_bar"}').reason is GatewayReason.INVALID_FIELD


def test_wrappers_are_their_values(codec: JsonCodec) -> None:
    """Zero is kept, null is absence."""
    parsed: Any = codec.parse(b'{"wInt64": "0", "wBool": false, "wString": null, "wBytes": ""}')
    assert parsed.HasField("w_int64")
    assert parsed.HasField("w_bool")
    assert parsed.HasField("w_bytes")
    assert not parsed.HasField("w_string")


def test_struct_value_list_and_any(codec: JsonCodec) -> None:
    """The types whose JSON is free."""
    parsed: Any = codec.parse(
        b'{"aStruct": {"a": [1, {"b": null}]}, "aValue": [true], "aList": ["x"], "anEmpty": {},'
        b' "anAny": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}'
    )
    assert parsed.a_struct["a"][0] == 1
    assert parsed.a_value.list_value.values[0].bool_value is True
    assert parsed.a_list[0] == "x"
    assert parsed.HasField("an_empty")
    assert parsed.an_any.type_url.endswith("Duration")


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ('{"nothing": 1}', GatewayReason.UNKNOWN_FIELD, "nothing"),
        ('{"aChild": {"x": 1}}', GatewayReason.UNKNOWN_FIELD, "aChild.x"),
        (
            '{"manyChild": [{}, {"aInt32": "x"}]}',
            GatewayReason.INVALID_FIELD,
            "manyChild[1].aInt32",
        ),
        ('{"children": {"k": {"aBool": 1}}}', GatewayReason.INVALID_FIELD, "children[k].aBool"),
        ('{"byInt32": {"x": ""}}', GatewayReason.INVALID_FIELD, "byInt32[x]"),
        ('{"byBool": {"True": 0}}', GatewayReason.INVALID_FIELD, "byBool[True]"),
        ('{"a_int32": 1, "aInt32": 1}', GatewayReason.CONFLICTING_FIELD, "aInt32"),
        ('{"a_int32": null, "aInt32": 1}', GatewayReason.CONFLICTING_FIELD, "aInt32"),
        ('{"choiceText": "", "choiceNumber": 0}', GatewayReason.CONFLICTING_FIELD, "choiceNumber"),
        ('{"manyInt64": [1, null]}', GatewayReason.INVALID_FIELD, "manyInt64"),
        ('{"manyInt64": 1}', GatewayReason.INVALID_FIELD, "manyInt64"),
        ('{"manyChild": {}}', GatewayReason.INVALID_FIELD, "manyChild"),
        ('{"byString": []}', GatewayReason.INVALID_FIELD, "byString"),
        ('{"byString": {"a": null}}', GatewayReason.INVALID_FIELD, "byString[a]"),
        ('{"aChild": []}', GatewayReason.INVALID_FIELD, "aChild"),
        ('{"aChild": "x"}', GatewayReason.INVALID_FIELD, "aChild"),
        ('{"aString": 1}', GatewayReason.INVALID_FIELD, "aString"),
        ('{"aString": "\\ud800"}', GatewayReason.INVALID_FIELD, "aString"),
        ('{"byString": {"\\udfff": 1}}', GatewayReason.INVALID_FIELD, "byString[\\udfff]"),
        ('{"aStruct": []}', GatewayReason.INVALID_FIELD, "aStruct"),
        ('{"aStruct": {"\\ud800": 1}}', GatewayReason.INVALID_FIELD, "aStruct"),
        ('{"anAny": {"@type": "x/unknown.Type"}}', GatewayReason.INVALID_FIELD, "anAny"),
        ('{"anAny": {"a": 1}}', GatewayReason.INVALID_FIELD, "anAny"),
        ('{"anAny": {"@type": 1}}', GatewayReason.INVALID_FIELD, "anAny"),
        ("[]", GatewayReason.INVALID_FIELD, ""),
        ("null", GatewayReason.INVALID_FIELD, ""),
        ('"x"', GatewayReason.INVALID_FIELD, ""),
    ],
)
def test_refusals_name_the_field(
    codec: JsonCodec, body: str, reason: GatewayReason, field: str
) -> None:
    """The violation says where it is, by the names that were sent."""
    error = refused(codec, body)
    assert error.reason is reason
    assert [violation.field for violation in error.violations] == [field]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{}{}", b"{'a': 1}", b'{"a": 1,}', b'{"a": [1,]}', b'{"a": 01}', b'{"a": .5}',
        b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": "\n"}', b'{"a": "\\x"}',
        b'{"a": 1, "a": 1}', b'{"b": {"a": 1, "a": 2}}', b"\xef\xbb\xbf{}", b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}', b"// no\n{}", b'{"a": ' + b"1" * 5000 + b"}",
        b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 65 + b"]" * 65,
    ],
)  # fmt: skip
def test_what_is_not_strictly_json_is_refused(body: bytes) -> None:
    """Including what many readers let pass, and nesting beyond the bound."""
    with pytest.raises(MeshError) as caught:
        load(body)
    assert caught.value.reason is GatewayReason.MALFORMED_JSON


def test_nesting_up_to_the_bound_is_read() -> None:
    """64 levels, however many brackets there are in all."""
    assert load(b"[" * 64 + b"]" * 64) is not None
    assert len(load(b"[" + b"[]," * 1000 + b"[]]")) == 1001


def test_recursive_messages_are_read_up_to_the_bound_of_nesting(codec: JsonCodec) -> None:
    """A message that contains itself cannot exhaust the stack."""
    deep = b'{"aChild":' * 63 + b"{}" + b"}" * 63
    assert codec.parse(deep).ByteSize() > 0
    too_deep = b'{"aChild":' * 64 + b"{}" + b"}" * 64
    assert refused(codec, too_deep).reason is GatewayReason.MALFORMED_JSON


def test_body_of_one_field(pool: DescriptorPool, message: Build) -> None:
    """A body may be one field of the request, of any kind."""
    types = JsonTypes(pool)
    request = pool.FindMessageTypeByName(EVERYTHING)

    def parse(field: str, body: bytes) -> Any:
        return JsonCodec(types, request, request, body=field).parse(body)

    assert parse("a_child", b'{"aInt32": 1}') == message(
        "Everything", a_child=message("Everything", a_int32=1)
    )
    assert list(parse("many_int64", b'["1"]').many_int64) == [1]
    assert parse("a_string", b'"x"').a_string == "x"
    assert parse("a_time", b'"1970-01-01T00:00:01Z"').a_time.seconds == 1


def test_request_may_be_of_a_well_known_type(pool: DescriptorPool) -> None:
    """Its JSON is that of the type."""
    types = JsonTypes(pool)
    for name, body in (("Struct", b'{"a":1.0}'), ("Duration", b'"1s"'), ("Empty", b"{}")):
        descriptor = pool.FindMessageTypeByName(f"google.protobuf.{name}")
        codec = JsonCodec(types, descriptor, descriptor)
        assert codec.print(codec.parse(body)) == body


def test_detail_names_the_place_and_bounds_what_it_quotes(codec: JsonCodec) -> None:
    """However long the name that was sent."""
    assert refused(codec, b'{"aInt32": "x"}').detail == "aInt32: must be a whole number"
    assert refused(codec, b"[]").detail == "must be an object"
    assert len(refused(codec, b'{"' + b"x" * 5000 + b'": 1}').detail) < 200
