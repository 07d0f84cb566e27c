"""Reasons of the registry."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class RegistryReason(Reason):
    """Why the registry refuses."""

    LEASE_UNKNOWN = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The registry does not know this lease: register again",
        "注册中心不存在该租约，请重新注册",
        "Register the instance again; its lease ran out, or the registry has lost its table.",
    )
    ENTRY_OF_ANOTHER = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The instance is that of another service, which alone tells of it",
        "该实例属于其他服务，不能代为注册",
        "Register under the calling service's own name.",
    )
    TABLE_IS_A_FOLDER = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "This registry shows the processes of its host, which need no lease",
        "该注册中心展示本机进程目录，不接受租约注册",
        "Set ENGINE_REGISTRY for the registry and for the services that are to register.",
    )
    TABLE_FULL = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The registry holds as many instances as it may",
        "注册中心实例数量已达上限",
        "Look in the table for instances that register under ever new names.",
    )
