"""Refuses a checker who is the maker of what he is about to put in force."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from mesh import contract
from mesh.call import Call, Handler
from mesh.contract import ContractError, Method
from mesh.errors import MeshError, MeshReason
from mesh.service import AuthorResolver


class CheckerInterceptor:
    """Enforces `maker_checker`.

    Who acts through a service, or lets somebody act for him, is the same person:
    the call is refused when the author is its actor or the one it is made on behalf of.
    """

    def __init__(self, author_resolver: AuthorResolver | None) -> None:
        self._author_of = author_resolver

    def bind(self, method: Method, call_next: Handler) -> Handler:
        if not method.policy.maker_checker:
            return call_next
        author_of = self._author_of
        _refuse_unenforceable(method)
        if author_of is None:
            raise ContractError(
                f"{method.path} states maker_checker: give the Service an author_resolver"
            )
        row_of = attrgetter(method.object_field)

        async def checked(call: Call, request: Any) -> Any:
            author = await author_of(method, row_of(request))
            if author in (call.context.actor, call.context.on_behalf_of):
                raise MeshError(MeshReason.CHECKER_IS_MAKER)
            return await call_next(call, request)

        return checked


def _refuse_unenforceable(method: Method) -> None:
    if method.policy.anonymous:
        raise ContractError(f"{method.path} states maker_checker but lets anybody call")
    if method.client_streaming or not method.object_field:
        raise ContractError(
            f"{method.path} states maker_checker: name in its policy the object_field "
            "of a single request that holds the id of what is checked"
        )
    contract.field(method.input, method.object_field)
