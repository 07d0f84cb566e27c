"""Reasons of the bus."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class BusReason(Reason):
    """Why the bus refuses."""

    BATCH_TOO_LARGE = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The events are more than 4 MiB together",
        "单次提交的事件总大小超过 4 MiB",
        "Send them in smaller batches.",
    )
    TOPIC_OF_ANOTHER = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The topic is named after another service, which alone tells events there",
        "该主题属于其他服务，不能代为发布",
        "Publish under the service's own name, or a topic that is no service's.",
    )
    DEAD_LETTER_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such dead letter",
        "未找到该死信",
        "List the dead letters and use a number from there; one that was consumed is gone.",
    )
