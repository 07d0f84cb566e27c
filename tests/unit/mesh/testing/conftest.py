"""Fixtures of the kit's tests."""

from __future__ import annotations

import pytest

from mesh import (
    Servicer,
)
from tests.unit.mesh.testing.toys import CUSTOMERS, Toy


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def served(toy: Toy) -> Servicer:
    return Servicer(descriptor=CUSTOMERS, implementation=toy)
