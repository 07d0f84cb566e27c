"""The server's interceptor chain: what every call passes, whichever way it came."""

from __future__ import annotations

from mesh.audit import AuditLog
from mesh.call import Interceptor
from mesh.interceptors.audit import AuditInterceptor
from mesh.interceptors.bulkhead import BulkheadInterceptor
from mesh.interceptors.checker import CheckerInterceptor
from mesh.interceptors.deadline import DeadlineInterceptor
from mesh.interceptors.errors import ErrorInterceptor
from mesh.interceptors.freshness import FreshnessInterceptor
from mesh.interceptors.idempotency import IdempotencyInterceptor
from mesh.interceptors.identity import IdentityInterceptor
from mesh.interceptors.policy import PolicyInterceptor
from mesh.interceptors.scope import ScopeInterceptor
from mesh.interceptors.telemetry import TelemetryInterceptor
from mesh.interceptors.validation import ValidationInterceptor
from mesh.service import Service
from mesh.telemetry import Telemetry
from mesh.tokens import ServiceKey, TokenVerifier

__all__ = ["chain"]


def chain(
    telemetry: Telemetry,
    verifier: TokenVerifier,
    key: ServiceKey,
    service: Service,
    audit: AuditLog,
) -> tuple[Interceptor, ...]:
    """The steps, outermost first."""
    return (
        # Outside everything: refused calls are counted and traced like served ones.
        TelemetryInterceptor(telemetry),
        # Turns whatever is raised further in into an error the caller may see.
        ErrorInterceptor(telemetry.meters),
        # Bounds all that follows, the checks included.
        DeadlineInterceptor(),
        # Who asks. Before anything that depends on the caller.
        IdentityInterceptor(verifier),
        # Outside all that may refuse a caller who is known: refusals are recorded too.
        AuditInterceptor(audit),
        # Before the rights are looked at: they may be over.
        FreshnessInterceptor(verifier),
        # A broken rule must not tell strangers about the contract, but scope needs
        # a request that keeps its rules: rights first, then rules, then scope.
        PolicyInterceptor(),
        ValidationInterceptor(),
        ScopeInterceptor(service.scope_resolver),
        # Within scope: who may not see a row does not learn who wrote it.
        CheckerInterceptor(service.author_resolver),
        # Only calls that may run take a room.
        BulkheadInterceptor(telemetry.meters),
        # Innermost: only calls that would take effect are looked up or kept.
        IdempotencyInterceptor(key),
    )
