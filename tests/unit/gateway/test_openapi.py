"""The OpenAPI document."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from engine.customer.v1 import customer_pb2
from engine.identity.v1 import identity_pb2
from gateway import openapi
from gateway.surface import build
from mesh.reflection import Contract


def no_channel(_: str) -> Any:
    return SimpleNamespace(unary_unary=lambda *_, **__: None)


def installed(descriptor: Any, *services: str) -> Contract:
    """The contract of a generated module."""
    files: dict[str, bytes] = {}

    def visit(file: Any) -> None:
        files[file.name] = file.serialized_pb
        for dependency in file.dependencies:
            visit(dependency)

    visit(descriptor)
    return Contract(services=services, files=files)


def document(*contracts: Contract) -> dict[str, Any]:
    surface = build({str(n): c for n, c in enumerate(contracts)}, no_channel, [])
    found: dict[str, Any] = orjson.loads(openapi.document(surface.bindings, version="1.2.3"))
    return found


@pytest.fixture(scope="module")
def things(contract: Contract) -> dict[str, Any]:
    return document(contract)


def test_document_of_the_odd_contract_is_valid(things: dict[str, Any]) -> None:
    """Whatever a contract contains, the document keeps to the standard."""
    OpenAPIV30SpecValidator(things).validate()


def test_methods_that_the_standard_has_no_place_for_are_left_out(things: dict[str, Any]) -> None:
    """They are served all the same."""
    assert "/v1/things/{thing.thing_id}:print" not in things["paths"]


def test_document_of_the_installed_contracts_is_valid() -> None:
    """Of several services at once."""
    found = document(
        installed(customer_pb2.DESCRIPTOR, "engine.customer.v1.CustomerService"),
        installed(identity_pb2.DESCRIPTOR, "engine.identity.v1.IdentityService"),
    )
    OpenAPIV30SpecValidator(found).validate()
    assert "/v1/customers/{customer_id}/portrait" in found["paths"]
    page = found["paths"]["/bootstrap"]["get"]
    assert "*/*" in page["responses"]["200"]["content"]
    session = found["components"]["schemas"]["engine.identity.v1.CreateSessionRequest"]
    assert session["properties"]["password"] == {"type": "string", "format": "password"}


def test_parameters_are_those_of_path_and_query(things: dict[str, Any]) -> None:
    """Nested fields by their dotted names; what the body gives is no parameter."""
    listing = things["paths"]["/v1/shelves/{shelf_id}/things"]["get"]
    parameters = {p["name"]: p for p in listing["parameters"]}
    assert parameters["shelf_id"]["in"] == "path"
    assert parameters["shelf_id"]["required"]
    assert parameters["part.size"]["schema"] == {"type": "integer", "format": "int32"}
    assert parameters["tags"]["schema"] == {"type": "array", "items": {"type": "string"}}
    assert parameters["since"]["schema"] == {"type": "string", "format": "date-time"}
    assert "labels" not in parameters
    create = things["paths"]["/v1/shelves/{shelf_id}/things"]["post"]
    assert {p["name"] for p in create["parameters"]} == {"shelf_id", "update_mask", "request_id"}


def test_bodies_and_answers_are_those_of_the_binding(things: dict[str, Any]) -> None:
    """A field where the rule names one, else the whole message; errors are problems."""
    reference = {"$ref": "#/components/schemas/gateway.testing.v1.Thing"}
    update = things["paths"]["/v1/things/{thing.thing_id}"]["patch"]
    assert update["requestBody"]["content"]["application/json"]["schema"] == reference
    assert update["responses"]["200"]["content"]["application/json"]["schema"] == reference
    assert "application/problem+json" in update["responses"]["default"]["content"]
    listing = things["paths"]["/v1/shelves/{shelf_id}/things"]["get"]
    answer = listing["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"type": "array", "items": reference}


def test_security_is_that_of_the_policy(things: dict[str, Any]) -> None:
    """A bearer token where the method is not anonymous."""
    things_path = things["paths"]["/v1/things/{thing.thing_id}"]
    assert things_path["get"]["security"] == [{"bearer": []}]
    assert "thing.read" in things_path["get"]["description"]
    assert "security" not in things["paths"]["/v1/odd"]["get"]


def test_schemas_look_like_the_json(things: dict[str, Any]) -> None:
    """Names, 64-bit integers as text, output-only fields."""
    thing = things["components"]["schemas"]["gateway.testing.v1.Thing"]["properties"]
    assert thing["thingId"] == {"type": "string"}
    assert thing["author"] == {"type": "string", "readOnly": True}
    assert thing["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}
    answer = things["components"]["schemas"]["gateway.testing.v1.ThingResponse"]["properties"]
    assert answer["count"] == {"type": "string", "format": "int64"}


def test_operations_have_names_of_their_own(things: dict[str, Any]) -> None:
    """Additional bindings are numbered."""
    names = [o["operationId"] for item in things["paths"].values() for o in item.values()]
    assert len(names) == len(set(names))
    assert {"ThingService_GetThing", "ThingService_GetThing_2"} <= set(names)


def test_variables_over_several_segments_are_one_parameter(things: dict[str, Any]) -> None:
    """OpenAPI knows no others."""
    assert "/v1/{shelf_id}/things/{thing.thing_id}" in things["paths"]


def test_bodies_of_any_media_type_are_described_as_bytes(things: dict[str, Any]) -> None:
    """Up and down."""
    echo = things["paths"]["/v1/echo"]["post"]
    binary = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    assert echo["requestBody"]["content"] == binary
    assert echo["responses"]["200"]["content"] == binary


def test_entries_of_maps_are_no_parameters_of_the_document(things: dict[str, Any]) -> None:
    """They are taken as "labels[key]=value", which has no place in it."""
    listing = things["paths"]["/v1/shelves/{shelf_id}/things"]["get"]
    assert not any("labels" in parameter["name"] for parameter in listing["parameters"])
