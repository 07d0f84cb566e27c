"""Reasons of the materials centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class MaterialReason(Reason):
    """Why the materials centre refuses."""

    SCRIPT_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The material does not hold together",
        "物料内容不完整或不一致",
        "Correct what is listed under violations: a script has text whose slots are declared, "
        "a document has neither text nor slots.",
    )
    WORDING_REFUSED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The text says what may not be said to a customer",
        "话术含有禁用表述",
        "Draft the text again without the words listed under violations.",
    )
    TYPE_FIXED = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A material keeps its type in all its versions",
        "物料类型不可变更",
        "Leave the type as it is, or draft a new material.",
    )
    NOT_A_SCRIPT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The material is not a script",
        "该物料不是话术",
        "Read a document by its manifest and content; only scripts are filled.",
    )
    NOT_A_DOCUMENT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The material is not a document",
        "该物料不是文档",
        "Fill a script by its method; only documents have content.",
    )
    SLOTS_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The slots cannot be filled with these values",
        "话术变量取值不符合要求",
        "Correct the slots listed under violations; all and only those of the script are given.",
    )
    MATERIAL_RECALLED = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The material was recalled",
        "该物料已被召回，不可再使用",
        "Use another material; a recalled one never comes back.",
    )
    MATERIAL_EXPIRED = ReasonText(
        grpc.StatusCode.NOT_FOUND,
        "The material has expired",
        "该物料已过有效期",
        "Use another material, or have a next version of this one approved.",
    )
    NO_CONTENT = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The document has no bytes yet",
        "尚未上传文档内容",
        "Upload the document, then submit it.",
    )
    UPLOAD_OUT_OF_PLACE = ReasonText(
        grpc.StatusCode.OUT_OF_RANGE,
        "The bytes do not go on where the document ends",
        "上传位置与已有内容不衔接",
        "Go on at size_bytes of the metadata; to begin anew, draft the material again.",
    )
    UPLOAD_TOO_LARGE = ReasonText(
        grpc.StatusCode.OUT_OF_RANGE,
        "The document is larger than 64 MiB",
        "文档超过 64 MiB 上限",
        "Make the document smaller, or upload it in parts as several materials.",
    )
    NOT_A_PDF = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The content is not a whole, valid PDF document",
        "上传内容不是完整有效的 PDF 文档",
        "Export the document again, draft the material again and upload it from the beginning.",
    )
    PDF_ENCRYPTED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The document is encrypted",
        "文档已加密",
        "Remove password and restrictions, and upload it again.",
    )
    PDF_ACTIVE = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The document holds scripts, programs or other files",
        "文档含有脚本、启动动作或附件",
        "Export the document without them (PDF/A-1 has none), and upload it again.",
    )
    PDF_TOO_COMPLEX = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The document is too large or too involved to be read",
        "文档过大或结构过于复杂，无法处理",
        "Split it, or export it again in a simpler form.",
    )
    DOCUMENTS_BUSY = ReasonText(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Too many documents are being prepared",
        "文档处理繁忙",
        "Wait for the time in Retry-After and try again.",
    )
    PAGES_INVALID = ReasonText(
        grpc.StatusCode.OUT_OF_RANGE,
        "The document has no such pages, or they are too many at once",
        "页码超出范围或一次请求页数过多",
        "Ask for pages from 1 to the number in the metadata, 100 at a time at the most.",
    )
