"""Without news of ended rights users change nothing; a stream ends with the right it stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh import contract
from mesh.call import Call
from mesh.clock import ManualClock
from mesh.context import Principal, RequestContext
from mesh.contract import Method
from mesh.deadline import Deadline
from mesh.errors import MeshError
from mesh.interceptors.freshness import FreshnessInterceptor
from mesh.tokens import SILENCE_S, TokenVerifier, sign_user

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
READ = contract.method(CUSTOMERS.methods_by_name["GetCustomer"])
WRITE = replace(READ, read_only=False, idempotent=True)
OPEN = replace(WRITE, policy=policy_pb2.MethodPolicy(anonymous=True))
READING = replace(READ, server_streaming=True)
WRITING = replace(WRITE, server_streaming=True)

USER = Principal(subject="rm001", permissions=frozenset(), session_id="s1")


class Desk:
    """Calls of a user, or of a service, at the time of a clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.verifier = TokenVerifier({"services": {}}, self.clock)
        self._issuer = OKPKey.generate_key("Ed25519")
        self.publish("k")
        now = self.clock.now().timestamp()
        token = sign_user(USER, self._issuer, "k", issued=now, ttl_s=60)
        self.user = RequestContext(principal=USER, token=token)
        self.service = RequestContext(service="ark", on_behalf_of="rm001")

    def publish(self, key_id: str) -> None:
        public: dict[str, Any] = self._issuer.as_dict(private=False)
        self.verifier.set_keys([{**public, "kid": key_id}])

    async def ask(self, method: Method, context: RequestContext) -> Any:
        async def handler(call: Call, request: Any) -> Any:
            return answers() if method.server_streaming else "done"

        async def answers() -> AsyncIterator[int]:
            for number in (1, 2):
                yield number

        call = Call(
            method=method,
            transport=None,  # type: ignore[arg-type]
            metadata={},
            deadline=Deadline.after(5),
            context=context,
        )
        return await FreshnessInterceptor(self.verifier).bind(method, handler)(call, None)

    async def refusal(self, method: Method) -> str:
        with pytest.raises(MeshError) as error:
            await self.ask(method, self.user)
        return error.value.reason.name


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_user_changes_nothing_once_news_is_five_seconds_late(desk: Desk) -> None:
    """Not before, and again as soon as there is news."""
    desk.verifier.pulse.expect()
    desk.verifier.pulse.beat(desk.verifier.pulse.now())
    desk.clock.advance(SILENCE_S - 0.001)
    assert await desk.ask(WRITE, desk.user) == "done"
    desk.clock.advance(0.001)
    assert await desk.refusal(WRITE) == "RIGHTS_UNCERTAIN"
    assert await desk.refusal(WRITING) == "RIGHTS_UNCERTAIN"
    desk.verifier.pulse.beat(desk.verifier.pulse.now())
    assert await desk.ask(WRITE, desk.user) == "done"


async def test_before_the_first_news_nothing_is_changed(desk: Desk) -> None:
    """Who has only begun to listen knows as little as who has stopped."""
    desk.verifier.pulse.expect()
    assert await desk.refusal(WRITE) == "RIGHTS_UNCERTAIN"


async def test_reads_and_what_everybody_may_go_on_without_news(desk: Desk) -> None:
    """So do the calls that a service makes for itself."""
    desk.verifier.pulse.expect()
    assert await desk.ask(READ, desk.user) == "done"
    assert await desk.ask(OPEN, desk.user) == "done"
    assert await desk.ask(WRITE, desk.service) == "done"
    for method, context in ((READING, desk.user), (WRITING, desk.service)):
        assert [answer async for answer in await desk.ask(method, context)] == [1, 2]


async def test_without_a_feed_nothing_is_late(desk: Desk) -> None:
    """Keys that were given by hand need no news."""
    desk.clock.advance(3600)
    assert await desk.ask(WRITE, desk.user) == "done"


async def end_session(desk: Desk) -> str:
    desk.verifier.end_session("s1", desk.clock.now().timestamp() + 60)
    return "SESSION_ENDED"


async def begin_epoch(desk: Desk) -> str:
    desk.verifier.begin_epoch(1)
    return "RIGHTS_CHANGED"


async def drop_key(desk: Desk) -> str:
    desk.publish("another")
    return "TOKEN_INVALID"


@pytest.mark.parametrize("happens", [end_session, begin_epoch, drop_key])
async def test_a_stream_ends_with_the_right_of_its_user(desk: Desk, happens: Any) -> None:
    """Before its next answer, for the reason that a new call would be refused for."""
    answers = await desk.ask(READING, desk.user)
    assert await anext(answers) == 1
    expected = await happens(desk)
    with pytest.raises(MeshError) as error:
        await anext(answers)
    assert error.value.reason.name == expected


async def test_a_stream_outlives_the_token_that_it_began_with(desk: Desk) -> None:
    """A token is short so that rights end soon; that they end is told."""
    answers = await desk.ask(READING, desk.user)
    assert await anext(answers) == 1
    desk.clock.advance(120)
    assert await anext(answers) == 2


async def test_a_stream_of_writes_stops_without_news(desk: Desk) -> None:
    """Each answer may be the result of one more change."""
    desk.verifier.pulse.expect()
    desk.verifier.pulse.beat(desk.verifier.pulse.now())
    answers = await desk.ask(WRITING, desk.user)
    assert await anext(answers) == 1
    desk.clock.advance(SILENCE_S)
    with pytest.raises(MeshError, match="RIGHTS_UNCERTAIN"):
        await anext(answers)
