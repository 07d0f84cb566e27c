"""Reasons of the learning centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class LearningReason(Reason):
    """Why the learning centre refuses."""

    TERM_OVER = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The qualification would have ended before it began",
        "资格有效期必须晚于当前时间",
        "Name an expire_time in the future.",
    )
    TIME_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The point in time does not exist",
        "时间无效",
        "Send a time between the years 1 and 9999.",
    )
    NOT_QUALIFIED = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The member of staff does not hold the qualification now",
        "该员工当前未持有此资格",
        "List his qualifications: only one that is valid can be revoked.",
    )
