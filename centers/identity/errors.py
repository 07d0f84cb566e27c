"""Reasons of the identity centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class IdentityReason(Reason):
    """Why the identity centre refuses."""

    SIGN_ON_FAILED = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The name or the password is wrong",
        "用户名或密码错误",
        "Check both and try again; after ten failures the name is refused for fifteen minutes.",
    )
    TOO_MANY_ATTEMPTS = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Too many failed attempts for this name",
        "该用户名登录失败次数过多",
        "Wait for the time in Retry-After; if it was not you, tell an administrator.",
    )
    ACCOUNT_SUSPENDED = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The account may not sign on",
        "账号已停用",
        "Ask an administrator to activate the account.",
    )
    REFRESH_TOKEN_INVALID = ReasonText(
        grpc.StatusCode.UNAUTHENTICATED,
        "The refresh token is not valid or was used before",
        "刷新令牌无效或已被使用",
        "Sign on again; if this comes as a surprise, change the password.",
    )
    PASSWORD_WRONG = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The present password is wrong",
        "原密码错误",
        "Enter the password that you signed on with.",
    )
    PASSWORD_WEAK = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The new password cannot be used",
        "新密码不符合要求",
        "Choose another one of at least twelve characters that is not the username.",
    )
    USER_EXISTS = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "There is a user of this name already",
        "用户名已存在",
        "Choose another name, or change the user that exists.",
    )
    USER_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no user of this name",
        "用户不存在",
        "List the users and check the spelling.",
    )
    USER_LEFT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The user has left for good",
        "该用户已离职",
        "Create a new user; an account that was closed stays closed.",
    )
    LAST_ADMINISTRATOR = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "No administrator would be left",
        "不能停用或降级最后一名管理员",
        "Give another user the role 'administrator' first.",
    )
    ROLE_UNKNOWN = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "There is no such role",
        "角色不存在",
        "Use the roles that ListRoles names.",
    )
    ROLES_CONFLICT = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "These roles may not be held together",
        "角色互斥，不可同时持有",
        "Give the roles to different people: who approves does not sell.",
    )
    SERVICE_ACCOUNT_EXISTS = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "There is a service account of this name already",
        "服务账号已存在",
        "Choose another name; the secret of an account cannot be asked for again.",
    )
    BOOTSTRAP_REFUSED = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The bootstrap link is not valid (any more)",
        "初始化链接无效或已失效",
        "Use the link of the latest start; once an administrator exists, sign on instead.",
    )
    WATCHER_TOO_SLOW = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The watcher did not keep up with the revocations",
        "吊销通知处理过慢，连接已断开",
        "Connect again; the first messages carry all revocations in force.",
    )
