"""Follows the registry: whose contracts there are, and what they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

import grpc

from gateway.compatibility import breaks
from gateway.reflection import fetch
from mesh.background import Background
from mesh.contract import ContractError
from mesh.log import get_logger
from mesh.reflection import Contract
from mesh.registry import Registry, State
from mesh.telemetry import Meters

POLL_S: Final = 1.0
FETCH_TIMEOUT_S: Final = 5.0
MAX_FINDINGS: Final = 10
"""Most findings of one contract that are told; all are counted."""

_log = get_logger(__name__)


class Contracts(Background):
    """Keeps the contracts of all registered services, as an async context manager.

    A service is asked when it appears and whenever its instances change.
    What it said last is kept while it is down, so that its routes answer 503
    and not 404. Entering asks everybody once and waits for the answers.

    A new contract that breaks callers of the one before it is taken on all the same;
    it is counted (`gateway.contracts_breaking`) and told with what breaks.

    Args:
        registry: where services are found.
        channel: opens a channel to a service.
        on_change: called with all contracts by service when one has changed.
        own_name: service that is not asked: the gateway itself.
        meters: counts contracts that break callers.
    """

    def __init__(
        self,
        registry: Registry,
        channel: Callable[[str], grpc.aio.Channel],
        on_change: Callable[[Mapping[str, Contract]], None],
        *,
        own_name: str,
        meters: Meters | None = None,
    ) -> None:
        self._registry = registry
        self._channel = channel
        self._on_change = on_change
        self._own_name = own_name
        self._breaking = (meters or Meters()).counter("gateway.contracts_breaking")
        self._known: dict[str, Contract] = {}
        self._asked: dict[str, frozenset[str]] = {}

    @property
    def complete(self) -> bool:
        """Whether there is a contract of each registered service, and of one at least."""
        return bool(self._known) and self._instances().keys() <= self._known.keys()

    async def __aenter__(self) -> Self:
        await self.refresh()
        return await super().__aenter__()

    async def refresh(self) -> None:
        """Ask the services whose instances changed; one that fails is asked again next time."""
        asking = {
            service: instances
            for service, instances in self._instances().items()
            if instances != self._asked.get(service)
        }
        answers = await asyncio.gather(*map(self._fetch, asking))
        changed = False
        for (service, instances), contract in zip(asking.items(), answers, strict=True):
            if contract is None:
                continue
            self._asked[service] = instances
            known = self._known.get(service)
            if known is None or known.digest != contract.digest:
                self._known[service] = contract
                changed = True
                if known is not None:
                    self._tell(service, breaks(known, contract))
        if changed:
            self._on_change(dict(self._known))

    def _tell(self, service: str, findings: Sequence[str]) -> None:
        if findings:
            self._breaking.add(1)
            told = "; ".join(findings[:MAX_FINDINGS])
            _log.warning("contract_breaks_callers", of=service, count=len(findings), findings=told)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - one bad contract must not end the watch
                _log.error("contracts_not_refreshed", error=type(error).__name__, exc_info=error)

    async def _fetch(self, service: str) -> Contract | None:
        try:
            return await fetch(self._channel(service), timeout_s=FETCH_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            _log.warning("contract_not_fetched", of=service, code=error.code().name)
        except ContractError as error:
            _log.warning("contract_not_fetched", of=service, problem=str(error))
        return None

    def _instances(self) -> dict[str, frozenset[str]]:
        serving = {
            service: frozenset(e.instance for e in entries if e.state is State.SERVING)
            for service, entries in self._registry.services().items()
            if service != self._own_name
        }
        return {service: instances for service, instances in serving.items() if instances}
