"""Reasons of snowflake sequences."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class WorkerReason(Reason):
    """Why the sequencer leases no worker."""

    WORKER_LOST = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The caller does not hold this worker any more",
        "该工作节点号已不归调用方持有",
        "Make no more ids with it; acquire another worker.",
    )
    WORKERS_EXHAUSTED = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "All worker ids of the sequence are leased",
        "工作节点号已全部租出",
        "Wait until a window ends (retry_delay); see who holds them by ListWorkers. If there"
        " are more processes than worker ids, create a sequence with more worker bits.",
    )
    CLOCK_BEHIND = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The server's clock lies behind windows that it has leased before",
        "服务器时钟落后于已发放的时间窗口",
        "Set the clock of the sequencer's host. If it is right now and was ahead before, wait"
        " until the time that metadata names, or create a new sequence.",
    )
    LAYOUT_EXHAUSTED = ReasonText(
        grpc.StatusCode.OUT_OF_RANGE,
        "The time bits of the layout have run out",
        "编号的时间位已用尽",
        "Create a sequence with a later epoch or more time bits, and ids that start above.",
    )
