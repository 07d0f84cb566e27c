"""Reasons of the benefits centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class BenefitsReason(Reason):
    """Why the benefits centre refuses."""

    DEPOSIT_INDUCEMENT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Gifts for deposits as such are forbidden",
        "禁止以赠礼方式吸收存款",
        "Tie the benefit to a service instead of a deposit, and leave deposit_inducement unset.",
    )
    SKU_FIXED = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "An activity keeps its SKU in all its versions: its stock counts that one",
        "活动的 SKU 不可变更",
        "Leave the SKU as it is, or draft a new activity.",
    )
    WINDOW_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "Claims would end before they begin",
        "活动结束时间须晚于开始时间",
        "State an end_time after the start_time, or none.",
    )
    ACTIVITY_NOT_OPEN = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "There is no activity of this id that was approved",
        "该活动不存在或尚未批准",
        "Check the id; let somebody approve the activity first.",
    )
    CLAIMS_NOT_BEGUN = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The activity has not begun",
        "活动尚未开始",
        "Claim again after the start_time of the activity.",
    )
    CLAIMS_OVER = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The activity has ended",
        "活动已结束",
        "Choose an activity that is open.",
    )
    LIMIT_REACHED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The customer has as many grants of this activity as he may",
        "该客户领取数量已达上限",
        "List his grants; a grant that is revoked makes room.",
    )
    WAIT_LIST_FULL = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "There is no stock, and too many wait already",
        "库存不足且候补名额已满",
        "Issue stock, or choose another activity.",
    )
    TASK_UNKNOWN = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The task is not known here yet",
        "该任务尚未同步到权益中心",
        "Send it again in a second; if it stays, check the task id.",
    )
    TASK_OF_ANOTHER_CUSTOMER = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The task is about another customer",
        "任务与客户不符",
        "State the task of this customer, or none.",
    )
    TASK_WITHDRAWN = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The task was cancelled or recalled: nothing is granted for it any more",
        "任务已取消或撤回，不能再发放权益",
        "Look at the customer's tasks; grants that exist stay until they are revoked.",
    )
    GRANT_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such grant",
        "未找到该权益发放记录",
        "List the customer's grants and use an id from there.",
    )
    NOT_GRANTED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Only a benefit that the customer has can be used, and only once",
        "只有已发放且未使用的权益可以核销",
        "Look at the state of the grant.",
    )
    ALREADY_REDEEMED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The customer has used the benefit; it cannot be taken back",
        "权益已核销，不能收回",
        "Leave it: what was used does not return to stock.",
    )
