"""Every audited call leaves its record, with its effect or before its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from engine.customer.v1.customer_pb2 import (
    CreateFollowUpRequest,
    CreateFollowUpResponse,
    FollowUp,
    GetPortraitRequest,
    GetPortraitResponse,
)
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import (
    AUDIT_OUTCOME_DONE,
    AUDIT_OUTCOME_FAILED,
    AUDIT_OUTCOME_REFUSED,
    AuditRecord,
)
from mesh import audit
from mesh.audit import AuditLog
from mesh.context import RequestContext
from mesh.contract import ContractError
from mesh.errors import MeshError, MeshReason
from mesh.interceptors.audit import AuditInterceptor
from tests.unit.mesh.audit.desk import CONTEXT, TRACE, Desk, method

READ = method("GetPortrait")
WRITE = method("CreateFollowUp")
PORTRAIT = GetPortraitRequest(customer_id=42)
FOLLOW_UP = CreateFollowUpRequest(customer_id=42, request_id="key-1")


async def shown(_: Any) -> GetPortraitResponse:
    return GetPortraitResponse()


async def refused(_: Any) -> Any:
    raise MeshError(MeshReason.OUT_OF_SCOPE)


async def broken(_: Any) -> Any:
    raise ValueError("13800001111")


async def written(desk: Desk) -> CreateFollowUpResponse:
    """The effect of a call, in one transaction."""
    response = CreateFollowUpResponse()
    async with desk.store.transaction() as tx:
        tx.answer(response)
    return response


def endings(records: list[AuditRecord]) -> list[tuple[int, str]]:
    return [(record.outcome, record.reason) for record in records]


async def test_a_read_is_recorded_with_all_that_is_known(desk: Desk) -> None:
    """Who, through what, what, to whom, why, as part of what, under which policy, when."""
    assert await desk.call(READ, shown, PORTRAIT) == GetPortraitResponse()
    (record,) = await desk.records()
    wanted = AuditRecord(
        actor="rm001",
        staff_id=7,
        branch_id=3,
        caller="gateway",
        verb="/engine.customer.v1.CustomerService/GetPortrait",
        object="customer_id=42",
        customer_id=42,
        chain=ChainIds(task_id=5),
        purpose="service",
        policy_version="0123456789ab",
        outcome=AUDIT_OUTCOME_DONE,
        trace_id=TRACE.trace_hex,
    )
    wanted.time.FromDatetime(desk.log.clock.now())
    assert record == wanted


async def test_records_are_events_without_a_key(desk: Desk) -> None:
    """A busy actor's records need not wait for one another; each names its actor and chain."""
    await desk.call(READ, shown, PORTRAIT)
    await desk.call(READ, shown, GetPortraitRequest())
    first, second = await desk.events()
    assert (first.topic, first.type) == ("audit", "engine.mesh.v1.AuditRecord")
    assert (first.key, second.key) == ("", "")
    assert (first.actor, first.chain) == ("rm001", ChainIds(task_id=5))


async def test_the_record_of_an_effect_is_durable_with_it(desk: Desk) -> None:
    """It is there as soon as the transaction ends, before the handler has answered."""
    seen: list[tuple[int, str]] = []

    async def handler(_: Any) -> CreateFollowUpResponse:
        response = await written(desk)
        seen.extend(endings(await desk.records()))
        return response

    await desk.call(WRITE, handler, FOLLOW_UP)
    assert seen == [(AUDIT_OUTCOME_DONE, "")]
    assert len(await desk.records()) == 1


async def test_an_effect_that_is_undone_is_not_recorded_as_done(desk: Desk) -> None:
    """The refusal alone is."""

    async def handler(_: Any) -> Any:
        async with desk.store.transaction():
            raise MeshError(MeshReason.OUT_OF_SCOPE)

    with pytest.raises(MeshError):
        await desk.call(WRITE, handler, FOLLOW_UP)
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_REFUSED, "OUT_OF_SCOPE")]


async def test_a_transaction_that_was_undone_leaves_the_record_to_the_next(desk: Desk) -> None:
    """A second try within the call is its effect."""
    seen: list[int] = []

    async def handler(_: Any) -> CreateFollowUpResponse:
        with pytest.raises(RuntimeError, match="without an answer"):
            async with desk.store.transaction():
                pass
        seen.append(len(await desk.records()))
        response = await written(desk)
        seen.append(len(await desk.records()))
        return response

    await desk.call(WRITE, handler, FOLLOW_UP)
    assert seen == [0, 1]
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_DONE, "")]


async def test_a_call_with_several_transactions_has_one_record(desk: Desk) -> None:
    """The first takes it."""

    async def handler(_: Any) -> GetPortraitResponse:
        for _attempt in range(3):
            async with desk.store.transaction():
                pass
        return GetPortraitResponse()

    await desk.call(READ, handler, PORTRAIT)
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_DONE, "")]


async def test_a_repeated_call_is_not_recorded_again(desk: Desk) -> None:
    """It had its effect once; another request under its id is a refusal of its own."""
    for _ in range(2):
        await desk.call(WRITE, lambda _: written(desk), FOLLOW_UP)
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_DONE, "")]
    other = CreateFollowUpRequest(customer_id=43, request_id="key-1")
    with pytest.raises(MeshError):
        await desk.call(WRITE, lambda _: written(desk), other)
    assert endings(await desk.records())[1:] == [(AUDIT_OUTCOME_REFUSED, "REQUEST_ID_REUSED")]


async def test_a_refusal_and_a_failure_are_told_apart(desk: Desk) -> None:
    """The reason is named, and the text of an unexpected error is not."""
    for handler, error in ((refused, MeshError), (broken, ValueError)):
        with pytest.raises(error):
            await desk.call(READ, handler, PORTRAIT)
    assert endings(await desk.records()) == [
        (AUDIT_OUTCOME_REFUSED, "OUT_OF_SCOPE"),
        (AUDIT_OUTCOME_FAILED, "INTERNAL"),
    ]
    assert not any(b"13800001111" in one.payload for one in await desk.events())


async def test_a_failure_after_the_effect_does_not_hide_it(desk: Desk) -> None:
    """Both are true: it was done, and the caller was told that it failed."""

    async def handler(request: Any) -> Any:
        await written(desk)
        return await broken(request)

    with pytest.raises(ValueError, match="1380"):
        await desk.call(WRITE, handler, FOLLOW_UP)
    assert endings(await desk.records()) == [
        (AUDIT_OUTCOME_DONE, ""),
        (AUDIT_OUTCOME_FAILED, "INTERNAL"),
    ]


async def test_a_call_that_ran_out_of_time_is_recorded(desk: Desk) -> None:
    """It may have seen something; its task still has time for a last word."""

    async def endless(_: Any) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await desk.call(READ, endless, PORTRAIT, timeout_s=0)
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_FAILED, "DEADLINE_EXCEEDED")]


async def test_nothing_is_shown_when_the_record_cannot_be_written(desk: Desk) -> None:
    """The answer is ready and is withheld; so is what a refusal would tell."""
    await desk.store.__aexit__(None, None, None)
    for handler in (shown, refused):
        with pytest.raises(MeshError) as failed:
            await desk.call(READ, handler, PORTRAIT)
        assert failed.value.reason is MeshReason.UNAVAILABLE
    await desk.store.__aenter__()


async def test_a_failure_stays_what_it_is_when_it_cannot_be_recorded(desk: Desk) -> None:
    """It shows nothing, and its cause belongs in the log."""
    await desk.store.__aexit__(None, None, None)
    with pytest.raises(ValueError, match="1380"):
        await desk.call(READ, broken, PORTRAIT)
    await desk.store.__aenter__()


async def test_a_handler_notes_the_ids_that_it_made(desk: Desk) -> None:
    """They go before what the request says; what is not noted stays."""

    async def handler(_: Any) -> CreateFollowUpResponse:
        audit.note(object="follow_up_id=9", chain=ChainIds(contact_id=8))
        audit.note(customer_id=43)
        return await written(desk)

    await desk.call(WRITE, handler, FOLLOW_UP)
    (record,) = await desk.records()
    assert (record.object, record.customer_id) == ("follow_up_id=9", 43)
    assert record.chain == ChainIds(task_id=5, contact_id=8)


async def test_a_note_that_comes_too_late_is_an_error(desk: Desk) -> None:
    """Rather than one that nobody ever sees."""

    async def handler(_: Any) -> CreateFollowUpResponse:
        response = await written(desk)
        audit.note(object="follow_up_id=9")
        return response

    with pytest.raises(RuntimeError, match="published"):
        await desk.call(WRITE, handler, FOLLOW_UP)


def test_a_note_outside_an_audited_call_does_nothing() -> None:
    """Use cases are also run by jobs and consumers."""
    audit.note(object="follow_up_id=9")


async def test_a_stream_is_recorded_when_it_opens(desk: Desk) -> None:
    """Before its first message."""

    async def messages() -> AsyncIterator[GetPortraitResponse]:
        yield GetPortraitResponse()

    async def handler(_: Any) -> AsyncIterator[GetPortraitResponse]:
        return messages()

    stream = await desk.call(replace(READ, server_streaming=True), handler, PORTRAIT)
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_DONE, "")]
    assert [one async for one in stream] == [GetPortraitResponse()]
    assert len(await desk.records()) == 1


async def test_refused_strangers_leave_nothing(desk: Desk) -> None:
    """They have no name, and could fill the store; what they do achieve is recorded."""
    stranger = RequestContext()
    with pytest.raises(MeshError):
        await desk.call(READ, refused, PORTRAIT, context=stranger)
    assert await desk.records() == []
    await desk.call(READ, shown, PORTRAIT, context=stranger)
    assert endings(await desk.records()) == [(AUDIT_OUTCOME_DONE, "")]


@pytest.mark.parametrize(
    ("context", "actor", "on_behalf_of"),
    [
        (structs.replace(CONTEXT, on_behalf_of="bm001"), "rm001", "bm001"),
        (RequestContext(service="action", on_behalf_of="bm001"), "bm001", ""),
        (RequestContext(service="action"), "mesh:action", ""),
    ],
)
async def test_who_is_answerable_and_for_whom(
    desk: Desk, context: RequestContext, actor: str, on_behalf_of: str
) -> None:
    """A user for another, a service for a user, a service for itself."""
    await desk.call(READ, shown, PORTRAIT, context=context)
    (record,) = await desk.records()
    assert (record.actor, record.on_behalf_of) == (actor, on_behalf_of)


def test_a_service_that_cannot_write_records_does_not_start(desk: Desk) -> None:
    """And is told what to do."""
    without = AuditLog(store=None, clock=desk.log.clock, policy_version="")
    with pytest.raises(ContractError, match="folder of migrations"):
        AuditInterceptor(without).bind(READ, shown)  # type: ignore[arg-type]


def test_other_methods_pay_nothing(desk: Desk) -> None:
    """The step leaves itself out."""
    plain = method("GetCustomer")
    assert AuditInterceptor(desk.log).bind(plain, shown) is shown  # type: ignore[arg-type, comparison-overlap]


async def test_the_request_is_read_after_the_handler_began(desk: Desk) -> None:
    """Claims fill it on its way in; the record shows what they filled."""
    request = CreateFollowUpRequest(request_id="key-1", follow_up=FollowUp(summary="x"))

    async def handler(given: Any) -> CreateFollowUpResponse:
        given.customer_id = 44
        return await written(desk)

    await desk.call(WRITE, handler, request)
    (record,) = await desk.records()
    assert record.customer_id == 44
