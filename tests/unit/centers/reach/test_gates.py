"""Asking the gates that other centres keep."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from centers.reach.asking import gate
from centers.reach.caller import dialled_by
from centers.reach.domain import Channel
from centers.reach.errors import ReachReason
from centers.reach.gates import Gatekeeper, Passage, Rendered, Script, Suitability
from mesh import context
from mesh.context import Principal, RequestContext
from mesh.errors import MeshError

RM = Principal(subject="rm007", permissions=frozenset(), staff_id=7)


@dataclass
class Centres:
    """Three centres of which a test says what they know."""

    rendered: Rendered = field(
        default_factory=lambda: Rendered(material_id=5, version=2, text="您好", sha256="ab")
    )
    unsuitable: dict[int, tuple[str, ...]] = field(default_factory=dict)
    needs: dict[int, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    asked: list[Any] = field(default_factory=list)
    together: asyncio.Barrier | None = None

    async def render(self, script: Script) -> Rendered:
        self.asked.append(context.current())
        if self.together:
            await self.together.wait()
        return self.rendered

    async def suitability(self, customer_id: int, product_id: int) -> Suitability:
        self.asked.append(product_id)
        if self.together:
            await self.together.wait()
        return Suitability(
            receipt_id=100 + product_id,
            product_id=product_id,
            reasons=self.unsuitable.get(product_id, ()),
            staff_qualification=self.needs.get(product_id, ""),
        )

    async def is_qualified(self, staff_id: int, code: str) -> bool:
        self.asked.append((staff_id, code))
        return code in self.held


async def ask(
    centres: Centres,
    channel: Channel = Channel.SMS,
    *,
    product_id: int = 0,
    script: Script = Script(material_id=5),  # noqa: B008 - frozen
) -> Passage:
    keeper = Gatekeeper(centres, centres, centres)
    return await keeper.ask(channel, 1, 7, product_id, script)


async def test_without_a_product_nobody_is_asked_of_products_or_staff() -> None:
    """Approved words are enough."""
    centres = Centres()
    passage = await ask(centres)
    assert passage.gates.content.passed
    assert passage.gates.suitability_receipt_id == 0
    assert len(centres.asked) == 1


async def test_content_and_product_are_asked_at_once() -> None:
    """Neither waits for the other: both must be there for either to answer."""
    centres = Centres(together=asyncio.Barrier(2))
    async with asyncio.timeout(5):
        passage = await ask(centres, product_id=9)
    assert (passage.gates.suitability.passed, passage.gates.suitability_receipt_id) == (True, 109)


async def test_products_that_the_script_speaks_of_are_judged_too() -> None:
    """One that does not suit closes the gate, with its own receipt."""
    centres = Centres(unsuitable={8: ("RISK_TOO_HIGH",)})
    centres.rendered = Rendered(
        material_id=5, version=2, text="您好", sha256="ab", product_ids=(9, 8)
    )
    passage = await ask(centres, product_id=9)
    assert (passage.gates.suitability.passed, passage.gates.suitability.detail) == (
        False,
        "RISK_TOO_HIGH",
    )
    assert passage.gates.suitability_receipt_id == 108
    assert passage.product_ids == (9, 8)


async def test_a15_staff_must_hold_what_the_product_asks_for() -> None:
    """It is asked at each contact anew: an exam that is passed shows at once."""
    centres = Centres(needs={9: "FUND"})
    assert (await ask(centres, product_id=9)).gates.qualification.detail == "FUND"
    assert not (await ask(centres, product_id=9)).gates.qualification.passed
    centres.held.add("FUND")
    assert (await ask(centres, product_id=9)).gates.qualification.passed
    assert (7, "FUND") in centres.asked


async def test_a_message_needs_words_and_a_call_does_not() -> None:
    """Nothing is asked of the materials centre without a script."""
    nothing = Script()
    assert (await ask(Centres(), script=nothing)).gates.content.detail == "MISSING"
    assert (await ask(Centres(), Channel.CALL, script=nothing)).gates.content.passed


async def test_words_that_may_not_be_said_close_the_gate() -> None:
    """With the code that the materials centre gives, for a call too."""
    recalled = Centres(rendered=Rendered(material_id=5, refusal="RECALLED"))
    passage = await ask(recalled, Channel.CALL)
    assert (passage.gates.content.passed, passage.gates.content.detail) == (False, "RECALLED")


async def test_the_gates_are_asked_by_the_service_itself_for_the_caller() -> None:
    """The user's token does not travel; he is named as the one it is done for."""
    centres = Centres()
    with context.using(RequestContext(principal=RM, token="secret")):
        await ask(centres)
    (asked,) = centres.asked
    assert (asked.token, asked.on_behalf_of) == ("", "rm007")


def test_a_centre_that_cannot_be_reached_closes_its_gate() -> None:
    """Without its answer nothing is admitted; the caller may try again."""
    metadata = grpc.aio.Metadata()
    with pytest.raises(MeshError) as refused, gate("product"):
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata)
    assert refused.value.reason is ReachReason.GATE_UNAVAILABLE
    assert refused.value.metadata == {"centre": "product"}


def test_what_a_robot_dials_is_a_robot_s_call() -> None:
    """By its role; a person's is a call."""
    robot = Principal(subject="bot", permissions=frozenset(), roles=("outreach-robot",))
    assert dialled_by(robot) is Channel.AI_CALL
    assert dialled_by(RM) is Channel.CALL
