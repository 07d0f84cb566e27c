"""Reasons of the UMS."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class UmsReason(Reason):
    """Why the UMS refuses."""

    TRACE_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "No span of this trace is kept",
        "未找到该链路",
        "Check the id; spans arrive a few seconds late, leave after a day, "
        "and exist for sampled requests alone (ENGINE_TRACE_SAMPLE).",
    )
