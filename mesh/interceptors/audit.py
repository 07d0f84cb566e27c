"""Records every call of a method marked `audited`, however it ends."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc

from engine.mesh.v1.event_pb2 import (
    AUDIT_OUTCOME_DONE,
    AUDIT_OUTCOME_FAILED,
    AUDIT_OUTCOME_REFUSED,
    AuditOutcome,
)
from mesh.audit import AuditLog, Entry, Subject
from mesh.call import Call, Handler
from mesh.contract import ContractError, Method
from mesh.errors import ErrorView, MeshError, MeshReason, status_code
from mesh.interceptors.errors import known_status
from mesh.log import get_logger
from mesh.storage import StorageError, Store, call_record

LAST_WORD_S: Final = 1.0
"""How long a call that was cancelled may still take to write its record."""

UNWRITTEN: Final = "The record of the call cannot be written"

_OURS: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Codes of failures; all others refuse."""

_Ending = tuple[AuditOutcome.ValueType, str]

_log = get_logger(__name__)


class AuditInterceptor:
    """Leaves one record for each call, before its answer leaves.

    The first transaction of the call takes the record along. What none took (of
    reads and refusals) is written in a transaction of its own; when that
    fails, so does the call. A call that fails after its effect leaves a second
    record that says so. A server stream is recorded when it opens. Refused
    strangers, who have no name, leave nothing: they could fill the store.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def bind(self, method: Method, call_next: Handler) -> Handler:
        if not method.policy.audited:
            return call_next
        log, store, subject = self._log, self._log.store, Subject(method)
        if store is None:
            raise ContractError(
                f"{method.path} is audited, and the service has no database to write its "
                "records to: give its Blueprint a folder of migrations"
            )

        async def recorded(call: Call, request: Any) -> Any:
            entry = Entry(call, request, subject, log)
            token = call_record.set(entry)
            try:
                answer = await call_next(call, request)
            except (Exception, asyncio.CancelledError) as error:
                call_record.reset(token)
                await _record_failure(store, entry, call, error)
                raise
            call_record.reset(token)
            if not entry.taken:
                await _record(store, entry, (AUDIT_OUTCOME_DONE, ""))
            return answer

        return recorded


async def _record_failure(store: Store, entry: Entry, call: Call, error: BaseException) -> None:
    """Write how the call ended; a failure that cannot be written stays what it is."""
    if not call.context.actor:
        return
    ending = _ending(call, error)
    try:
        async with asyncio.timeout(LAST_WORD_S):
            await _record(store, entry, ending)
    except (MeshError, TimeoutError) as failure:
        if ending[0] == AUDIT_OUTCOME_REFUSED:
            raise MeshError(MeshReason.UNAVAILABLE, UNWRITTEN) from failure
        _log.error("audit_record_lost", method=call.method.path, reason=ending[1])


async def _record(store: Store, entry: Entry, ending: _Ending) -> None:
    entry.taken = True  # from here on it is nobody else's
    event = entry.event(*ending)
    try:
        async with store.transaction() as tx:
            tx.publish(event)
    except StorageError as error:
        raise MeshError(MeshReason.UNAVAILABLE, UNWRITTEN) from error


def _ending(call: Call, error: BaseException) -> _Ending:
    if isinstance(error, asyncio.CancelledError):
        return AUDIT_OUTCOME_FAILED, "DEADLINE_EXCEEDED" if call.deadline.is_over else "CANCELLED"
    if isinstance(error, MeshError):
        return _outcome(error.code), error.reason.name
    status = known_status(error)
    if status is None:
        return AUDIT_OUTCOME_FAILED, MeshReason.INTERNAL.name
    code = status_code(status.code)
    return _outcome(code), ErrorView.from_status(status).reason or code.name


def _outcome(code: grpc.StatusCode) -> AuditOutcome.ValueType:
    return AUDIT_OUTCOME_FAILED if code in _OURS else AUDIT_OUTCOME_REFUSED
