"""The gateway as a service: what it is made of."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from gateway import filters, openapi, rulebook, surface
from gateway.contracts import Contracts
from gateway.http import Limits, Listener, Request, Response
from gateway.limits import OpenLimiter, local_limiters
from gateway.pages import pages
from gateway.problems import of_error
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.reflection import Contract
from mesh.service import Blueprint, Parts, Service
from mesh.settings import Settings, SettingsError
from mesh.tokens import WILDCARD

_log = get_logger(__name__)


class Gateway:
    """Answers requests over the surface of the moment."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        self._parts = parts
        self._document: bytes | None = None
        self._rulebook = rulebook.load(settings.gateway_rules)
        self.sharing: list[AbstractAsyncContextManager[object]] = []
        self._chain = filters.chain(settings, parts.telemetry, parts.verifier, self._limiters())
        self.contracts = Contracts(
            parts.registry,
            parts.channel,
            self._take_on,
            own_name=parts.name,
            meters=parts.telemetry.meters,
        )
        self.listener = Listener(
            self.handle,
            refuse,
            host=settings.host,
            port=settings.gateway_port,
            share_port=True,  # with other gateways, and with the one that takes its place
            limits=_limits(settings),
            drain_s=settings.drain_s,
        )
        self._pages = pages(self.openapi, self.ready)
        self._take_on({})

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        return await self._chain(self._surface.exchange(request))

    def ready(self) -> bool:
        """Whether every registered service is routed and tokens can be checked."""
        return (
            self.contracts.complete and self._parts.verifier.has_keys and not self.listener.draining
        )

    def openapi(self) -> bytes:
        """The OpenAPI document of the surface of the moment."""
        if self._document is None:
            self._document = openapi.document(self._surface.bindings, version=_version())
        return self._document

    def _limiters(self) -> OpenLimiter:
        redis = self._parts.redis
        if redis is None:
            return local_limiters(self._parts.clock)
        from gateway.leases import Sharing, shared_limiters  # noqa: PLC0415 - loads the client

        sharing = Sharing(self._parts.clock, self._parts.telemetry.meters)
        self.sharing.append(sharing)
        return shared_limiters(redis, sharing)

    def _take_on(self, contracts: Mapping[str, Contract]) -> None:
        self._surface = surface.build(contracts, self._parts.channel, self._pages, self._rulebook)
        self._document = None
        for left_out in self._surface.left_out:
            _log.warning("rule_left_out", rule=left_out)
        if contracts:
            _log.info("routes_changed", of=sorted(contracts), routes=len(self._surface.bindings))


def refuse(error: MeshError) -> Response:
    """The answer to what the HTTP server itself refuses."""
    return of_error(error).response()


def build(parts: Parts) -> Service:
    """The gateway from its parts."""
    gateway = Gateway(parts)
    return Service(
        servicers=(),
        resources=(
            *gateway.sharing,
            gateway.contracts,
            _listening(gateway.listener, parts.settings),
        ),
        http=lambda: gateway.listener.address,
    )


@asynccontextmanager
async def _listening(listener: Listener, settings: Settings) -> AsyncIterator[None]:
    _log.info("open_files_limit", limit=_raise_open_files())
    try:
        await listener.__aenter__()
    except OSError as error:
        raise SettingsError(
            f"ENGINE_GATEWAY_PORT={settings.gateway_port}: cannot listen on "
            f"{settings.host}:{settings.gateway_port} ({error.strerror}). Stop what uses the "
            "port, set another one, or set 0 to pick a free one."
        ) from error
    try:
        _log.info("listening", address=listener.address)
        yield
    finally:
        await listener.__aexit__(None, None, None)


def _raise_open_files() -> int:
    """Let this process open as many files as it may; a plain system starts with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _version() -> str:
    try:
        return version("engine-platform")
    except PackageNotFoundError:
        return "0"


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_head=settings.max_header_bytes,
        max_body=settings.max_body_bytes,
        max_connections=settings.max_connections,
        header_timeout_s=settings.header_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
    )


BLUEPRINT: Final = Blueprint(
    name="gateway",
    build=build,
    after=("identity",),
    rights=frozenset({WILDCARD}),
)
