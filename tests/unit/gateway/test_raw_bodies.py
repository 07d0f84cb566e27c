"""`google.api.HttpBody` as a request: bodies of any media type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayReason
from tests.unit.gateway.route import GetRoute, Route

Build = Callable[..., Any]


@pytest.fixture
def upload(route: GetRoute) -> Route:
    return route("Store", service="UploadService")


@pytest.mark.parametrize("content_type", ["image/png", "application/json", "text/plain; charset=x"])
def test_body_of_any_media_type_fills_its_field(
    upload: Route, message: Build, content_type: str
) -> None:
    """As it is, JSON too; the path and the query give the other fields."""
    found = upload.request(
        "/v1/uploads/7", b"{\xff\x00", query="shelf_id=s", content_type=content_type
    )
    file = {"content_type": content_type, "data": b"{\xff\x00"}
    assert found == message("Upload", upload_id="7", shelf_id="s", file=file)


def test_body_may_be_the_whole_request(route: GetRoute) -> None:
    """Then the query has no say."""
    echo = route("Echo", service="UploadService")
    found = echo.request("/v1/echo", b"x", content_type="text/plain")
    assert (found.content_type, found.data) == ("text/plain", b"x")
    error = echo.refused("/v1/echo", b"x", query="content_type=text/html")
    assert error.reason is GatewayReason.UNKNOWN_FIELD


def test_empty_body_is_a_body(upload: Route, message: Build) -> None:
    """An empty file is a file."""
    found = upload.request("/v1/uploads/7", content_type="text/plain")
    assert found == message("Upload", upload_id="7", file={"content_type": "text/plain"})
    assert upload.request("/v1/uploads/7").HasField("file")


def test_query_does_not_reach_into_the_body(upload: Route) -> None:
    """The content type is that of the header."""
    error = upload.refused("/v1/uploads/7", b"x", query="file.content_type=text/html")
    assert error.reason is GatewayReason.UNKNOWN_FIELD


def test_answer_may_be_json_and_not_what_was_sent(upload: Route) -> None:
    """What the client accepts is about the answer alone."""
    error = upload.refused("/v1/uploads/7", b"x", content_type="image/png", accept="image/png")
    assert error.reason is GatewayReason.NOT_ACCEPTABLE
