"""Reasons of the decision centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class DecisionReason(Reason):
    """Why the decision centre refuses."""

    EVENT_TYPE_UNKNOWN = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "There is no such type of events",
        "事件类型不存在",
        "Use one of the types that the violation names.",
    )
    FIELD_UNKNOWN = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The type of events has no such field",
        "该事件类型没有此字段",
        "Use the fields that the violation names; numbers and texts are kept apart.",
    )
    EVENT_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "An event lacks a field of its type, or a field has a value that it cannot have",
        "事件缺少必填字段或字段取值无效",
        "Correct the events listed under violations and send all of them again.",
    )
    TIME_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The point in time cannot be",
        "时间无效",
        "Send when it happened: after 1970, and at most five minutes ahead of our clock.",
    )
    FILTER_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The filter is no condition over the fields of the event type",
        "筛选表达式无效",
        "Correct the filter at the position named; the violation says what may stand there.",
    )
    MODEL_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The model asks for what its event type does not have",
        "模型设置与事件类型不符",
        "Correct the fields listed under violations.",
    )
    BACKTEST_NEEDED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "No backtest of this very version was made in the last seven days",
        "该版本在最近七天内没有回测",
        "Call BacktestModel, look at what it found, and try again.",
    )
    SCENE_NEEDED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The model feeds no scene",
        "模型未绑定场景",
        "Set scene_id by UpdateModel, make a new backtest, and submit again.",
    )
    MODEL_NOT_LIVE = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The model is not live",
        "模型未上线",
        "Read the model; only a live one can be paused.",
    )
    MODEL_NOT_PAUSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The model is not paused",
        "模型未处于暂停状态",
        "Read the model; only a paused one can be resumed. One never launched is launched first.",
    )
    MODEL_NEVER_LAUNCHED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The model, or this version of it, was never launched",
        "该模型或该版本从未上线",
        "Launch it first, or name a version that was; a backtest has statistics of its own.",
    )
    TRIGGER_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such trigger",
        "未找到该命中记录",
        "List the triggers of the model and use an id from there.",
    )
    BACKTEST_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such backtest, or its customers are no longer kept",
        "未找到该回测或其客户名单已过期",
        "Make a new backtest; lists of customers are kept for 30 days.",
    )
    LAUNCHES_TOO_FAST = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "Models were launched while the events were taken in, again and again",
        "写入事件期间模型频繁上线",
        "Send the same events again.",
    )
