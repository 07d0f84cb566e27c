"""Reasons of the reach centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class ReachReason(Reason):
    """Why the reach centre refuses. A contact that is denied is an answer, not one of these."""

    TASK_UNKNOWN = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The task is not known here yet",
        "该任务尚未同步到触达中心",
        "Send it again in a second; if it stays, check the task id.",
    )
    TASK_NOT_YOURS = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The task is not an open task of yours with this customer",
        "该任务不是您名下该客户的进行中任务",
        "List your tasks and use an open one of this customer, or send without a task.",
    )
    PERSONAL_DATA_IN_SLOT = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A slot holds what looks like a telephone or identity number",
        "话术变量中疑似包含手机号或身份证号",
        "Take the number out; the customer is known by his token.",
    )
    REGULATORY_NOT_PERMITTED = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "Contacts that the law wants pass caps and refusals; this needs a permission of its own",
        "监管类触达不受频次与拒收限制，需单独授权",
        "Send it as marketing or service, or ask for the permission reach.regulatory.",
    )
    GATE_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "A centre that must be asked before a contact cannot be reached",
        "触达前置校验服务暂不可用",
        "Send it again in a moment; nothing was sent and nothing was counted.",
    )
    CONTACT_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The customer has no such contact",
        "未找到该客户的触达记录",
        "List the customer's contacts and use an id from there.",
    )
    CONTACT_GONE_OUT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The contact has gone out already, or is over",
        "该触达已发出或已结束",
        "Read the contact; what has gone out cannot be taken back.",
    )
    CANCEL_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "WeCom cannot be asked to take the message back",
        "暂时无法在企业微信撤回该消息",
        "Send it again in a moment; the message still waits for confirmation.",
    )
    OPT_OUT_IMPOSSIBLE = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "Nobody can refuse or allow contacts that the law wants",
        "监管类触达不支持拒收或授权",
        "Name the class marketing or service, or none for both.",
    )
    POLICY_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The contact policy has rules that cannot hold",
        "触达策略存在无效规则",
        "Correct the fields listed under violations and send it again.",
    )
    POLICY_VERSION_MISMATCH = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "This is not the newest version of the contact policy",
        "该版本不是触达策略的最新版本",
        "Read the newest version and send its number.",
    )
