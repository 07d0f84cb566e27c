"""A performance centre for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.centers.performance.book import Centre, centre


@pytest.fixture
async def office() -> AsyncIterator[Centre]:
    async with centre() as office:
        yield office
