"""Reasons of the performance centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class PerformanceReason(Reason):
    """Why the performance centre refuses."""

    DATE_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A date or time does not exist in the calendar",
        "日期或时间无效",
        "Correct what is listed under violations; business dates read 2026-11-23.",
    )
    CREDIT_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such credit entry",
        "未找到该业绩分录",
        "List the credits and use an id from there.",
    )
    LEDGER_MOVED = ReasonText(
        grpc.StatusCode.ABORTED,
        "The ledger changed while the entries were prepared",
        "业绩台账已变动",
        "Send it again with the same request id.",
    )
    OWNERS_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The owners of the customers cannot be asked for",
        "暂无法获取客户归属",
        "Send it again in a moment; if it stays, look at the customer centre.",
    )
