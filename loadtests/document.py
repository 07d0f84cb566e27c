"""A document for those who read and upload."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from engine.materials.v1 import materials_pb2
from loadtests.contracts import request_id
from loadtests.people import CHECKER, MAKER, People

PAGES: Final = 12


def publish_document(people: People, title: str) -> int:
    """Bring in a PDF document and approve it; its id."""
    material = materials_pb2.Material(material_type=materials_pb2.MATERIAL_TYPE_PDF, title=title)
    draft = materials_pb2.DraftMaterialRequest(material=material, request_id=request_id())
    material_id: int = people.ask(MAKER, draft).material.definition.definition_id
    whose = {"material_id": material_id}
    people.ask(MAKER, materials_pb2.UploadContentRequest(**whose, chunk=document()))
    people.ask(MAKER, materials_pb2.SubmitMaterialRequest(**whose, request_id=request_id()))
    people.ask(CHECKER, materials_pb2.ApproveMaterialRequest(**whose, request_id=request_id()))
    return material_id


def document() -> bytes:
    """A PDF document of `PAGES` blank pages; small enough to be uploaded in one piece."""
    import pikepdf

    written = BytesIO()
    with pikepdf.new() as pdf:
        for _ in range(PAGES):
            pdf.add_blank_page()
        pdf.save(written)
    return written.getvalue()
