"""The materials centre as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from centers.materials.approval import Approval
from centers.materials.cutting import Cutting
from centers.materials.document_rows import DocumentRows
from centers.materials.documents import Documents
from centers.materials.drafting import Drafting
from centers.materials.excerpts import Excerpts
from centers.materials.pdf.process import PdfProcess
from centers.materials.preparing import Preparing
from centers.materials.reading import Reading
from centers.materials.rpc import MaterialsRpc
from centers.materials.scripts import Scripts
from centers.materials.standing_rows import Standings
from centers.materials.sweeping import Sweeping
from centers.materials.upload_rows import Uploads
from engine.materials.v1 import materials_pb2
from mesh.contract import Method
from mesh.definitions import Definitions
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

KIND: Final = "material"


def build(parts: Parts) -> Service:
    """The materials centre from its parts."""
    ids, store = ServiceIds(parts), parts.store
    definitions = Definitions(
        store, KIND, materials_pb2.Material, parts.clock, name_of=lambda body: body.title
    )
    standings, uploads, rows = Standings(store), Uploads(store), DocumentRows(store)
    process = PdfProcess()
    sweeping = Sweeping(store, definitions, uploads)
    reading = Reading(definitions, standings, parts.clock)

    async def author(method: Method, row: Any) -> str | None:  # noqa: ARG001 - all ask for materials
        return await definitions.author(row)

    rpc = MaterialsRpc(
        Drafting(store, definitions, standings, uploads, ids.of("materials.material")),
        Approval(
            store,
            definitions,
            standings,
            preparing=Preparing(uploads, rows, process),
            sweeping=sweeping,
            clock=parts.clock,
        ),
        reading,
        scripts=Scripts(reading),
        documents=Documents(reading, rows, Excerpts(Cutting(rows, process))),
    )
    contract = materials_pb2.DESCRIPTOR.services_by_name["MaterialsService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=rpc)],
        resources=[ids, sweeping],
        author_resolver=author,
    )


BLUEPRINT: Final = Blueprint(
    name="materials",
    build=build,
    after=("identity", "sequencer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=RIGHTS,
)
