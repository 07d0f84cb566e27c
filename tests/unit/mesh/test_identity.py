"""Who calls is verified once, and again as soon as anything about it may have changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh import context as wire
from mesh import contract
from mesh.call import Call
from mesh.clock import ManualClock
from mesh.context import Principal, RequestContext
from mesh.deadline import Deadline
from mesh.errors import MeshError
from mesh.interceptors import identity
from mesh.interceptors.identity import IdentityInterceptor
from mesh.lane.metadata import Repeated
from mesh.tokens import (
    CALLER_TTL_S,
    LEEWAY_S,
    Caller,
    ServiceKey,
    TokenVerifier,
    sign_user,
    write_trust,
)

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
METHOD = contract.method(CUSTOMERS.methods_by_name["GetCustomer"])
OPEN = replace(METHOD, policy=policy_pb2.MethodPolicy(anonymous=True))
SESSION = "s1"
TTL_S = 60

Metadata = dict[str, str | bytes]


class Verifier(TokenVerifier):
    """Counts what it is asked."""

    asked = 0

    def user_until(self, token: str) -> tuple[float, Principal]:
        self.asked += 1
        return super().user_until(token)

    def caller_until(self, token: str) -> tuple[float, Caller]:
        self.asked += 1
        return super().caller_until(token)


class Desk:
    """Calls with proofs of a user and of the service ark, at the time of a clock.

    With `repeats` the same metadata are the same object in each call, as on a lane.
    """

    def __init__(self, folder: Path, *, repeats: bool = False) -> None:
        self._said: dict[Any, Repeated] | None = {} if repeats else None
        write_trust(folder, {"ark": {"customer.read"}})
        self.clock = ManualClock()
        trust = json.loads((folder / "trust.json").read_text())
        self.verifier = Verifier(trust, self.clock)
        self._interceptor = IdentityInterceptor(self.verifier)
        self._issuer = OKPKey.generate_key("Ed25519")
        key = OKPKey.import_key(json.loads((folder / "ark.key").read_text()))
        self._ark = ServiceKey("ark", key, self.clock)
        self.publish("k1")

    def publish(self, key_id: str) -> None:
        """Make the issuer's key known under this id, and no other."""
        public: dict[str, Any] = self._issuer.as_dict(private=False)
        self.verifier.set_keys([{**public, "kid": key_id}])

    def user(self, subject: str = "rm001", ttl_s: float = TTL_S) -> Metadata:
        now = self.clock.now().timestamp()
        principal = Principal(subject=subject, permissions=frozenset(), session_id=SESSION)
        token = sign_user(principal, self._issuer, "k1", issued=now, ttl_s=ttl_s)
        return {wire.AUTHORIZATION: f"Bearer {token}"}

    def service(self) -> Metadata:
        return {wire.CALLER: self._ark.token()}

    async def call(self, metadata: Metadata, method: contract.Method = METHOD) -> RequestContext:
        """The context that the handler gets."""

        async def handler(call: Call, request: Any) -> Any:
            assert wire.current() is call.context
            return call.context

        transport: Any = None
        deadline = Deadline.after(5)
        if self._said is not None:
            said = Repeated([*metadata.items()])
            metadata = self._said.setdefault(tuple(metadata.items()), said)
        call = Call(method=method, transport=transport, metadata=metadata, deadline=deadline)
        context = await self._interceptor.bind(method, handler)(call, None)
        assert isinstance(context, RequestContext)
        assert context.deadline is deadline
        return context

    async def refusal(self, metadata: Metadata) -> str:
        with pytest.raises(MeshError) as error:
            await self.call(metadata)
        return error.value.reason.name


@pytest.fixture(params=["each call its own", "repeated"])
def desk(var: Path, request: pytest.FixtureRequest) -> Desk:
    return Desk(var, repeats=request.param == "repeated")


async def test_proofs_that_come_again_are_not_verified_again(desk: Desk) -> None:
    """The same user over the same service, thrice: each proof is looked at once."""
    metadata = desk.user() | desk.service()
    contexts = [await desk.call(dict(metadata)) for _ in range(3)]
    assert {(seen.user, seen.service) for seen in contexts} == {("rm001", "ark")}
    assert desk.verifier.asked == 2


async def test_what_differs_from_call_to_call_is_read_at_every_call(desk: Desk) -> None:
    """Request id and chain are those of the call, not of the first one with its proofs."""
    metadata = desk.service()
    for number in (1, 2):
        chain = ChainIds(task_id=number)
        further: Metadata = {wire.REQUEST_ID: f"r{number}", wire.CHAIN: chain.SerializeToString()}
        seen = await desk.call(metadata | further)
        assert (seen.request_id, seen.chain) == (f"r{number}", chain)
    assert (await desk.call(metadata)).chain == ChainIds()


async def test_every_part_of_who_asks_tells_calls_apart(desk: Desk) -> None:
    """Nobody gets the user, service, principal, purpose or day of another's call."""
    calls = [
        desk.user("rm001"),
        desk.user("rm002"),
        desk.service(),
        desk.user("rm001") | desk.service(),
        desk.service() | {wire.ON_BEHALF_OF: "rm003"},
        desk.service() | {wire.PURPOSE: "service"},
        desk.service() | {wire.BUSINESS_DATE: "2026-01-02"},
    ]
    expected = [
        ("rm001", "", "", "", ""),
        ("rm002", "", "", "", ""),
        ("", "ark", "", "", ""),
        ("rm001", "ark", "", "", ""),
        ("", "ark", "rm003", "", ""),
        ("", "ark", "", "service", ""),
        ("", "ark", "", "", "2026-01-02"),
    ]
    for _ in range(2):
        seen = [await desk.call(metadata) for metadata in calls]
        assert [
            (one.user, one.service, one.on_behalf_of, one.purpose, one.business_date)
            for one in seen
        ] == expected


async def test_an_ended_session_is_refused_at_the_next_call(desk: Desk) -> None:
    """What is remembered of its user is not believed any more."""
    metadata = desk.user()
    await desk.call(metadata)
    desk.verifier.end_session(SESSION, desk.clock.now().timestamp() + TTL_S)
    assert await desk.refusal(metadata) == "SESSION_ENDED"
    assert await desk.refusal(metadata) == "SESSION_ENDED"


async def test_a_token_is_refused_at_the_next_call_after_its_expiry(desk: Desk) -> None:
    """To the second, and whatever else the call carries."""
    user, both = desk.user(), desk.user() | desk.service()
    for metadata in (user, both):
        await desk.call(metadata)
    desk.clock.advance(TTL_S + LEEWAY_S - 0.001)
    for metadata in (user, both):
        await desk.call(metadata)
    desk.clock.advance(0.001)
    for metadata in (user, both):
        assert await desk.refusal(metadata) == "TOKEN_EXPIRED"


async def test_a_callers_proof_is_refused_after_its_expiry(desk: Desk) -> None:
    """The earlier of the two proofs ends what both have proven."""
    metadata = desk.user(ttl_s=CALLER_TTL_S * 2) | desk.service()
    await desk.call(metadata)
    desk.clock.advance(CALLER_TTL_S + LEEWAY_S)
    assert await desk.refusal(metadata) == "CALLER_REFUSED"


async def test_tokens_of_a_key_that_was_dropped_end_and_ask_for_fresh_keys(desk: Desk) -> None:
    """As the verifier does, so does who remembers what it said."""
    asked: list[bool] = []
    metadata = desk.user()
    await desk.call(metadata)
    desk.verifier.on_unknown_key = lambda: asked.append(True)
    desk.publish("k2")
    assert await desk.refusal(metadata) == "TOKEN_INVALID"
    assert asked == [True]
    desk.publish("k1")
    assert (await desk.call(metadata)).user == "rm001"


async def test_refusals_are_not_remembered(desk: Desk) -> None:
    """A proof that could not be verified yet is verified when it can be."""
    metadata = desk.user()
    desk.verifier.set_keys([])
    assert await desk.refusal(metadata) == "KEYS_UNAVAILABLE"
    desk.publish("k1")
    assert (await desk.call(metadata)).user == "rm001"


async def test_an_anonymous_method_knows_no_user_and_a_closed_one_does(desk: Desk) -> None:
    """Neither answers the other's calls with what it remembers."""
    metadata = desk.user() | desk.service()
    for _ in range(2):
        assert (await desk.call(metadata, OPEN)).principal is None
        assert (await desk.call(metadata)).user == "rm001"
    assert (await desk.call({wire.AUTHORIZATION: "Basic x"}, OPEN)).token == ""


async def test_a_client_outside_the_mesh_acts_for_nobody(desk: Desk) -> None:
    """Whom it says it acts for, and the chain it claims, are not believed."""
    claims: Metadata = {
        wire.ON_BEHALF_OF: "bm001",
        wire.CHAIN: ChainIds(task_id=7).SerializeToString(),
    }
    seen = await desk.call(desk.user() | claims)
    assert (seen.on_behalf_of, seen.chain) == ("", ChainIds())


async def test_no_more_callers_are_remembered_than_the_bound(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above it all are forgotten and verified again."""
    desk = Desk(var)
    monkeypatch.setattr(identity, "MAX_KNOWN", 3)
    calls = [desk.user(f"rm{number}") for number in range(4)]
    for metadata in (*calls, calls[3], calls[0]):
        await desk.call(metadata)
    assert desk.verifier.asked == 5
