"""The gates that other centres keep: content, suitability, qualification.

They are asked before the transaction of admission, together where one does not
need the answer of another. A gate that cannot be asked is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from centers.reach.admission import OPEN, Gates
from centers.reach.domain import CALLS, Channel, Check, Finding
from mesh import context


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A version of a script, and what fills its slots. A `material_id` of 0: none."""

    material_id: int = 0
    version: int = 0
    slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A filled script, or with `refusal` why it may not be used."""

    material_id: int = 0
    version: int = 0
    text: str = ""
    sha256: str = ""
    product_ids: tuple[int, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """Whether a product suits a customer; `reasons` are codes."""

    receipt_id: int
    product_id: int
    reasons: tuple[str, ...]
    staff_qualification: str

    @property
    def suitable(self) -> bool:
        """Whether nothing stands against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What came of the gates: what they say, and what would go out."""

    gates: Gates
    rendered: Rendered
    product_ids: tuple[int, ...]


class ScriptSource(Protocol):
    """Fills approved scripts."""

    async def render(self, script: Script) -> Rendered:
        """The filled script, or why it may not be used."""


class SuitabilitySource(Protocol):
    """Judges products."""

    async def suitability(self, customer_id: int, product_id: int) -> Suitability:
        """Whether the product suits the customer."""


class QualificationSource(Protocol):
    """Knows what staff may do."""

    async def is_qualified(self, staff_id: int, code: str) -> bool:
        """Whether somebody is qualified at this moment."""


class Gatekeeper:
    """Asks the gates, as the service itself: its own rights decide."""

    def __init__(
        self,
        scripts: ScriptSource,
        products: SuitabilitySource,
        staff: QualificationSource,
    ) -> None:
        self._scripts = scripts
        self._products = products
        self._staff = staff

    async def ask(
        self, channel: Channel, customer_id: int, staff_id: int, product_id: int, script: Script
    ) -> Passage:
        """What they say of saying this, of this product, to this customer, by this person.

        Raises:
            MeshError: GATE_UNAVAILABLE.
        """
        with context.as_service():
            rendered, judged = await self._content_and_product(customer_id, product_id, script)
            spoken_of = [one for one in rendered.product_ids if one != product_id]
            judged += await self._judge(customer_id, spoken_of)
            qualification = await self._qualification(staff_id, judged)
        gates = Gates(
            content=_content(channel, rendered),
            suitability=_suitability(judged),
            qualification=qualification,
            suitability_receipt_id=_receipt(judged),
        )
        product_ids = tuple(one.product_id for one in judged)
        return Passage(gates=gates, rendered=rendered, product_ids=product_ids)

    async def _content_and_product(
        self, customer_id: int, product_id: int, script: Script
    ) -> tuple[Rendered, list[Suitability]]:
        named = [product_id] if product_id else []
        if not script.material_id:
            return Rendered(), await self._judge(customer_id, named)
        rendering = self._scripts.render(script)
        if not named:
            return await rendering, []
        rendered, judged = await asyncio.gather(rendering, self._judge(customer_id, named))
        return rendered, judged

    async def _judge(self, customer_id: int, product_ids: Sequence[int]) -> list[Suitability]:
        asked = [self._products.suitability(customer_id, one) for one in product_ids]
        return list(await asyncio.gather(*asked))

    async def _qualification(self, staff_id: int, judged: Sequence[Suitability]) -> Finding:
        codes = sorted({one.staff_qualification for one in judged} - {""})
        if not codes:
            return OPEN.qualification
        held = await asyncio.gather(*(self._staff.is_qualified(staff_id, one) for one in codes))
        missing = [code for code, has in zip(codes, held, strict=True) if not has]
        return Finding(Check.QUALIFICATION, not missing, ",".join(missing or codes))


def _content(channel: Channel, rendered: Rendered) -> Finding:
    if rendered.refusal:
        return Finding(Check.CONTENT, False, rendered.refusal)
    if rendered.material_id:
        return Finding(Check.CONTENT, True, f"{rendered.material_id} v{rendered.version}")
    if channel in CALLS:  # what is said need not be written
        return OPEN.content
    return Finding(Check.CONTENT, False, "MISSING")


def _suitability(judged: Sequence[Suitability]) -> Finding:
    if not judged:
        return OPEN.suitability
    refused = next((one for one in judged if not one.suitable), None)
    if refused is None:
        return Finding(Check.SUITABILITY, True, ",".join(str(one.product_id) for one in judged))
    return Finding(Check.SUITABILITY, False, ",".join(refused.reasons))


def _receipt(judged: Sequence[Suitability]) -> int:
    """The receipt that decided: of the first product that does not suit, else of the first."""
    return next((one.receipt_id for one in sorted(judged, key=lambda one: one.suitable)), 0)
