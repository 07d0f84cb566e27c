"""Serves `engine.identity.v1.IdentityService`."""
# ruff: noqa: ARG002 - the transport's context goes unused

from __future__ import annotations

from typing import Any

import grpc
from google.api import httpbody_pb2

from centers.identity import wire
from centers.identity.accounts import Accounts
from centers.identity.bootstrap import Bootstrap
from centers.identity.domain import AccountState, ServiceAccount, User
from centers.identity.roles import ROLES
from centers.identity.service import SignOn
from engine.identity.v1 import identity_pb2, identity_pb2_grpc
from mesh.clock import Clock
from mesh.context import Principal, current
from mesh.paging import PageRequest

_Context = grpc.aio.ServicerContext[Any, Any]


class IdentityRpc(identity_pb2_grpc.IdentityServiceServicer):
    """The contract over the use cases.

    Args:
        page: the bootstrap page, as HTML in UTF-8.
    """

    def __init__(
        self, sign_on: SignOn, accounts: Accounts, bootstrap: Bootstrap, page: bytes, clock: Clock
    ) -> None:
        self._sign_on = sign_on
        self._accounts = accounts
        self._bootstrap = bootstrap
        self._page = page
        self._clock = clock

    async def CreateSession(
        self, request: identity_pb2.CreateSessionRequest, context: _Context
    ) -> identity_pb2.CreateSessionResponse:
        grant = await self._sign_on.sign_on(request.username, request.password)
        return identity_pb2.CreateSessionResponse(grant=wire.grant_message(grant))

    async def RefreshSession(
        self, request: identity_pb2.RefreshSessionRequest, context: _Context
    ) -> identity_pb2.RefreshSessionResponse:
        grant = await self._sign_on.refresh(request.refresh_token)
        return identity_pb2.RefreshSessionResponse(grant=wire.grant_message(grant))

    async def DeleteSession(
        self, request: identity_pb2.DeleteSessionRequest, context: _Context
    ) -> identity_pb2.DeleteSessionResponse:
        ended = await self._sign_on.sign_out(_caller(), everywhere=request.all_sessions)
        return identity_pb2.DeleteSessionResponse(ended=ended)

    async def GetMe(
        self, request: identity_pb2.GetMeRequest, context: _Context
    ) -> identity_pb2.GetMeResponse:
        account = await self._accounts.caller(_caller())
        if isinstance(account, ServiceAccount):
            return identity_pb2.GetMeResponse(user=wire.service_account_message(account))
        return identity_pb2.GetMeResponse(user=wire.user_message(account))

    async def ChangePassword(
        self, request: identity_pb2.ChangePasswordRequest, context: _Context
    ) -> identity_pb2.ChangePasswordResponse:
        await self._sign_on.change_password(_caller(), request.old_password, request.new_password)
        return identity_pb2.ChangePasswordResponse()

    async def IssueServiceToken(
        self, request: identity_pb2.IssueServiceTokenRequest, context: _Context
    ) -> identity_pb2.IssueServiceTokenResponse:
        grant = await self._sign_on.issue_service_token(request.client_id, request.client_secret)
        return identity_pb2.IssueServiceTokenResponse(grant=wire.grant_message(grant))

    async def CreateUser(
        self, request: identity_pb2.CreateUserRequest, context: _Context
    ) -> identity_pb2.CreateUserResponse:
        return await self._accounts.create_user(
            self._new_user(request.user), request.password, _created
        )

    async def GetUser(
        self, request: identity_pb2.GetUserRequest, context: _Context
    ) -> identity_pb2.GetUserResponse:
        user = await self._accounts.user(request.username)
        return identity_pb2.GetUserResponse(user=wire.user_message(user))

    async def ListUsers(
        self, request: identity_pb2.ListUsersRequest, context: _Context
    ) -> identity_pb2.ListUsersResponse:
        asked = PageRequest(listing="users", size=request.page_size, token=request.page_token)
        users = await self._accounts.users(asked.after_text(), asked.limit)
        page = asked.page(users, lambda user: user.username)
        return identity_pb2.ListUsersResponse(
            users=map(wire.user_message, page.entries), next_page_token=page.next_token
        )

    async def UpdateUser(
        self, request: identity_pb2.UpdateUserRequest, context: _Context
    ) -> identity_pb2.UpdateUserResponse:
        user = await self._accounts.update_user(request.username, wire.change_of(request))
        return identity_pb2.UpdateUserResponse(user=wire.user_message(user))

    async def ListRoles(
        self, request: identity_pb2.ListRolesRequest, context: _Context
    ) -> identity_pb2.ListRolesResponse:
        roles = [wire.role_message(ROLES[name]) for name in sorted(ROLES)]
        return identity_pb2.ListRolesResponse(roles=roles)

    async def CreateServiceAccount(
        self, request: identity_pb2.CreateServiceAccountRequest, context: _Context
    ) -> identity_pb2.CreateServiceAccountResponse:
        account = ServiceAccount(
            client_id=request.client_id,
            description=request.description,
            roles=tuple(request.roles),
            created=self._clock.now(),
        )
        secret = await self._accounts.create_service_account(account)
        return identity_pb2.CreateServiceAccountResponse(
            client_id=account.client_id, client_secret=secret
        )

    async def Bootstrap(
        self, request: identity_pb2.BootstrapRequest, context: _Context
    ) -> identity_pb2.BootstrapResponse:
        user = await self._bootstrap.create_administrator(
            request.token, request.username, request.password
        )
        return identity_pb2.BootstrapResponse(user=wire.user_message(user))

    async def GetBootstrapPage(
        self, request: identity_pb2.GetBootstrapPageRequest, context: _Context
    ) -> httpbody_pb2.HttpBody:
        return httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=self._page)

    def _new_user(self, message: identity_pb2.User) -> User:
        return User(
            username=message.username,
            display_name=message.display_name,
            roles=tuple(message.roles),
            staff_id=message.staff_id,
            branch_id=message.branch_id,
            state=wire.state_of(message.state) or AccountState.ACTIVE,
            demo=False,
            created=self._clock.now(),
        )


def _created(user: User) -> identity_pb2.CreateUserResponse:
    return identity_pb2.CreateUserResponse(user=wire.user_message(user))


def _caller() -> Principal:
    principal = current().principal
    assert principal is not None, "the contract lets only signed-on users this far"
    return principal
