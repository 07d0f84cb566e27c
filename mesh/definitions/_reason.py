"""Reasons of the life cycle."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class DefinitionReason(Reason):
    """Why a step of a definition's life cycle is refused."""

    DEFINITION_NOT_FOUND = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "There is no such definition or version",
        "未找到该定义或版本",
        "List the definitions and use an id and a version from there.",
    )
    NOT_A_DRAFT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The newest version is not a draft, and only drafts can be changed or submitted",
        "最新版本不是草稿，只有草稿可以修改或提交",
        "Withdraw it when it is in review; draft a new version when it is published.",
    )
    NOT_IN_REVIEW = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The newest version is not in review",
        "最新版本不在复核中",
        "Submit the draft first; a version that is published already needs nothing more.",
    )
    NOT_PUBLISHED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "No version of the definition is published",
        "该定义尚无已发布版本",
        "Submit its draft and let somebody else publish it.",
    )
    NOT_THE_AUTHOR = ReasonText(
        grpc.StatusCode.PERMISSION_DENIED,
        "Only the author changes, submits or withdraws his version",
        "只有经办人可以修改、提交或撤回该版本",
        "Ask the author; he is named in the version's head.",
    )
    DEFINITION_ETAG_MISMATCH = ReasonText(
        grpc.StatusCode.ABORTED,
        "The version was changed meanwhile",
        "该版本已被修改",
        "Read it again, decide again, and send the call with the new etag.",
    )
    OPEN_VERSION_EXISTS = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The definition has a version in draft or in review",
        "该定义已有处于草稿或复核中的版本",
        "Go on with that version: publish it before another one is drafted.",
    )
