"""What roles carry, alone and together."""

from __future__ import annotations

import pytest

from centers.identity.errors import IdentityReason
from centers.identity.roles import ROLES, check_roles, rights_of
from engine.mesh.v1 import policy_pb2
from mesh.errors import MeshError


def test_several_roles_carry_all_permissions_and_the_widest_scope() -> None:
    """Rights are the union of the roles' permissions under their widest scope."""
    one, other = "relationship-manager", "branch-manager"
    both = rights_of([one, other])
    assert both.permissions == ROLES[one].permissions | ROLES[other].permissions
    assert both.data_scope == policy_pb2.SCOPE_BRANCH


def test_no_role_carries_nothing() -> None:
    """Without roles there are no permissions and no scope."""
    assert rights_of([]).permissions == frozenset()
    assert rights_of([]).data_scope == policy_pb2.SCOPE_UNSPECIFIED


def test_a_role_that_the_catalogue_does_not_name_carries_nothing() -> None:
    """A role that was removed from the catalogue is denied, not guessed at."""
    assert rights_of(["retired-role"]) == rights_of([])


@pytest.mark.parametrize("role", ["administrator", "compliance", "head-office-operator"])
def test_who_runs_the_platform_sees_no_customer(role: str) -> None:
    """Roles that run or watch the platform carry no permission over customers."""
    assert not {p for p in ROLES[role].permissions if p.startswith(("customer.", "ark."))}


@pytest.mark.parametrize("role", ["administrator", "service-robot", "load-tester", "event-source"])
def test_roles_without_customers_do_not_widen_the_scope_of_others(role: str) -> None:
    """A relationship manager who also gets such a role still reaches his own book alone."""
    assert rights_of(["relationship-manager", role]).data_scope == policy_pb2.SCOPE_OWN_BOOK


def test_unknown_roles_are_named_where_they_stand() -> None:
    """Each unknown role is a violation with its place in the request."""
    with pytest.raises(MeshError) as refused:
        check_roles(["compliance", "king", "queen"], "user.roles")
    assert refused.value.reason is IdentityReason.ROLE_UNKNOWN
    assert [v.field for v in refused.value.violations] == ["user.roles[1]", "user.roles[2]"]


@pytest.mark.parametrize(
    "roles", [["compliance", "relationship-manager"], ["head-office-operator", "branch-manager"]]
)
def test_roles_that_exclude_each_other_are_refused(roles: list[str]) -> None:
    """Who approves does not sell, and who sees every customer's strategy owns none."""
    with pytest.raises(MeshError) as refused:
        check_roles(roles, "roles")
    assert refused.value.reason is IdentityReason.ROLES_CONFLICT
    assert [v.field for v in refused.value.violations] == ["roles[0]"]
