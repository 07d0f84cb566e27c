"""What an event says of itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.trust_pb2 import Revocation
from mesh import context
from mesh.context import Principal, RequestContext
from mesh.events import event
from mesh.interceptors.validation import check
from mesh.telemetry import NullSpan, TraceContext


def test_an_event_tells_its_payload_by_type_and_topic() -> None:
    """The topic is the area of the payload's package."""
    told = event(Revocation(session_id="s1"), key=42)
    assert (told.topic, told.type, told.key) == ("mesh", "engine.mesh.v1.Revocation", "42")
    assert Revocation.FromString(told.payload).session_id == "s1"
    check(told)


def test_an_event_carries_what_the_call_carries() -> None:
    """Actor, chain, business date and trace come from the call that is served."""
    call = RequestContext(
        principal=Principal(subject="rm001", permissions=frozenset()),
        service="gateway",
        chain=ChainIds(scene_version=3, task_id=7),
        business_date="2026-11-23",
    )
    trace = TraceContext.root(sampled=False)
    with context.using(call), NullSpan(trace):
        told = event(Revocation(), chain=ChainIds(task_id=8, contact_id=9))
    assert told.actor == "rm001"
    assert told.chain == ChainIds(scene_version=3, task_id=8, contact_id=9)
    assert told.business_date == "2026-11-23"
    assert told.traceparent == trace.header
    assert call.chain == ChainIds(scene_version=3, task_id=7), "the call's own chain stays"


def test_an_event_of_no_call_claims_nobody() -> None:
    """The bus says which service it was."""
    told = event(Revocation())
    assert (told.actor, told.traceparent, told.business_date) == ("", "", "")
    assert not told.HasField("chain")


def test_ids_of_one_process_rise() -> None:
    """Also within one tick of the clock, and as UUIDv7 lays them out."""
    ids = [event(Revocation()).event_id for _ in range(2_000)]
    assert ids == sorted(set(ids))
    assert {(id_[12], id_[16] in "89ab") for id_ in ids} == {("7", True)}


def test_ids_of_forked_processes_differ() -> None:
    """The random part is drawn anew in each: two children of one parent make other ids."""
    ends = []
    for _ in range(2):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, event(Revocation()).event_id[16:].encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        ends.append(os.read(reading, 100))
        os.close(reading)
    assert ends[0] != ends[1]


def test_time_and_topic_may_be_given() -> None:
    """For what happened earlier, and for payloads of no area."""
    moment = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    told = event(StringValue(value="x"), topic="audit", time=moment)
    assert told.time.ToDatetime(tzinfo=UTC) == moment
    assert told.topic == "audit"


def test_a_payload_of_no_area_needs_a_topic() -> None:
    """Rather an error here than an event that nobody finds."""
    with pytest.raises(ValueError, match="topic"):
        event(StringValue())


def test_what_the_bus_would_refuse_is_refused_at_once() -> None:
    """A key or payload too long would stop the relay for good."""
    with pytest.raises(ValueError, match="longer"):
        event(Revocation(), key="k" * 129)
    with pytest.raises(ValueError, match="longer"):
        event(BytesValue(value=bytes(262_144)), topic="big")
    with pytest.raises(ValueError, match="topic"):
        event(Revocation(), topic="Not A Topic")
    for call in (
        RequestContext(business_date="2026-11-231"),
        RequestContext(on_behalf_of="a" * 201),
    ):
        with context.using(call), pytest.raises(ValueError, match="longer"):
            event(Revocation())
