"""What a call carries, and what is left of it when a service acts for itself."""

from __future__ import annotations

from engine.mesh.v1 import context_pb2, policy_pb2
from mesh import context
from mesh.context import Principal, RequestContext, as_service, current, using
from mesh.deadline import Deadline

USER = RequestContext(
    principal=Principal(subject="rm007", permissions=frozenset({"customer.read"})),
    token="secret",
    service="gateway",
    rights=frozenset({"*"}),
    purpose="service",
    chain=context_pb2.ChainIds(task_id=5),
    business_date="2026-11-23",
    request_id="key-1",
    deadline=Deadline.after(1.0),
    scope=policy_pb2.SCOPE_OWN_BOOK,
)


def test_service_acts_without_the_user_but_on_his_behalf() -> None:
    """No token and no rights are left; the user is named as whom it is done for."""
    with using(USER), as_service():
        acting = current()
    assert (acting.principal, acting.service, acting.rights) == (None, "", frozenset())
    assert acting.on_behalf_of == "rm007"
    assert context.AUTHORIZATION not in dict(acting.outgoing())


def test_service_stays_within_the_work_it_is_part_of() -> None:
    """Purpose, chain, business date and deadline are those of the call it serves."""
    with using(USER), as_service():
        acting = current()
    assert (acting.purpose, acting.business_date) == (USER.purpose, USER.business_date)
    assert (acting.chain, acting.deadline) == (USER.chain, USER.deadline)


def test_user_is_back_after_the_block() -> None:
    """What follows is the user's again."""
    with using(USER):
        with as_service():
            pass
        assert current() is USER


def test_service_within_a_service_acts_for_the_same_actor() -> None:
    """Whom the work is done for is not lost on the way."""
    with using(USER), as_service(), as_service():
        assert current().on_behalf_of == "rm007"
