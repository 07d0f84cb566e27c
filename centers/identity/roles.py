"""The catalogue of roles, and what follows from holding some."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from centers.identity.errors import IdentityReason
from engine.mesh.v1 import policy_pb2
from mesh.errors import MeshError, Violation

ADMINISTRATOR: Final = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of permissions, with the widest data scope of its holders."""

    name: str
    description: str
    permissions: frozenset[str]
    data_scope: policy_pb2.Scope.ValueType


def _role(
    name: str, description: str, scope: policy_pb2.Scope.ValueType, *permissions: str
) -> Role:
    return Role(
        name=name,
        description=description,
        permissions=frozenset({"identity.self", *permissions}),
        data_scope=scope,
    )


_DESK: Final = (
    "customer.read",
    "customer.follow_up",
    "ark.query",
    "action.read",
    "action.work",
    "reach.read",
    "reach.send",
    "reach.record",
    "wecom.read",
    "product.read",
    "product.check",
    "benefits.read",
    "benefits.grant",
    "materials.read",
    "learning.read",
    "performance.read",
    "review.read",
)
"""What everybody needs who looks after customers."""

ROLES: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        _role(
            "relationship-manager",
            "Looks after the customers of his own book 客户经理",
            policy_pb2.SCOPE_OWN_BOOK,
            *_DESK,
        ),
        _role(
            "branch-manager",
            "Sees the customers of his branch and moves its tasks 支行长",
            policy_pb2.SCOPE_BRANCH,
            "customer.read",
            "ark.query",
            "action.read",
            "action.manage",
            "reach.read",
            "product.read",
            "benefits.read",
            "materials.read",
            "performance.read",
            "review.read",
        ),
        _role(
            "direct-operations-agent",
            "Looks after the customers of his pool from head office 线上直营",
            policy_pb2.SCOPE_OWN_BOOK,
            *_DESK,
        ),
        _role(
            "head-office-operator",
            "Writes strategies for head office and watches them 总行运营",
            policy_pb2.SCOPE_ALL,
            "sequencer.read",
            "ums.read",
            "bus.read",
            "decision.read",
            "decision.write",
            "decision.launch",
            "action.scene.read",
            "action.scene.write",
            "action.scene.launch",
            "reach.read",
            "reach.policy.write",
            "reach.record",
            "product.read",
            "product.write",
            "benefits.read",
            "benefits.write",
            "benefits.approve",
            "benefits.revoke",
            "materials.read",
            "materials.write",
            "learning.read",
            "learning.issue",
            "performance.read",
            "review.read",
            "review.scene",
        ),
        _role(
            "compliance",
            "Approves what reaches customers; sees who may do what 合规",
            policy_pb2.SCOPE_ALL,
            "identity.read",
            "decision.read",
            "decision.launch",
            "action.scene.read",
            "action.scene.approve",
            "reach.read",
            "reach.policy.approve",
            "product.read",
            "product.approve",
            "benefits.read",
            "benefits.approve",
            "materials.read",
            "materials.approve",
            "learning.read",
            "review.read",
            "review.audit",
            "review.scene",
        ),
        _role(
            ADMINISTRATOR,
            "Runs accounts and the platform; sees no customer 系统管理员",
            policy_pb2.SCOPE_SELF,
            "identity.read",
            "identity.manage",
            "sequencer.read",
            "sequencer.create",
            "sequencer.lease",
            "sequencer.reserve",
            "sequencer.void",
            "sequencer.operate",
            "ums.read",
            "bus.read",
            "bus.replay",
        ),
        _role(
            "service-robot",
            "A program that takes ids for its work 机器人",
            policy_pb2.SCOPE_SELF,
            "sequencer.read",
            "sequencer.lease",
            "sequencer.reserve",
        ),
        _role(
            "outreach-robot",
            "A robot that works the tasks of its pool 外呼机器人",
            policy_pb2.SCOPE_OWN_BOOK,
            "ark.query",
            "action.read",
            "action.work",
            "action.lease",
            "reach.read",
            "reach.send",
            "product.read",
            "materials.read",
            "benefits.grant",
            "benefits.read",
        ),
        _role(
            "event-source",
            "A system of the bank that hands in events and results 行内系统",
            policy_pb2.SCOPE_SELF,
            "decision.ingest",
            "performance.record",
        ),
        _role(
            "load-tester",
            "Takes ids at full speed, for load tests 压测",
            policy_pb2.SCOPE_SELF,
            "sequencer.read",
            "sequencer.lease",
            "sequencer.reserve",
        ),
    )
}
"""The catalogue. A role that it does not name carries nothing."""


FRONT_LINE: Final = frozenset({"relationship-manager", "branch-manager", "direct-operations-agent"})
CONFLICTS: Final[Mapping[str, frozenset[str]]] = {
    "compliance": FRONT_LINE | {"head-office-operator"},
    "head-office-operator": FRONT_LINE,
}
"""Roles that nobody holds together: who approves does not sell, who sees all owns none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What follows from roles: all their permissions, the widest of their scopes."""

    permissions: frozenset[str]
    data_scope: policy_pb2.Scope.ValueType


def rights_of(roles: Iterable[str]) -> Rights:
    """The rights that `roles` carry together."""
    held = [ROLES[name] for name in roles if name in ROLES]
    return Rights(
        permissions=frozenset().union(*(role.permissions for role in held)),
        data_scope=max((role.data_scope for role in held), default=policy_pb2.SCOPE_UNSPECIFIED),
    )


def catalogue_version(roles: Mapping[str, Role] = ROLES) -> str:
    """Tells catalogues apart by what their roles carry."""
    carried = [
        (role.name, sorted(role.permissions), int(role.data_scope))
        for _, role in sorted(roles.items())
    ]
    return hashlib.sha256(repr(carried).encode()).hexdigest()[:24]


def check_roles(roles: Collection[str], field: str) -> None:
    """Refuse roles that there are not, or that exclude each other.

    `field` is where the request has them.

    Raises:
        MeshError: ROLE_UNKNOWN or ROLES_CONFLICT.
    """
    unknown = [
        Violation(f"{field}[{index}]", f"'{role}' is not a role")
        for index, role in enumerate(roles)
        if role not in ROLES
    ]
    if unknown:
        raise MeshError(IdentityReason.ROLE_UNKNOWN, violations=unknown)
    conflicts = [
        Violation(f"{field}[{index}]", f"'{role}' excludes {', '.join(excluded)}")
        for index, role in enumerate(roles)
        if (excluded := sorted(CONFLICTS.get(role, frozenset()).intersection(roles)))
    ]
    if conflicts:
        raise MeshError(IdentityReason.ROLES_CONFLICT, violations=conflicts)
