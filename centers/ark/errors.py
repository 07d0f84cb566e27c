"""Reasons of the Data Ark."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class ArkReason(Reason):
    """Why the Ark refuses."""

    DUPLICATE_CUSTOMER = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A customer number occurs twice in one import",
        "同一批导入中客户号重复",
        "Send each customer number once; the violations name the places.",
    )
    FIELD_DENIED = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The field has no masking rule and is not shown",
        "该字段没有脱敏规则，不予展示",
        "Ask for other fields, or have a masking rule added for this one.",
    )
    TOKENS_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "No token can be had from the sequencer",
        "无法从序列中心取得客户令牌",
        "Send the import again in a moment; if it stays, look at the sequencer.",
    )
