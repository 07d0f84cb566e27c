"""Reasons of the customer centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class CustomerReason(Reason):
    """Why the customer centre refuses."""

    FILTER_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The filter cannot be read",
        "筛选条件无法解析",
        "Correct the filter at the position named; the violation says what may stand there.",
    )
    ORDER_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The list cannot be put in this order",
        "不支持该排序方式",
        "Use one of the orders that the violation names.",
    )
    IMPORT_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The import has entries that cannot be stored",
        "导入数据中存在无效记录",
        "Correct the entries listed under violations and send the import again.",
    )
    FOLLOW_UP_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The customer has no such follow-up",
        "未找到该客户的跟进记录",
        "List the customer's follow-ups and use an id from there.",
    )
    UPDATE_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The follow-up cannot be changed in this way",
        "跟进记录不支持这样修改",
        "Name summary, next_step or next_time in the mask, and give them values they may have.",
    )
    ETAG_MISMATCH = ReasonText(
        grpc.StatusCode.ABORTED,
        "The follow-up was changed by somebody else",
        "跟进记录已被他人修改",
        "Read it again, decide again, and send the change with the new etag.",
    )
    TIME_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The point in time does not exist",
        "时间无效",
        "Send a time between the years 1 and 9999.",
    )
    PERSONAL_DATA_IN_TEXT = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The text holds what looks like a telephone or identity number",
        "文本中疑似包含手机号或身份证号",
        "Take the number out; the customer is known by his token.",
    )
    ARK_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The Data Ark cannot be reached, so the customer's values cannot be shown",
        "数字方舟暂不可用，无法展示客户信息",
        "Try again in a moment; customer and follow-ups can be read by themselves meanwhile.",
    )
