"""Reasons of the product centre."""

from __future__ import annotations

import grpc

from mesh.errors import Reason, ReasonText


class ProductReason(Reason):
    """Why the product centre refuses."""

    CODE_TAKEN = ReasonText(
        grpc.StatusCode.ALREADY_EXISTS,
        "Another product has this code",
        "产品代码已被占用",
        "Draft the next version of that product, or choose another code.",
    )
    CODE_FIXED = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A product keeps its code in all its versions",
        "产品代码不可变更",
        "Leave the code as it is, or draft a new product.",
    )
    RISK_NEEDED = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "A product to place money in needs both risks",
        "投资类产品必须填写风险等级",
        "State issuer_risk and own_risk; loans and cards have none.",
    )
    NOT_ON_SALE = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The product is not on sale",
        "产品未在售",
        "Only a product on sale can be suspended.",
    )
    NOT_SUSPENDED = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The product is not suspended",
        "产品未处于暂停状态",
        "Only a suspended product can be resumed.",
    )
    UNSUITABLE = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "A product of the proposal does not suit the customer",
        "产品与客户风险承受能力不匹配",
        "Take the lines listed under violations out; their receipts say why.",
    )
    SHARES_INVALID = ReasonText(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The shares of a proposal must sum to 10,000 basis points, each product once",
        "配置比例之和须为 10,000 个基点，且产品不可重复",
        "Correct the shares, or merge lines of the same product.",
    )
    CUSTOMERS_UNAVAILABLE = ReasonText(
        grpc.StatusCode.UNAVAILABLE,
        "The customer's grade cannot be asked for",
        "暂无法获取客户风险等级",
        "Try again in a moment; if it stays, look at the customer centre.",
    )
