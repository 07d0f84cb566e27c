"""Reasons of the action centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class ActionReason(Reason):
    """Why the action centre refuses."""

    SCENE_NOT_SIMULATED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The draft has not been simulated since its last change",
        "草稿自上次修改后尚未进行模拟",
        "Simulate it, look at the load it makes, then submit it.",
    )
    SCENE_NOT_RUNNING = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The scene does not run, so no task of it is made",
        "场景未在运行中，不能产生新任务",
        "Send it again once the scene is resumed.",
    )
    SCENE_STATUS_WRONG = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "No version of the scene stands where this step begins",
        "场景当前状态不支持该操作",
        "Read the scene; its status says which step comes next.",
    )
    SCENE_ENDED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The scene has ended for good",
        "场景已终止",
        "Draft a new scene.",
    )
    NO_EARLIER_VERSION = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "There is no such earlier version that ran",
        "没有可回退的历史版本",
        "Name a version that was launched before the present one, or pause the scene.",
    )
    BACKTEST_UNKNOWN = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such backtest",
        "回测不存在",
        "Backtest a model that feeds the scene, and name that backtest; they are kept for 30 days.",
    )
    BACKTEST_OF_OTHER_SCENE = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The backtest is not of a model that feeds this scene",
        "该回测所属模型未关联此场景",
        "Backtest a model whose scene_id is this scene.",
    )
    TASK_CLOSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The task is closed",
        "任务已结束",
        "List your open tasks; a closed one does not change any more.",
    )
    TASK_ETAG_MISMATCH = ReasonText(
        grpc.StatusCode.ABORTED,
        "The task was changed meanwhile",
        "任务已被修改",
        "Read it again, decide again, and send the call with the new etag.",
    )
    LEASE_HELD = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Another robot holds the task",
        "任务已被其他机器人租用",
        "Lease tasks and work on those; a lease that runs out goes to the next who asks.",
    )
    EVIDENCE_REQUIRED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The node asks for a contact as evidence",
        "该节点需要触达记录作为凭证",
        "Contact the customer as part of this task and name the contact.",
    )
    EVIDENCE_MISMATCH = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The contact is not one of this task",
        "该触达记录不属于此任务",
        "Name a contact that was made with this task's id.",
    )
    EVIDENCE_INSUFFICIENT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The contact does not prove this outcome",
        "该触达记录不足以证明此结果",
        "An answer needs a contact that reached the customer; 'unreachable' one that went out.",
    )
    OWNER_NOT_ALLOWED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "This owner may not get the task",
        "该人员不能承接此任务",
        "Name a manager of your own branch, or an agent or robot of head office, "
        "of a kind that the node allows.",
    )
    REASON_NOT_A_CODE = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The reason holds what looks like a telephone or identity number",
        "原因中疑似包含手机号或身份证号",
        "Give the reason as a code, such as LEAVE.",
    )
