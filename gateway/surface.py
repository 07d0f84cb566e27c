"""What the gateway serves at one moment: pages of its own and the methods of all contracts.

A surface never changes. When a contract does, a new surface takes its place, so
that no request sees half of a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import MethodDescriptor

from gateway import calls, templates
from gateway.codec import JsonTypes
from gateway.exchange import Exchange, Target
from gateway.http import Request, Response
from gateway.routes import RouteTable
from gateway.rulebook import NO_RULES, Entry, Rule, Rulebook
from gateway.rules import Binding, RuleError, bind, rules
from gateway.templates import TemplateError
from mesh import contract
from mesh.contract import ContractError
from mesh.errors import MeshError
from mesh.reflection import Contract

UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something that the gateway answers itself, at a fixed path, to GET."""

    path: str
    answer: Callable[[Request], Response]
    cost: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Routes, the bindings among them, and why each rule that is not served is not."""

    routes: RouteTable[Target]
    bindings: tuple[Binding, ...]
    left_out: tuple[str, ...]

    def exchange(self, request: Request) -> Exchange:
        """A request with its target. Where nothing leads, the target answers the error."""
        try:
            match = self.routes.match(request.method, request.path)
        except MeshError as error:
            return Exchange(request=request, target=_dead_end(error))
        return Exchange(request=request, target=match.target, values=match.values)


def build(
    contracts: Mapping[str, Contract],
    channel: Callable[[str], grpc.aio.Channel],
    pages: Sequence[Page],
    rulebook: Rulebook = NO_RULES,
) -> Surface:
    """The surface of the contracts (by service in the registry) and of the pages.

    What cannot be served is left out; the rest is served all the same. Where
    two want the same route, pages go first, then services by name. The rules of files
    add to those that contracts carry.
    """
    routes: RouteTable[Target] = RouteTable()
    for page in pages:
        routes.add("GET", templates.parse(page.path), _page(page))
    served: list[Binding] = []
    left_out: list[str] = []
    for service, found in sorted(contracts.items()):
        types, open_channel = JsonTypes(found.pool), channel(service)
        for descriptor in _methods(found):
            entry = rulebook.entries.get(descriptor.full_name)
            for binding in _bindings(descriptor, entry, left_out):
                try:
                    target = calls.target(binding, types, open_channel)
                    routes.add(binding.http_method, binding.template, target)
                except TemplateError as error:
                    left_out.append(f"{binding.source}: {error}")
                else:
                    served.append(binding)
        left_out += rulebook.astray(found.pool, found.services)
    return Surface(routes=routes, bindings=tuple(served), left_out=tuple(left_out))


def _methods(found: Contract) -> Iterator[MethodDescriptor]:
    for name in found.services:
        yield from found.pool.FindServiceByName(name).methods


def _bindings(
    descriptor: MethodDescriptor, entry: Entry | None, left_out: list[str]
) -> Iterator[Binding]:
    """The bindings of a method that are for the outside; the others are told in `left_out`."""
    try:
        method = contract.method(descriptor, foreign=entry.policy if entry else None)
    except ContractError as error:
        left_out.append(f"{entry.where}: {error}" if entry else str(error))
        return
    if method.policy.internal or (method.http is None and entry is None):
        return
    if method.client_streaming or method.server_streaming:
        where = f"{entry.where}: {method.path}" if entry else method.path
        left_out.append(f"{where}: streams are not served over REST")
        return
    stated = [(method.path, Rule(http)) for http in rules(method)]
    if entry is not None:
        stated += [(f"{entry.where}: {method.path}", rule) for rule in entry.rules]
    for source, rule in stated:
        try:
            yield bind(method, rule.http, lax=rule.lax, source=source)
        except RuleError as error:
            left_out.append(f"{source}: {error}")


def _page(page: Page) -> Target:
    async def answer(exchange: Exchange) -> Response:
        return page.answer(exchange.request)

    return Target(label=f"GET {page.path}", answer=answer, anonymous=True, cost=page.cost)


def _dead_end(error: MeshError) -> Target:
    allow = error.metadata.get("allow", "").encode("ascii")

    async def answer(exchange: Exchange) -> Response:
        if allow and exchange.request.method == "OPTIONS":
            return Response(status=204, headers=((b"allow", allow),))
        raise error

    return Target(label=UNMATCHED, answer=answer, anonymous=True)
