"""A request says which method it is for, and how it looks over REST."""

from __future__ import annotations

import json

import pytest

from engine.action.v1 import action_pb2
from engine.materials.v1 import materials_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.simulator.v1 import simulator_pb2
from loadtests import contracts


def test_a_request_tells_its_method() -> None:
    """Each method has a request of its own."""
    method = contracts.method_of(action_pb2.StartTaskRequest.DESCRIPTOR)

    assert contracts.short_name(method) == "TaskService/StartTask"
    assert contracts.service_of(method) == "action"


def test_an_outside_party_has_a_name_of_its_own() -> None:
    """Three of them share a contract, and each is a service."""
    method = contracts.method_of(simulator_pb2.PlanCallsRequest.DESCRIPTOR)

    assert contracts.service_of(method) == "calls"


def test_what_is_no_request_has_no_method() -> None:
    """Nothing is guessed."""
    with pytest.raises(LookupError, match=r"engine\.mesh\.v1\.Event"):
        contracts.method_of(Event.DESCRIPTOR)


def test_what_is_not_in_the_path_goes_into_the_body() -> None:
    """And the idempotency key into its header."""
    asked = contracts.to_http(
        action_pb2.CompleteTaskRequest(
            task_id=7, outcome=action_pb2.OUTCOME_INTERESTED, contact_id=8, request_id="key"
        )
    )

    assert (asked.verb, asked.path) == ("POST", "/v1/tasks/7:complete")
    assert asked.template == "/v1/tasks/{task_id}:complete"
    assert json.loads(asked.body or "") == {"outcome": "OUTCOME_INTERESTED", "contactId": "8"}
    assert asked.idempotency_key == "key"


def test_a_reading_request_goes_into_the_query() -> None:
    """It has no body."""
    asked = contracts.to_http(
        action_pb2.ListMyTasksRequest(scene_id=3, state=action_pb2.TASK_STATE_ASSIGNED)
    )

    assert asked.path == "/v1/tasks?state=TASK_STATE_ASSIGNED&sceneId=3"
    assert asked.body is None


def test_the_body_may_be_one_field() -> None:
    """As the rule of the method says."""
    material = materials_pb2.Material(title="x")

    asked = contracts.to_http(materials_pb2.DraftMaterialRequest(material=material))

    assert (asked.path, json.loads(asked.body or "")) == ("/v1/materials", {"title": "x"})


def test_an_answer_is_the_response_whatever_part_of_it_is_the_body() -> None:
    """A bare resource, or the whole message."""
    bare = contracts.from_http(action_pb2.StartTaskRequest(), {"taskId": "7"})
    whole = contracts.from_http(action_pb2.ListMyTasksRequest(), {"tasks": [{"taskId": "7"}]})

    assert bare == action_pb2.StartTaskResponse(task=action_pb2.Task(task_id=7))
    assert whole == action_pb2.ListMyTasksResponse(tasks=[action_pb2.Task(task_id=7)])
