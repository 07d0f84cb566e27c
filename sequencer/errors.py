"""Reasons of the sequencer."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class SequencerReason(Reason):
    """Why the sequencer refuses."""

    SEQUENCE_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no sequence of this name",
        "序列不存在",
        "Check the name with 'engine seq list', or create it with 'engine seq create NAME'.",
    )
    SEQUENCE_EXISTS = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "The sequence exists with other settings",
        "同名序列已存在，且设置不同",
        "Use the sequence as it is (metadata), or choose another name.",
    )
    SEQUENCE_EXHAUSTED = ReasonText(
        grpc.StatusCode.OUT_OF_RANGE,
        "The sequence has no ids left",
        "序列号段已用尽",
        "Create a sequence with a higher max_value and use that from now on.",
    )
    LEASE_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The client holds no such lease",
        "该客户端未持有此号段",
        "Return only ranges that were granted to the same caller and client id.",
    )
    FENCE_REFUSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The client says to hold ids or leases that the sequence has not granted",
        "声称的号段超出已发放范围",
        "Send the last lease as it was granted. If it was, the store was restored from an old"
        " copy: let a service that holds later ids lease first, or create a new sequence.",
    )
    KIND_MISMATCH = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The sequence is of another kind",
        "序列类型不符",
        "Use the calls of its kind (metadata): sequence(), strict(), gapless() or snowflake().",
    )
    SEQUENCE_CLOSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The sequence is draining or retired and grants no ids",
        "序列已停用，不再发放编号",
        "Use the sequence that took its place, or have it opened: 'engine seq drain NAME --undo'.",
    )
    CALLER_NOT_ALLOWED = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "The sequence is for other callers",
        "该调用方无权使用此序列",
        "Have the caller (metadata) added: 'engine seq callers NAME --add CALLER'.",
    )
    QUOTA_EXHAUSTED = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The caller has taken its ids of the day",
        "调用方当日编号配额已用尽",
        "Wait for the next day (UTC), or have the quota raised: 'engine seq callers NAME --add"
        " CALLER=QUOTA'.",
    )
    SEQUENCE_CHANGED = ReasonText(
        grpc.StatusCode.ABORTED,
        "The sequence has been changed meanwhile",
        "序列已被他人修改",
        "Read it again and send the change with its new etag.",
    )
    NAME_TAKEN = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "Another sequence has or had this name",
        "名称已被其他序列使用",
        "Choose a name that no sequence has or had.",
    )
    STATE_REFUSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The sequence cannot go to this state from its present one",
        "序列不能转入该状态",
        "Drain it before it is retired; a retired sequence stays retired.",
    )
    SEQUENCE_CONTENDED = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "Other servers kept granting from the sequence first",
        "序列争用过多，请稍后重试",
        "Send it again in a moment; have clients of one sequence use one server.",
    )
