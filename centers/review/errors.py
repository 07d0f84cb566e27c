"""Reasons of the review centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class ReviewReason(Reason):
    """Why the review centre refuses."""

    SCENE_VERSION_UNKNOWN = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "No event has told of this version of a scene",
        "尚未收到该场景版本的事件",
        "Check the number (`scene_version` of the scene); right after a launch, ask again in a "
        "moment.",
    )
