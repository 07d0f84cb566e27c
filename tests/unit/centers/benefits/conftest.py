"""A benefits centre for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.centers.benefits.counter import Centre, centre


@pytest.fixture
async def shop() -> AsyncIterator[Centre]:
    async with centre() as shop:
        yield shop
