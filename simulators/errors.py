"""Why an outside party refuses."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class SimulatorReason(Reason):
    """Reasons of the simulators."""

    KEY_REUSED = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "The contact was handed over before with other content",
        "该触达已以不同内容提交",
        "Hand over another contact under another contact_id.",
    )
    MESSAGE_TASK_UNKNOWN = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "WeCom knows no such message task of this member",
        "企业微信中不存在该成员的群发任务",
        "Use the msgid that AddMessageTask answered, and the member it was created for.",
    )
    MESSAGE_TASK_CLOSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The message task no longer waits for the member",
        "群发任务已确认或已取消",
        "Only a task that waits for its member can be reminded of.",
    )
    REMINDED_ENOUGH = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The member was reminded of the task three times within 24 hours",
        "24 小时内提醒次数已达上限",
        "Wait for the time in Retry-After.",
    )
    CALL_RATE_EXCEEDED = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The corporation calls this method too often",
        "接口调用频率超过企业上限",
        "Wait for the time in Retry-After and send it again.",
    )
