"""Served methods that fail or are slow, without a change to their handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from mesh.errors import MeshError, Reason
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.testing._contract import check_names


class Faults:
    """What is wrong with the methods of a service under test.

    It is given to `serve`, or put `around` a blueprint for `Mesh.start`. A fault stands in the
    handler's place: callers are told of it by the real chain, calls that the chain refuses
    never meet it, and deadlines go on. Methods are named as in the contract. What is said of
    one holds for the calls that reach it after that.

    Raises:
        AttributeError: from each method, and from the start of a service, when a name is
            none of the methods that are served.
    """

    def __init__(self) -> None:
        self._errors: dict[str, tuple[MeshError, float]] = {}
        self._delays: dict[str, float] = {}
        self._methods: list[str] = []

    def fail(self, method: str, error: Reason | MeshError, *, times: int | None = None) -> None:
        """Let calls fail in place of being handled.

        Args:
            method: name of the method.
            error: what the caller is told.
            times: so many calls; None: all, until `mend`.
        """
        self._check(method)
        made = error if isinstance(error, MeshError) else MeshError(error)
        self._errors[method] = (made, float("inf") if times is None else times)

    def delay(self, method: str, seconds: float) -> None:
        """Let calls wait before they are handled, or fail, until `mend`."""
        self._check(method)
        self._delays[method] = seconds

    def mend(self, *methods: str) -> None:
        """Let calls of these methods be handled again; of all when none is named."""
        self._check(*methods)
        for method in methods or {*self._errors, *self._delays}:
            self._errors.pop(method, None)
            self._delays.pop(method, None)

    def around(self, blueprint: Blueprint) -> Blueprint:
        """The blueprint of a service whose methods have these faults."""

        def build(parts: Parts) -> Service:
            service = blueprint.build(parts)
            methods = [
                m.name for servicer in service.servicers for m in servicer.descriptor.methods
            ]
            self._methods += methods
            self._check(*self._errors, *self._delays)
            return replace(service, servicers=[*map(self._around, service.servicers)])

        return replace(blueprint, build=build)

    def _around(self, servicer: Servicer) -> Servicer:
        handlers = {
            method.name: self._handler(method, getattr(servicer.implementation, method.name))
            for method in servicer.descriptor.methods
        }
        return replace(servicer, implementation=SimpleNamespace(**handlers))

    def _handler(self, method: MethodDescriptor, handle: Callable[..., Any]) -> Callable[..., Any]:
        serve = self._stream if method.server_streaming else self._unary
        return partial(serve, method.name, handle)

    async def _unary(
        self, method: str, handle: Callable[..., Any], request: Any, context: Any
    ) -> Any:
        await self._suffer(method)
        return await handle(request, context)

    async def _stream(
        self, method: str, handle: Callable[..., Any], request: Any, context: Any
    ) -> AsyncIterator[Any]:
        await self._suffer(method)
        answers = handle(request, context)
        async with AsyncExitStack() as stack:
            if hasattr(answers, "aclose"):
                await stack.enter_async_context(aclosing(answers))
            async for answer in answers:
                yield answer

    async def _suffer(self, method: str) -> None:
        error, left = self._errors.get(method, (None, 0.0))
        if error is not None and left > 1:
            self._errors[method] = (error, left - 1)
        else:
            self._errors.pop(method, None)
        if method in self._delays:
            await asyncio.sleep(self._delays[method])
        if error is not None and left >= 1:
            raise error

    def _check(self, *named: str) -> None:
        if self._methods:
            check_names("the service", named, self._methods)
