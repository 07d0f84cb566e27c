"""Messages of the reach contract as domain objects, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from centers.reach.admission import ChannelState
from centers.reach.domain import (
    Chain,
    Channel,
    Check,
    Contact,
    ContactClass,
    Finding,
    Receipt,
    Report,
    State,
)
from centers.reach.gates import Script
from centers.reach.preference import Preference, Said
from engine.mesh.v1 import context_pb2
from engine.reach.v1 import reach_pb2
from mesh.clock import to_micros
from mesh.paging import PageRequest


def contact(found: Contact, *, details: bool = True) -> reach_pb2.Contact:
    """A contact as the contract shows it; without `details` its checks are left out."""
    message = reach_pb2.Contact(
        contact_id=found.contact_id,
        customer_id=found.customer_id,
        channel=_channel(found.channel),
        contact_class=_class(found.contact_class),
        state=reach_pb2.ContactState.ValueType(found.state),
        chain=chain(found.chain, found.contact_id),
        staff_id=found.staff_id,
        material_id=found.material_id,
        material_version=found.material_version,
        text_sha256=found.text_sha256,
        product_id=found.product_id,
        receipt=_receipt(found.receipt, details=details),
        result_code=found.result_code,
        reached=found.reached,
    )
    _stamp(message.create_time, found.create_time)
    _stamp(message.update_time, found.update_time)
    if found.talk_time:
        message.talk_time.FromTimedelta(found.talk_time)
    return message


def chain(found: Chain, contact_id: int) -> context_pb2.ChainIds:
    """The chain ids of a contact."""
    return context_pb2.ChainIds(
        scene_version=found.scene_version,
        trigger_id=found.trigger_id,
        opportunity_id=found.opportunity_id,
        task_id=found.task_id,
        contact_id=contact_id,
    )


def contact_class(number: int) -> ContactClass:
    """The class in a request: marketing when it is not stated."""
    return ContactClass(number or ContactClass.MARKETING)


def script(content: reach_pb2.Content) -> Script:
    """What is to be said."""
    return Script(
        material_id=content.material_id, version=content.version, slots=dict(content.slots)
    )


def report(request: reach_pb2.ReportDeliveryRequest) -> Report:
    """What an outside party tells."""
    return Report(
        state=State(request.state),
        result_code=request.result_code,
        talk_time=request.talk_time.ToTimedelta(),
    )


def decided(request: reach_pb2.HoldSceneRequest) -> datetime | None:
    """When it was decided that a scene stops or goes on, if the request says so."""
    return request.time.ToDatetime(tzinfo=UTC) if request.HasField("time") else None


def contacts_page(request: reach_pb2.ListContactsRequest) -> PageRequest:
    """The page of a customer's contacts that is asked for."""
    return PageRequest(
        listing=f"contacts\n{request.customer_id}",
        size=request.page_size,
        token=request.page_token,
    )


def preference(found: Preference) -> reach_pb2.Preference:
    """A preference as the contract shows it."""
    message = reach_pb2.Preference(
        customer_id=found.customer_id,
        channel=_channel(found.channel),
        contact_class=_class(found.contact_class),
        opted_out=found.said is Said.REFUSES,
        consented=found.said is Said.CONSENTS,
        quiet_from_minute=found.quiet.from_minute,
        quiet_to_minute=found.quiet.to_minute,
    )
    _stamp(message.update_time, found.update_time)
    return message


def channel_state(found: ChannelState) -> reach_pb2.ChannelState:
    """Whether a channel is open, what stands against it, and when it opens."""
    message = reach_pb2.ChannelState(
        channel=_channel(found.channel),
        open=not found.obstacles,
        obstacles=map(_check, found.obstacles),
    )
    if found.next_time is not None:
        _stamp(message.next_time, found.next_time)
    return message


def _receipt(found: Receipt, *, details: bool) -> reach_pb2.AdmissionReceipt:
    message = reach_pb2.AdmissionReceipt(
        receipt_id=found.receipt_id,
        decision=reach_pb2.AdmissionDecision.ValueType(found.decision),
        checks=map(_check, found.checks) if details else (),
        reason=_check_kind(found.reason),
        policy_version=found.policy_version,
        inputs_sha256=found.inputs_sha256,
        suitability_receipt_id=found.suitability_receipt_id,
    )
    _stamp(message.create_time, found.create_time)
    if found.next_time is not None:
        _stamp(message.next_time, found.next_time)
    return message


def _stamp(message: Timestamp, moment: datetime) -> None:
    """As `FromDatetime` does it, in a fifth of its time: contacts have many."""
    message.seconds, micros = divmod(to_micros(moment), 1_000_000)
    message.nanos = micros * 1_000


@lru_cache(maxsize=1_024)
def _check(finding: Finding) -> reach_pb2.CheckResult:
    """Most contacts share most findings; the message is copied where it is put."""
    return reach_pb2.CheckResult(
        check=_check_kind(finding.check), passed=finding.passed, detail=finding.detail
    )


def _check_kind(check: Check) -> reach_pb2.AdmissionCheck.ValueType:
    return reach_pb2.AdmissionCheck.ValueType(check)


def _channel(channel: Channel) -> reach_pb2.Channel.ValueType:
    return reach_pb2.Channel.ValueType(channel)


def _class(contact_class: ContactClass) -> reach_pb2.ContactClass.ValueType:
    return reach_pb2.ContactClass.ValueType(contact_class)
