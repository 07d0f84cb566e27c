"""HTTP requests to request messages, response messages to HTTP responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.errors import GatewayReason
from mesh.reflection import Contract
from tests.unit.gateway.route import GetRoute

Build = Callable[..., Any]


def test_path_variables_fill_their_fields(route: GetRoute, message: Build) -> None:
    """Also nested ones, and several segments at once."""
    get = route("GetThing")
    assert get.request("/v1/things/t%2F1") == message("ThingRequest", thing={"thing_id": "t/1"})
    other = route("GetThing", 1)
    assert other.request("/v1/shelves/s/things/1") == message(
        "ThingRequest", thing={"thing_id": "1"}, shelf_id="shelves/s"
    )


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("page_size=5&pageSize", None),
        ("page_size=5", {"page_size": 5}),
        ("pageSize=-5", {"page_size": -5}),
        ("exact=true", {"exact": True}),
        ("exact=True", {"exact": True}),
        ("exact=False", {}),
        ("part.part_id=a+b&part.size=2", {"part": {"part_id": "a b", "size": 2}}),
        ("part.partId=%2B", {"part": {"part_id": "+"}}),
        ("part.tags=x&part.tags=y", {"part": {"tags": ["x", "y"]}}),
        ("tags=&tags=x", {"tags": ["", "x"]}),
        ("colors=COLOR_RED&colors=-1&colors=9", {"colors": [1, -1, 9]}),
        ("color=COLOR_ROSSO", {"color": 1}),
        ("since=1970-01-01T00:00:01Z", {"since": {"seconds": 1}}),
        ("within=1.5s", {"within": {"seconds": 1, "nanos": 500_000_000}}),
        ("read_mask=fooBar.baz,qux", {"read_mask": {"paths": ["foo_bar.baz", "qux"]}}),
        ("readMask=foo_bar,qux", {"read_mask": {"paths": ["foo_bar", "qux"]}}),
        ("most=0", {"most": {"value": 0}}),
        ("sure=True", {"sure": {"value": True}}),
        ("owner=0", {"owner": 0}),
        ("weight=1e3", {"weight": 1000.0}),
        ("labels[a]=x&labels[b.c]=&labels[]=z", {"labels": {"a": "x", "b.c": "", "": "z"}}),
        ("part.colors[1]=COLOR_RED&part.colors[-2]=7", {"part": {"colors": {1: 1, -2: 7}}}),
        ("labels%5B%E4%BD%A0%5D=%E5%A5%BD", {"labels": {"你": "好"}}),
        ("near=home", {"near": "home"}),
        ("spot.x=0", {"spot": {}}),
        ("$alt=json%3Benum-encoding%3Dint&$prettyPrint=1", {}),
    ],
)
def test_query_parameters_fill_their_fields(
    route: GetRoute, message: Build, query: str, fields: dict[str, Any] | None
) -> None:
    """Scalars, nested fields, lists, enums, wrappers, times and masks, by either name."""
    listing = route("ListThings")
    if fields is None:
        error = listing.refused("/v1/shelves/s/things", query=query)
        assert error.reason is GatewayReason.CONFLICTING_FIELD
        return
    found = listing.request("/v1/shelves/s/things", query=query)
    assert found == message("SearchRequest", shelf_id="s", **fields)


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        ("nothing=1", GatewayReason.UNKNOWN_FIELD, "nothing"),
        ("part.nothing=1", GatewayReason.UNKNOWN_FIELD, "part.nothing"),
        ("part=1", GatewayReason.UNKNOWN_FIELD, "part"),
        ("page_size.x=1", GatewayReason.UNKNOWN_FIELD, "page_size.x"),
        ("tags.x=1", GatewayReason.UNKNOWN_FIELD, "tags.x"),
        ("labels=1", GatewayReason.UNKNOWN_FIELD, "labels"),
        ("labels.a=1", GatewayReason.UNKNOWN_FIELD, "labels.a"),
        ("labels[a=1", GatewayReason.UNKNOWN_FIELD, "labels[a"),
        ("tags[0]=1", GatewayReason.UNKNOWN_FIELD, "tags[0]"),
        ("part.colors[x]=1", GatewayReason.UNKNOWN_FIELD, "part.colors[x]"),
        ("part.colors[1]=RED", GatewayReason.INVALID_FIELD, "part.colors[1]"),
        ("labels[a]=1&labels[a]=2", GatewayReason.INVALID_FIELD, "labels[a]"),
        (
            "part.colors[1]=1&part.colors[1.0]=2",
            GatewayReason.CONFLICTING_FIELD,
            "part.colors[1.0]",
        ),
        ("near=home&spot.x=1", GatewayReason.CONFLICTING_FIELD, "spot.x"),
        ("spot.x=1&near=home", GatewayReason.CONFLICTING_FIELD, "near"),
        ("=1", GatewayReason.UNKNOWN_FIELD, ""),
        ("page_size=", GatewayReason.INVALID_FIELD, "page_size"),
        ("page_size=1_0", GatewayReason.INVALID_FIELD, "page_size"),
        ("page_size=2147483648", GatewayReason.INVALID_FIELD, "page_size"),
        ("page_size=1&page_size=1", GatewayReason.INVALID_FIELD, "page_size"),
        ("exact=1", GatewayReason.INVALID_FIELD, "exact"),
        ("exact=TRUE", GatewayReason.INVALID_FIELD, "exact"),
        ("color=RED", GatewayReason.INVALID_FIELD, "color"),
        ("color=", GatewayReason.INVALID_FIELD, "color"),
        ("since=yesterday", GatewayReason.INVALID_FIELD, "since"),
        ("weight=nan", GatewayReason.INVALID_FIELD, "weight"),
        ("sure=yes", GatewayReason.INVALID_FIELD, "sure"),
        ("shelf_id=s", GatewayReason.CONFLICTING_FIELD, "shelf_id"),
        ("shelfId=other", GatewayReason.CONFLICTING_FIELD, "shelfId"),
        ("part.size=1&part.size=2", GatewayReason.INVALID_FIELD, "part.size"),
    ],
)
def test_other_query_parameters_are_refused(
    route: GetRoute, query: str, reason: GatewayReason, field: str
) -> None:
    """Unknown ones, wrong values, and whatever would override the path."""
    error = route("ListThings").refused("/v1/shelves/s/things", query=query)
    assert error.reason is reason
    assert [violation.field for violation in error.violations] == [field]


def test_broken_query_is_refused(route: GetRoute) -> None:
    """A bad escape is not passed over."""
    error = route("ListThings").refused("/v1/shelves/s/things", query="tags=%")
    assert error.reason is GatewayReason.MALFORMED_URL


def test_body_of_a_field_leaves_the_others_to_the_query(route: GetRoute, message: Build) -> None:
    """What the body covers is no parameter."""
    create = route("CreateThing")
    found = create.request("/v1/shelves/s/things", {"title": "x"}, query="request_id=r")
    assert found == message("ThingRequest", shelf_id="s", thing={"title": "x"}, request_id="r")
    error = create.refused("/v1/shelves/s/things", {"title": "x"}, query="thing.title=y")
    assert error.reason is GatewayReason.UNKNOWN_FIELD


def test_body_of_everything_leaves_nothing_to_the_query(route: GetRoute, message: Build) -> None:
    """Path and body are all there is; an empty body is an empty object."""
    replace = route("ReplaceThing")
    assert replace.request("/v1/things/1", {"title": "x"}) == message(
        "Thing", thing_id="1", title="x"
    )
    assert replace.request("/v1/things/1") == message("Thing", thing_id="1")
    error = replace.refused("/v1/things/1", {}, query="title=x")
    assert error.reason is GatewayReason.UNKNOWN_FIELD
    error = replace.refused("/v1/things/1", query="thing_id=2")
    assert error.reason is GatewayReason.CONFLICTING_FIELD


def test_body_never_overrides_the_path(route: GetRoute) -> None:
    """Another value is refused; the same one, as clients send it back, is not."""
    replace = route("ReplaceThing")
    assert replace.request("/v1/things/1", {"thingId": "1", "title": "x"}).thing_id == "1"
    error = replace.refused("/v1/things/1", {"thingId": "2"})
    assert error.reason is GatewayReason.CONFLICTING_FIELD
    update = route("UpdateThing")
    error = update.refused("/v1/things/1", {"thing_id": "2"})
    assert [violation.field for violation in error.violations] == ["thing.thing_id"]


def test_body_where_there_is_none_is_refused(route: GetRoute) -> None:
    """It would be ignored otherwise."""
    error = route("GetThing").refused("/v1/things/1", {"a": 1})
    assert error.reason is GatewayReason.BODY_NOT_ALLOWED


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_bodies_that_are_not_json_are_refused(route: GetRoute, content_type: str) -> None:
    """Also those that do not say what they are."""
    error = route("ReplaceThing").refused("/v1/things/1", {"a": 1}, content_type=content_type)
    assert error.reason is GatewayReason.UNSUPPORTED_MEDIA_TYPE


def test_clients_that_take_no_json_are_refused(route: GetRoute) -> None:
    """Before the service is asked; raw bodies have a type of their own."""
    error = route("GetThing").refused("/v1/things/1", accept="text/html")
    assert error.reason is GatewayReason.NOT_ACCEPTABLE
    assert route("PrintThing").request("/v1/things/1", accept="text/html").thing.thing_id == "1"


def test_required_fields_that_are_missing_are_named(route: GetRoute) -> None:
    """Of contracts in proto2; else the call would fail within us, as an incident."""
    require = route("Require", service="UploadService")
    error = require.refused("/v1/required", {"name": [{"namePart": "x"}]})
    assert error.reason is GatewayReason.INVALID_FIELD
    assert [violation.field for violation in error.violations] == ["name[0].is_extension"]
    whole = {"name": [{"namePart": "x", "isExtension": False}]}
    assert require.request("/v1/required", whole).name[0].name_part == "x"
    assert require.request("/v1/required", {}).IsInitialized()


def test_idempotency_key_fills_the_request_id(route: GetRoute) -> None:
    """Where there is one; two that differ are refused."""
    create = route("CreateThing")
    path = "/v1/shelves/s/things"
    assert create.request(path, {}, idempotency_key="k").request_id == "k"
    found = create.request(path, {}, query="request_id=k", idempotency_key="k")
    assert found.request_id == "k"
    error = create.refused(path, {}, query="request_id=other", idempotency_key="k")
    assert error.reason is GatewayReason.CONFLICTING_FIELD
    assert route("ReplaceThing").request("/v1/things/1", idempotency_key="k").thing_id == "1"


def test_if_match_fills_the_etag(route: GetRoute) -> None:
    """Of the resource, wherever it is in the request."""
    condition = '"v1"'
    assert route("UpdateThing").request("/v1/things/1", {}, if_match=condition).thing.etag == "v1"
    assert route("ReplaceThing").request("/v1/things/1", {}, if_match=condition).etag == "v1"
    assert route("UpdateThing").request("/v1/things/1", {}, if_match="*").thing.etag == ""
    assert route("GetThing").request("/v1/things/1", if_match=condition).thing.etag == ""
    error = route("UpdateThing").refused("/v1/things/1", {"etag": "v2"}, if_match=condition)
    assert error.reason is GatewayReason.CONFLICTING_FIELD


@pytest.mark.parametrize("condition", ['W/"v1"', "v1", '"a", "b"', '"a"b"'])
def test_other_conditions_are_refused(route: GetRoute, condition: str) -> None:
    """A condition that is not understood must not be ignored."""
    error = route("UpdateThing").refused("/v1/things/1", {}, if_match=condition)
    assert error.reason is GatewayReason.INVALID_HEADER


def test_condition_on_a_method_that_takes_none_is_refused(route: GetRoute) -> None:
    """The client believes that it is protected."""
    error = route("PrintThing").refused("/v1/things/1", if_match='"v1"')
    assert error.reason is GatewayReason.INVALID_HEADER


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"title": "x"}, ["title"]),
        ({"title": "", "tags": [], "due": None}, ["title", "tags", "due"]),
        ({"part": {"size": 1, "partId": "p"}}, ["part.size", "part.part_id"]),
        ({"part": {}}, ["part"]),
        ({"part": None}, ["part"]),
        ({"labels": {"a": "b"}, "due": "1970-01-01T00:00:00Z"}, ["labels", "due"]),
        ({"title": "x", "thingId": "1", "etag": "v1", "author": "me"}, ["title"]),
    ],
)
def test_patch_names_the_fields_of_its_body(
    route: GetRoute, body: dict[str, Any], paths: list[str]
) -> None:
    """What the client named, even to clear it; not the id, the etag and output-only fields."""
    found = route("UpdateThing").request("/v1/things/1", body)
    assert list(found.update_mask.paths) == paths


def test_mask_that_is_given_is_kept(route: GetRoute) -> None:
    """The client knows what it wants; without a body there is nothing to name."""
    update = route("UpdateThing")
    found = update.request("/v1/things/1", {"title": "x"}, query="update_mask=title,dueTime")
    assert list(found.update_mask.paths) == ["title", "due_time"]
    assert not update.request("/v1/things/1").HasField("update_mask")


def test_response_is_the_resource_with_its_etag(route: GetRoute, message: Build) -> None:
    """Never cached by anybody."""
    response = route("GetThing").transcoder.response(
        message("ThingResponse", thing={"title": "x", "etag": "v1"})
    )
    assert orjson.loads(response.body) == {"title": "x", "etag": "v1"}
    assert dict(response.headers) == {b"cache-control": b"no-store", b"etag": b'"v1"'}


@pytest.mark.parametrize("etag", ["", 'a"b', "a b", "é", "a\r\nb"])
def test_etags_that_cannot_be_quoted_are_left_out(
    route: GetRoute, message: Build, etag: str
) -> None:
    """They still stand in the body."""
    response = route("ReplaceThing").transcoder.response(message("Thing", etag=etag))
    assert b"etag" not in dict(response.headers)


def test_lists_and_numbers_may_be_answered(route: GetRoute, message: Build) -> None:
    """They have no etag."""
    things = message("ThingResponse", things=[{"title": "x"}], count=3)
    assert route("ListThings").transcoder.response(things).body == b'[{"title":"x"}]'
    assert route("CountThings").transcoder.response(things).body == b'"3"'


def test_raw_bodies_pass_as_they_are(route: GetRoute, contract: Contract) -> None:
    """With their own content type."""
    from google.protobuf import message_factory

    descriptor = contract.pool.FindMessageTypeByName("google.api.HttpBody")
    raw = message_factory.GetMessageClass(descriptor)
    transcoder = route("PrintThing").transcoder
    response = transcoder.response(raw(content_type="text/html", data=b"<p>\xff"))
    assert (response.content_type, response.body) == (b"text/html", b"<p>\xff")
    assert (b"x-content-type-options", b"nosniff") in response.headers
    assert transcoder.response(raw(data=b"x")).content_type == b"application/octet-stream"
