"""Messages to JSON: form of each kind of value, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec import JsonCodec, JsonTypes

Build = Callable[..., Any]
Print = Callable[[Any], Any]
EVERYTHING = "gateway.testing.v1.Everything"


@pytest.fixture(scope="module")
def printed(pool: DescriptorPool) -> Print:
    """What a message becomes."""
    descriptor = pool.FindMessageTypeByName(EVERYTHING)
    codec = JsonCodec(JsonTypes(pool), descriptor, descriptor)
    return lambda message: orjson.loads(codec.print(message))


def test_unset_fields_are_left_out(printed: Print, message: Build) -> None:
    """Scalars at their default, empty lists and maps, absent messages."""
    assert printed(message("Everything", a_int32=0, a_string="", many_int64=[])) == {}


def test_presence_is_kept(printed: Print, message: Build) -> None:
    """What is set to its default on purpose is shown."""
    everything = message(
        "Everything", maybe_int32=0, choice_text="", w_int64={"value": 0}, a_child={}, an_empty={}
    )
    assert printed(everything) == {
        "maybeInt32": 0,
        "choiceText": "",
        "wInt64": "0",
        "aChild": {},
        "anEmpty": {},
    }


def test_integers_of_64_bits_are_text(printed: Print, message: Build) -> None:
    """JavaScript would round them."""
    everything = message("Everything", a_int64=2**53 + 1, a_uint64=2**64 - 1, a_int32=5)
    assert printed(everything) == {
        "aInt32": 5,
        "aInt64": "9007199254740993",
        "aUint64": "18446744073709551615",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.1, 0.1), (1.5, 1.5), (3.4028234663852886e38, 3.4028234663852886e38), (math.inf, "Infinity"),
     (-math.inf, "-Infinity"), (math.nan, "NaN"), (16777216.0, 16777216.0)],
)  # fmt: skip
def test_floats_of_32_bits_are_as_short_as_exact(
    printed: Print, message: Build, value: float, shown: float | str
) -> None:
    """0.1 stays 0.1, and the largest one does not overflow."""
    assert printed(message("Everything", a_float=value)) == {"aFloat": shown}


def test_names_enums_bytes_and_maps(printed: Print, message: Build) -> None:
    """Enums by name, unknown ones by number; bytes in padded base64; keys as text."""
    everything = message(
        "Everything",
        renamed="x",
        many_color=[1, -1, 77],
        a_bytes=b"\xff\xef",
        by_bool={True: 1, False: 0},
        by_int32={-1: "m"},
        by_uint64={3: b"\x01"},
        children={"k": message("Everything", a_int64=1)},
    )
    assert printed(everything) == {
        "@other": "x",
        "manyColor": ["COLOR_RED", "COLOR_MINUS", 77],
        "aBytes": "/+8=",
        "byBool": {"true": "COLOR_RED", "false": "COLOR_UNSPECIFIED"},
        "byInt32": {"-1": "m"},
        "byUint64": {"3": "AQ=="},
        "children": {"k": {"aInt64": "1"}},
    }


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (0, 0, "1970-01-01T00:00:00Z"),
        (0, 500_000_000, "1970-01-01T00:00:00.500Z"),
        (0, 1_000, "1970-01-01T00:00:00.000001Z"),
        (-1, 1, "1969-12-31T23:59:59.000000001Z"),
        (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
    ],
)
def test_timestamps_have_as_few_digits_as_are_exact(
    printed: Print, message: Build, seconds: int, nanos: int, text: str
) -> None:
    """0, 3, 6 or 9 of them, always in UTC."""
    everything = message("Everything", a_time={"seconds": seconds, "nanos": nanos})
    assert printed(everything) == {"aTime": text}


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [(0, 0, "0s"), (1, 500_000_000, "1.500s"), (0, -1, "-0.000000001s"), (-2, 0, "-2s")],
)
def test_durations(printed: Print, message: Build, seconds: int, nanos: int, text: str) -> None:
    """The sign stands once."""
    everything = message("Everything", a_duration={"seconds": seconds, "nanos": nanos})
    assert printed(everything) == {"aDuration": text}


def test_free_forms_and_masks(printed: Print, message: Build) -> None:
    """Struct, Value, ListValue, Any, FieldMask and NullValue."""
    everything = message("Everything", choice_null=0)
    everything.a_struct.update({"a": [1, None]})
    everything.a_value.bool_value = True
    everything.a_list.append("x")
    everything.a_mask.paths.extend(["foo_bar.baz", "qux"])
    everything.an_any.Pack(message("Everything", a_int32=1))
    assert printed(everything) == {
        "aStruct": {"a": [1.0, None]},
        "aValue": True,
        "aList": ["x"],
        "aMask": "fooBar.baz,qux",
        "choiceNull": None,
        "anAny": {"@type": f"type.googleapis.com/{EVERYTHING}", "aInt32": 1},
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"a_time": {"seconds": 253_402_300_800}},
        {"a_time": {"nanos": -1}},
        {"a_duration": {"seconds": 1, "nanos": -1}},
        {"a_duration": {"seconds": 315_576_000_001}},
        {"a_mask": {"paths": ["fooBar"]}},
        {"a_mask": {"paths": ["foo__bar"]}},
        {"an_any": {"type_url": "x/unknown.Type", "value": b"x"}},
        {"a_value": {"number_value": math.inf}},
    ],
    ids=str,
)
def test_what_has_no_json_form_is_an_error(
    printed: Print, message: Build, fields: dict[str, Any]
) -> None:
    """Nothing is made up for it."""
    with pytest.raises(ValueError, match="a "):
        printed(message("Everything", **fields))


def test_one_field_of_a_response(pool: DescriptorPool, message: Build) -> None:
    """A response body may be any field, and is its empty form when unset."""
    types = JsonTypes(pool)
    descriptor = pool.FindMessageTypeByName("gateway.testing.v1.ThingResponse")

    def answer(name: str, **fields: Any) -> Any:
        codec = JsonCodec(types, descriptor, descriptor, response_body=name)
        return orjson.loads(codec.print(message("ThingResponse", **fields)))

    assert answer("thing", thing={"title": "x"}) == {"title": "x"}
    assert answer("thing") == {}
    assert answer("things", things=[{"title": "x"}]) == [{"title": "x"}]
    assert answer("things") == []
    assert answer("count", count=7) == "7"
    assert answer("count") == "0"
