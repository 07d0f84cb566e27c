"""The toy service, served over real sockets with the real chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import trust_pb2
from mesh import Blueprint, Parts, Service, Servicer
from mesh.testing import Mesh
from tests.integration.chain.toy import Toy


@pytest.fixture
async def toy(mesh: Mesh, var: Path) -> Toy:
    """The toy service, served as 'toy'."""
    made: list[Toy] = []

    def build(parts: Parts) -> Service:
        toy = Toy(parts.store, parts.telemetry)
        made.append(toy)
        services = (
            customer_pb2.DESCRIPTOR.services_by_name["CustomerService"],
            ark_pb2.DESCRIPTOR.services_by_name["ArkService"],
            trust_pb2.DESCRIPTOR.services_by_name["TrustService"],
        )
        servicers = [Servicer(descriptor=d, implementation=toy) for d in services]
        return Service(servicers=servicers, scope_resolver=toy.in_scope)

    revisions = var / "migrations" / "versions"
    revisions.mkdir(parents=True)
    (revisions / "0001_notes.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '0001', None, None, None\n"
        "def upgrade() -> None:\n    op.create_table('notes', sa.Column('text', sa.Text))\n"
    )
    mesh.trust("customer", {"ark.query"})
    mesh.trust("gateway", {"*"})
    await mesh.start(Blueprint(name="toy", build=build, migrations=revisions.parent))
    return made[0]
