"""Messages of the decision contract as domain objects, and back."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from centers.decision.domain import Event, Explained, Outcome, Reversal, Status, Trigger
from engine.decision.v1 import decision_pb2 as pb
from mesh import definitions
from mesh.definitions import Version
from mesh.paging import PageRequest

MAX_CUSTOMERS = 5_000
"""Customers of a backtest on a page, at most and by default."""


def events(request: pb.IngestRequest) -> Sequence[Event]:
    """The events handed in."""
    return [
        Event(
            event_type=message.event_type,
            business_key=message.business_key,
            customer_id=message.customer_id,
            occurred_us=micros(message.occurred_time),
            numbers=dict(message.numbers),
            texts=dict(message.texts),
        )
        for message in request.events
    ]


def reversals(request: pb.IngestRequest) -> Sequence[Reversal]:
    """The reversals handed in."""
    return [
        Reversal(
            event_type=message.event_type,
            business_key=message.business_key,
            occurred_us=micros(message.occurred_time),
            reason=message.reason,
        )
        for message in request.reversals
    ]


def ingested(outcome: Outcome) -> pb.IngestResponse:
    """What became of a request."""
    return pb.IngestResponse(
        received=outcome.received,
        duplicates=outcome.duplicates,
        stored=outcome.stored,
        reversed=outcome.reversed,
        fired=outcome.fired,
    )


def content(message: pb.Model) -> pb.Model:
    """A model as its author gives it: without head and status, which are not his to give."""
    body = pb.Model()
    body.CopyFrom(message)
    body.ClearField("definition")
    body.ClearField("status")
    return body


def model(version: Version[pb.Model], status: Status) -> pb.Model:
    """A version of a model as the contract shows it."""
    message = content(version.body)
    message.definition.CopyFrom(definitions.to_message(version))
    message.status = pb.ModelStatus.ValueType(status)
    return message


def trigger(found: Trigger) -> pb.Trigger:
    """A trigger as the contract shows it."""
    return pb.Trigger(
        trigger_id=found.trigger_id,
        model_id=found.model_id,
        model_version=found.model_version,
        scene_id=found.scene_id,
        customer_id=found.customer_id,
        event_type=found.event_type,
        business_key=found.business_key,
        occurred_time=timestamp(found.occurred_us),
        create_time=timestamp(found.create_us),
        reversed=found.reversed,
    )


def decision(found: Explained) -> pb.Decision:
    """A decision as the contract shows it."""
    return pb.Decision(
        event_type=found.event_type,
        business_key=found.business_key,
        occurred_time=timestamp(found.occurred_us),
        verdict=pb.Verdict.ValueType(found.verdict),
        path=found.path,
        trigger_id=found.trigger_id,
        model_version=found.model_version,
    )


def models_page(request: pb.ListModelsRequest) -> PageRequest:
    """The page asked for."""
    return PageRequest(listing="models", size=request.page_size, token=request.page_token)


def triggers_page(request: pb.ListTriggersRequest) -> PageRequest:
    """The page asked for; its token holds for the same model alone."""
    listing = f"triggers\n{request.model_id}"
    return PageRequest(listing=listing, size=request.page_size, token=request.page_token)


def customers_page(request: pb.ListBacktestCustomersRequest) -> PageRequest:
    """The page asked for; its token holds for the same backtest alone."""
    listing = f"backtest\n{request.backtest_id}"
    size = request.page_size or MAX_CUSTOMERS
    return PageRequest(listing=listing, size=size, token=request.page_token)


def micros(time: Timestamp) -> int:
    """Whole microseconds since 1970."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


def timestamp(since_1970_us: int) -> Timestamp:
    """The time as a message."""
    seconds, rest_us = divmod(since_1970_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest_us * 1_000)
