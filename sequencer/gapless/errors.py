"""Reasons of gapless numbers."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class GaplessReason(Reason):
    """Why the sequencer refuses about a number."""

    NUMBERS_NOT_HELD = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The reservation does not hold these numbers",
        "该预留不再持有这些号码",
        "Its lease ran out and somebody else got them, or they were given back: take new"
        " numbers, and do not use the old ones.",
    )
    NUMBERS_VOID = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Some of the numbers are void",
        "部分号码已作废",
        "Take new numbers; void ones are never used.",
    )
    NUMBERS_CONFIRMED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Some of the numbers are confirmed",
        "部分号码已确认使用",
        "A number that was used stays used: cancel what carries it instead.",
    )
    NUMBERS_IN_DOUBT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The store was put back to an older copy, and the lease has run out since",
        "存储已从旧副本恢复，且预留已过期，号码状态存疑",
        "Take new numbers. The old ones stand in the gap report until somebody voids them.",
    )
    STORE_REWOUND = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The store was put back to an older copy while the call was served",
        "存储正在从旧副本恢复",
        "Send it again in a moment.",
    )
