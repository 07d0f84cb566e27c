"""The record of one call, from its start to the event that tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import AUDIT_OUTCOME_DONE, AuditOutcome, AuditRecord, Event
from mesh import context
from mesh.audit._subject import Subject
from mesh.call import Call
from mesh.clock import Clock, to_micros
from mesh.events import event
from mesh.storage import Store, call_record

TOPIC: Final = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """Where a service's records go. `store` is None for a service without a database."""

    store: Store | None
    clock: Clock
    policy_version: str


@dataclass(slots=True, kw_only=True)
class Note:
    """What a handler adds to what the request says; what is empty adds nothing."""

    object: str = ""
    customer_id: int = 0
    chain: ChainIds | None = None


class Entry:
    """The record of one call (`mesh.storage.CallRecord`).

    It is read off the request when it is asked for: by then claims have filled
    the request, and the handler may have noted more.
    """

    __slots__ = ("_call", "_log", "_request", "_subject", "noted", "taken")

    def __init__(self, call: Call, request: Any, subject: Subject, log: AuditLog) -> None:
        self._call = call
        self._request = request
        self._subject = subject
        self._log = log
        self.noted = Note()
        self.taken = False

    def event(
        self, outcome: AuditOutcome.ValueType = AUDIT_OUTCOME_DONE, reason: str = ""
    ) -> Event:
        """The record, as an event in the name of the call's actor.

        It has no key: each says all of its call, and those of a busy actor would wait
        for one another.
        """
        record = self._record(outcome, reason)
        with context.using(self._call.context):
            told = event(record, topic=TOPIC, chain=record.chain)
        told.time.CopyFrom(record.time)
        return told

    def _record(self, outcome: AuditOutcome.ValueType, reason: str) -> AuditRecord:
        call, noted, subject = self._call, self.noted, self._subject
        caller, trace = call.context, call.trace
        actor, principal = caller.actor, caller.principal
        record = AuditRecord(
            actor=actor,
            staff_id=principal.staff_id if principal else 0,
            branch_id=principal.branch_id if principal else 0,
            caller=caller.service,
            on_behalf_of=caller.on_behalf_of if caller.on_behalf_of != actor else "",
            verb=call.method.path,
            object=noted.object or subject.object(self._request),
            customer_id=noted.customer_id or subject.customer_id(self._request),
            chain=subject.chain(self._request, caller.chain),
            purpose=caller.purpose,
            policy_version=self._log.policy_version,
            outcome=outcome,
            reason=reason,
            trace_id=trace.trace_hex if trace and trace.sampled else "",
        )
        seconds, micros = divmod(to_micros(self._log.clock.now()), 1_000_000)
        record.time.seconds, record.time.nanos = seconds, micros * 1_000
        if noted.chain is not None:
            record.chain.MergeFrom(noted.chain)  # numbers other than 0 replace
        return record


def note(*, object: str = "", customer_id: int = 0, chain: ChainIds | None = None) -> None:  # noqa: A002 - the record's own word
    """Add to the record of the call that this task serves what its request did not say.

    For ids that the call makes: note them before its transaction ends. Does
    nothing where no audited call is served.

    Args:
        object: what was acted upon, as "task_id=42". An id, never personal data.
        customer_id: the customer it is about.
        chain: chain ids that the call made known.

    Raises:
        RuntimeError: the record was published with an earlier transaction of the call.
    """
    entry = call_record.get()
    if not isinstance(entry, Entry):
        return
    if entry.taken:
        raise RuntimeError("the call's record is published: note before its first transaction ends")
    noted = entry.noted
    noted.object = object or noted.object
    noted.customer_id = customer_id or noted.customer_id
    if chain is not None:
        noted.chain = noted.chain or ChainIds()
        noted.chain.MergeFrom(chain)
