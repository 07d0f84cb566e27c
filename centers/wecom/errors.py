"""Reasons of the WeCom adapter."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class WecomReason(Reason):
    """Why the WeCom adapter refuses."""

    BINDINGS_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A customer or an external contact stands in the list twice",
        "绑定列表中存在重复的客户或外部联系人",
        "Send each customer and each external contact once.",
    )
    CONTACT_BOUND = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "An external contact is bound to another customer",
        "外部联系人已绑定其他客户",
        "Bind the other customer anew first; one external contact is one customer.",
    )
    CONTACT_REUSED = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "The contact has a message task with other content",
        "该触达已存在内容不同的企业微信任务",
        "Create another contact for another message.",
    )
    MESSAGE_TASK_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The contact has no message task",
        "该触达没有企业微信任务",
        "Check the contact_id; only contacts by WeCom have message tasks.",
    )
    CALLBACK_UNKNOWN = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "No message task with this msgid and external contact is known yet",
        "暂无与该回调对应的企业微信任务",
        "Call back again in a moment: the answer that names the msgid may still be under way.",
    )
    MESSAGE_TASK_CLOSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The message task does not wait for the member",
        "该任务当前无需成员确认",
        "Remind only of tasks that ListMyMessageTasks shows.",
    )
    REMINDED_ENOUGH = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The member was reminded of this task three times within 24 hours",
        "24 小时内提醒次数已达上限",
        "Wait for the time in Retry-After.",
    )
    WECOM_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "WeCom cannot be reached, so it is not known whether the task can be cancelled",
        "企业微信暂不可用，无法确认任务能否取消",
        "Cancel it again in a moment.",
    )
