"""Lax routes: what newer clients say is left out; what the path says stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayReason
from tests.unit.gateway.route import GetRoute

Build = Callable[..., Any]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("nothing=1&page_size=5", {"page_size": 5}),
        ("part.nothing=1&part=1&tags[0]=x", {}),
        ("color=PINK&colors=COLOR_RED&colors=PINK&colors=7", {"colors": [1, 7]}),
        ("part.colors[1]=PINK", {}),
    ],
)
def test_parameters_and_enum_names_that_are_unknown_are_left_out(
    route: GetRoute, message: Build, query: str, fields: dict[str, Any]
) -> None:
    """Where a strict route refuses them."""
    path = "/v1/shelves/s/things"
    found = route("ListThings", lax=True).request(path, query=query)
    assert found == message("SearchRequest", shelf_id="s", **fields)
    route("ListThings").refused(path, query=query)


def test_unknown_fields_of_the_body_are_left_out(route: GetRoute, message: Build) -> None:
    """And are not named in the update mask that is made of it."""
    found = route("UpdateThing", lax=True).request(
        "/v1/things/1", {"title": "x", "nothing": 1, "part": {"size": 2, "nothing": 1}}
    )
    thing = {"thing_id": "1", "title": "x", "part": {"size": 2}}
    mask = {"paths": ["title", "part.size"]}
    assert found == message("ThingRequest", thing=thing, update_mask=mask)


@pytest.mark.parametrize("query", ["shelf_id=other", "page_size=x", "page_size=1&pageSize=2"])
def test_conflicts_and_wrong_values_are_refused_all_the_same(route: GetRoute, query: str) -> None:
    """Lax is about the unknown."""
    error = route("ListThings", lax=True).refused("/v1/shelves/s/things", query=query)
    assert error.reason in {GatewayReason.CONFLICTING_FIELD, GatewayReason.INVALID_FIELD}


def test_message_around_what_the_path_binds_is_no_unknown_parameter(route: GetRoute) -> None:
    """To leave it out in silence would hide an attempt to override the path."""
    notes = route("Store", 3, service="UploadService", lax=True)
    error = notes.refused("/v1/shelves/s/notes/n", query="note=other")
    assert error.reason is GatewayReason.CONFLICTING_FIELD
