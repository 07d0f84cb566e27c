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
