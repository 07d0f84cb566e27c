"""The instances of one process that hold leases, and what keeps them in the registry."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any, Final

import grpc

from engine.mesh.v1 import registry_pb2 as pb
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.log import get_logger
from mesh.registry._base import Entry, State
from mesh.registry.errors import RegistryReason
from mesh.registry.watcher import Key, key_of
from mesh.registry.wire import to_instance, to_key

CALL_S: Final = 2.0
"""What a call to the registry may take."""
AGAIN_S: Final = 0.5
"""Between attempts to be heard by a registry that stands and cannot answer."""
GIVE_UP_S: Final = 5.0
"""After so long another registry may do better; well before a lease runs out."""

_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
"""Answers that will be the same next time."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Tenant:
    """An instance and its lease. `told` is what the registry knows of it; None: nothing."""

    entry: Entry
    told: Entry | None = None
    lease_id: str = ""
    renew_at: float = 0.0
    is_leaving: bool = False
    refusal: MeshError | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Tenants:
    """All instances of this process.

    Args:
        wait_s: how long adding one waits for a registry.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._tenants: dict[Key, Tenant] = {}
        self._woken = asyncio.Event()
        self._is_kept = False
        self._failing_since = 0.0
        self._renewal_s = AGAIN_S

    async def add(self, entry: Entry) -> None:
        """Have it registered, or what is known of it replaced; a new load waits for a renewal.

        Raises:
            MeshError: the registry refuses it.
        """
        tenant = self._tenants.get(key_of(entry))
        if tenant is None:
            tenant = self._tenants[key_of(entry)] = Tenant(entry)
        only_load = tenant.told is not None and replace(tenant.told, load=entry.load) == entry
        tenant.entry = entry
        if not only_load:
            await self._answered(tenant)
        if tenant.refusal is not None:
            self._tenants.pop(key_of(entry), None)
            raise tenant.refusal

    async def remove(self, entry: Entry) -> None:
        """Have it withdrawn; without a registry its lease runs out."""
        tenant = self._tenants.get(key_of(entry))
        if tenant is None:
            return
        tenant.is_leaving = True
        if self._is_kept and tenant.told is not None:
            await self._answered(tenant)
        self._tenants.pop(key_of(entry), None)

    def start_over(self) -> None:
        """Register all anew: another registry may know none of them, or this one no more."""
        for tenant in self._tenants.values():
            tenant.told = None

    async def keep(self, stub: Any) -> None:
        """Tell a registry of all, again and again, until it is lost.

        Raises:
            grpc.aio.AioRpcError: it could not answer for long.
        """
        self._is_kept, self._failing_since = True, 0.0
        try:
            while True:
                self._woken.clear()
                wait_s = self._renewal_s
                for tenant in [*self._tenants.values()]:
                    if not await self._serve(stub, tenant):
                        wait_s = AGAIN_S
                await self._pause(wait_s)
        finally:
            self._is_kept = False

    async def _answered(self, tenant: Tenant) -> None:
        """Wait until a registry has heard of it, or refuses."""
        tenant.refusal = None
        tenant.answered.clear()
        self._woken.set()
        try:
            async with asyncio.timeout(self._wait_s):
                await tenant.answered.wait()
        except TimeoutError:
            if self._wait_s:
                _log.warning("registry_not_told", of=tenant.entry.service, waited_s=self._wait_s)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _serve(self, stub: Any, tenant: Tenant) -> bool:
        """Tell of one what is due; whether the registry answered."""
        leaves = tenant.is_leaving
        try:
            await self._tell(stub, tenant)
        except grpc.aio.AioRpcError as error:
            return self._failed(tenant, error)
        self._failing_since = 0.0
        if leaves or (tenant.told == tenant.entry and not tenant.is_leaving):
            tenant.answered.set()
        return True

    def _failed(self, tenant: Tenant, error: grpc.aio.AioRpcError) -> bool:
        """Take an error for what it says of the lease, the entry, or the registry."""
        view, now = ErrorView.from_rpc(error), time.monotonic()
        if view.reason == RegistryReason.LEASE_UNKNOWN.name:
            tenant.told = None
            self._woken.set()
            return True
        if error.code() in _REFUSALS:
            _log.error("registry_refuses", of=tenant.entry.service, problem=view.message)
            tenant.refusal = _refusal(view)
            tenant.answered.set()
            return True
        self._failing_since = self._failing_since or now
        if now - self._failing_since > GIVE_UP_S:
            raise error
        return False

    async def _tell(self, stub: Any, tenant: Tenant) -> None:
        entry, told, key = tenant.entry, tenant.told, to_key(key_of(tenant.entry))
        lease: dict[str, Any] = {"key": key, "lease_id": tenant.lease_id}
        if tenant.is_leaving:
            if told is not None:
                await stub.Withdraw(pb.WithdrawRequest(**lease), timeout=CALL_S)
            self._tenants.pop(key_of(entry), None)
            return
        if told is None or not _differ_in_state_alone(told, entry):
            await self._register(stub, tenant)
        elif told.state is not entry.state and entry.state is State.DRAINING:
            await stub.Drain(pb.DrainRequest(**lease), timeout=CALL_S)
        elif told.state is not entry.state:
            await self._register(stub, tenant)
        elif time.monotonic() >= tenant.renew_at or told.load != entry.load:
            await stub.Renew(pb.RenewRequest(**lease, load=entry.load), timeout=CALL_S)
        else:
            return
        tenant.told = entry
        tenant.renew_at = time.monotonic() + self._renewal_s / 2

    async def _register(self, stub: Any, tenant: Tenant) -> None:
        request = pb.RegisterRequest(instance=to_instance(tenant.entry))
        response = await stub.Register(request, timeout=CALL_S)
        tenant.lease_id = response.lease_id
        self._renewal_s = response.renewal.ToTimedelta().total_seconds()


def _differ_in_state_alone(told: Entry, entry: Entry) -> bool:
    return replace(told, state=entry.state, load=entry.load) == entry


def _refusal(view: ErrorView) -> MeshError:
    if view.reason == RegistryReason.ENTRY_OF_ANOTHER.name:
        return MeshError(RegistryReason.ENTRY_OF_ANOTHER)
    if view.reason == RegistryReason.TABLE_IS_A_FOLDER.name:
        return MeshError(RegistryReason.TABLE_IS_A_FOLDER)
    return MeshError(MeshReason.PERMISSION_DENIED, f"The registry refuses: {view.message}")
