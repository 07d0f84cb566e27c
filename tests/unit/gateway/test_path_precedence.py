"""What the path binds is what the backend gets: URLs are what access is granted by."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import GatewayReason
from tests.unit.gateway.route import GetRoute


@pytest.mark.parametrize(
    ("rule", "path", "query"),
    [
        (0, "/v1/uploads/7", "upload_id=8"),
        (0, "/v1/uploads/7", "uploadId=8"),
        (0, "/v1/uploads/7", "upload_id=7"),
        (1, "/v1/shelves/s/uploads", "spot.x=1"),
        (3, "/v1/shelves/s/notes/n", "note=other"),
        (3, "/v1/shelves/s/notes/n", "note.value=other"),
    ],
    ids=["same", "json-name", "equal", "oneof", "above", "nested"],
)
def test_query_never_overrides_the_path(route: GetRoute, rule: int, path: str, query: str) -> None:
    """Not by either name, not by another member of a oneof, not by the message around it."""
    error = route("Store", rule, service="UploadService").refused(path, query=query)
    assert error.reason is GatewayReason.CONFLICTING_FIELD


@pytest.mark.parametrize(
    "body", [{"shelfId": "t"}, {"spot": {}}, {"spot": {"x": 1}}, {"note": "other"}], ids=str
)
def test_body_never_overrides_the_path(route: GetRoute, body: dict[str, Any]) -> None:
    """Neither with another value nor by another member of a oneof."""
    error = route("Store", 2, service="UploadService").refused("/v1/shelves/s/n", body)
    assert error.reason is GatewayReason.CONFLICTING_FIELD


def test_body_may_say_what_the_path_says(route: GetRoute) -> None:
    """As clients send a resource back; a default cannot be told from what was not given."""
    put = route("Store", 2, service="UploadService")
    for body in ({"shelfId": "s", "note": "n"}, {"note": ""}):
        found = put.request("/v1/shelves/s/n", body)
        assert (found.shelf_id, found.note.value) == ("s", "n")
