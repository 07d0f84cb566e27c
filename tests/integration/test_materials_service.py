"""The materials centre over real sockets: scripts, documents through a real gateway, recall."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
import httpx
import pikepdf
import pytest
import pytest_asyncio
from google.protobuf import json_format

from centers.materials.app import BLUEPRINT
from engine.materials.v1 import materials_pb2, materials_pb2_grpc
from engine.mesh.v1 import bus_pb2, bus_pb2_grpc
from gateway.app import BLUEPRINT as GATEWAY
from mesh.bus.app import BLUEPRINT as BUS
from mesh.clock import ManualClock
from mesh.errors import ErrorView
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER
from tests.unit.centers.materials.paper import FONT, booklet, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Stub: TypeAlias = "materials_pb2_grpc.MaterialsServiceAsyncStub"

SCRIPT = materials_pb2.MATERIAL_TYPE_SCRIPT
PDF = materials_pb2.MATERIAL_TYPE_PDF
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
TEXT = "{greeting}，您可了解{product_name}，产品有风险，投资须谨慎。"
VALUES = {"greeting": "您好", "product_name": "稳利三十天"}
SAID = "您好，您可了解稳利三十天，产品有风险，投资须谨慎。"
PAGES, OWN_BYTES = 400, 10_000
"""The long document: about two megabytes once its pages are packed."""

MANY_PIECES = 16 << 20
"""More than lies between a service and a reader who has stopped."""

PART = 2 << 20


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(clock: ManualClock) -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("reach", {"materials.screen"})
            for blueprint in (BUS, SEQUENCER, BLUEPRINT, GATEWAY):
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            await mesh.start(BUS)
            await mesh.start(SEQUENCER)
            await mesh.start(BLUEPRINT, clock=clock)
            yield mesh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    """A reader behind a real gateway."""
    app = await mesh.start(GATEWAY)
    token = mesh.token("rm", permissions={"materials.read"})
    async with httpx.AsyncClient(
        base_url=f"http://{app.entry.http}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    ) as http:
        yield http


def user(mesh: Mesh, name: str, *permissions: str) -> Stub:
    token = mesh.token(name, permissions=permissions)
    return materials_pb2_grpc.MaterialsServiceStub(mesh.channel("materials", token=token))


@pytest.fixture
def maker(mesh: Mesh) -> Stub:
    return user(mesh, "hq", "materials.read", "materials.write", "materials.approve")


@pytest.fixture
def checker(mesh: Mesh) -> Stub:
    return user(mesh, "compliance", "materials.read", "materials.approve")


@pytest.fixture
def rm(mesh: Mesh) -> Stub:
    return user(mesh, "rm", "materials.read")


@pytest.fixture
def reach(mesh: Mesh) -> Stub:
    return materials_pb2_grpc.MaterialsServiceStub(mesh.channel("materials", caller="reach"))


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def drafted(maker: Stub, **fields: Any) -> materials_pb2.Material:
    """A script in draft, unless the fields say otherwise."""
    words = {"text": TEXT, "slots": list(VALUES)} if "material_type" not in fields else {}
    material = materials_pb2.Material(
        **{"material_type": SCRIPT, "title": "话术", **words, **fields}
    )
    request = materials_pb2.DraftMaterialRequest(material=material, request_id=uuid4().hex)
    return (await maker.DraftMaterial(request)).material


async def submitted(maker: Stub, material_id: int) -> materials_pb2.Material:
    request = materials_pb2.SubmitMaterialRequest(material_id=material_id, request_id=uuid4().hex)
    return (await maker.SubmitMaterial(request, timeout=30)).material


async def approved(checker: Stub, material_id: int) -> materials_pb2.Material:
    request = materials_pb2.ApproveMaterialRequest(material_id=material_id)
    return (await checker.ApproveMaterial(request)).material


async def recalled(checker: Stub, material_id: int) -> materials_pb2.Material:
    request = materials_pb2.RecallMaterialRequest(material_id=material_id, reason="WRONG_RATE")
    return (await checker.RecallMaterial(request)).material


async def in_use(maker: Stub, checker: Stub, **fields: Any) -> int:
    """A script that was approved."""
    material_id = (await drafted(maker, **fields)).definition.definition_id
    await submitted(maker, material_id)
    await approved(checker, material_id)
    return material_id


async def upload(maker: Stub, material_id: int, content: bytes, *, start: int = 0) -> int:
    size = start
    for offset in range(start, len(content), PART):
        request = materials_pb2.UploadContentRequest(
            material_id=material_id, offset=offset, chunk=content[offset : offset + PART]
        )
        size = (await maker.UploadContent(request)).size_bytes
    return size


async def document(maker: Stub, checker: Stub, content: bytes, *, approve: bool = True) -> int:
    """A document that was uploaded, and approved unless it is to wait."""
    made = await drafted(maker, material_type=PDF, title="产品手册")
    material_id = made.definition.definition_id
    assert await upload(maker, material_id, content) == len(content)
    await submitted(maker, material_id)
    if approve:
        await approved(checker, material_id)
    return material_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manual(mesh: Mesh) -> int:
    """A long document in use."""
    maker = user(mesh, "hq", "materials.read", "materials.write")
    content = booklet(PAGES, own_bytes=OWN_BYTES)
    return await document(maker, user(mesh, "compliance", "materials.approve"), content)


async def screened(reach: Stub, material_id: int, **fields: Any) -> tuple[str, str]:
    """What may be said, and why it may not."""
    request = materials_pb2.ScreenScriptRequest(
        **{"material_id": material_id, "slots": VALUES, **fields}
    )
    answer = await reach.ScreenScript(request)
    return answer.script.text, answer.refusal


async def changes(mesh: Mesh, material_id: int, count: int) -> list[materials_pb2.Material]:
    """What the bus was told of a material, once that is so much."""
    token = mesh.token("ops", permissions={"bus.read"})
    stub: Any = bus_pb2_grpc.BusServiceStub(mesh.channel("bus", token=token))
    found: list[materials_pb2.Material] = []
    after = 0
    while len(found) < count:
        request = bus_pb2.ListEventsRequest(topic="materials", after=after)
        request.wait.seconds = 20
        answer = await stub.ListEvents(request)
        assert answer.events, f"{len(found)} of {count} came"
        for entry in answer.events:
            after = entry.position
            if entry.event.key == str(material_id):
                told = materials_pb2.MaterialChanged.FromString(entry.event.payload)
                found.append(told.material)
    return found


async def test_what_is_said_is_an_approved_text_with_its_values(
    maker: Stub, checker: Stub, rm: Stub, reach: Stub
) -> None:
    """With the hash of what is said; for a user, and for the centre that sends it."""
    material_id = await in_use(maker, checker, product_ids=[7])
    request = materials_pb2.RenderScriptRequest(material_id=material_id, slots=VALUES)
    said = (await rm.RenderScript(request)).script
    assert said.text == SAID
    assert said.sha256 == hashlib.sha256(SAID.encode()).hexdigest()
    assert (said.version, list(said.product_ids)) == (1, [7])
    screen = materials_pb2.ScreenScriptRequest(material_id=material_id, slots=VALUES)
    assert (await reach.ScreenScript(screen)).script == said


async def test_nothing_is_said_before_it_is_approved(
    maker: Stub, checker: Stub, reach: Stub
) -> None:
    """Not in draft, not in review, and not by its author's approval (X9)."""
    material_id = (await drafted(maker)).definition.definition_id
    assert await screened(reach, material_id) == ("", "NOT_PUBLISHED")
    await submitted(maker, material_id)
    approve = materials_pb2.ApproveMaterialRequest(material_id=material_id)
    assert (await refusal(maker.ApproveMaterial(approve))).reason == "CHECKER_IS_MAKER"
    assert await screened(reach, material_id) == ("", "NOT_PUBLISHED")
    assert await screened(reach, material_id, version=1) == ("", "NOT_PUBLISHED")
    await approved(checker, material_id)
    assert await screened(reach, material_id) == (SAID, "")


async def test_an_approved_version_stays_while_the_next_is_written(
    maker: Stub, checker: Stub, reach: Stub
) -> None:
    """Version 1 is said until version 2 is approved, and can be said by its number then (X8)."""
    material_id = await in_use(maker, checker)
    head = {"definition": {"definition_id": material_id}}
    second = await drafted(maker, text="第二版，{greeting}", slots=["greeting"], **head)
    assert second.definition.version == 2
    assert (await screened(reach, material_id))[0] == SAID
    await submitted(maker, material_id)
    await approved(checker, material_id)
    assert await screened(reach, material_id, slots={"greeting": "您好"}) == ("第二版，您好", "")
    assert (await screened(reach, material_id, version=1))[0] == SAID


async def test_refusals_have_codes_for_centres_and_reasons_for_users(
    maker: Stub, checker: Stub, rm: Stub, reach: Stub, clock: ManualClock
) -> None:
    """A centre that sends asks often, and a refusal is no failure."""
    material = {"expire_time": clock.now() + timedelta(hours=1)}
    material_id = await in_use(maker, checker, **material)
    assert await screened(reach, 1 << 60) == ("", "NOT_FOUND")
    assert await screened(reach, material_id, version=9) == ("", "NOT_FOUND")
    assert await screened(reach, material_id, slots={}) == ("", "SLOTS_INVALID")
    render = materials_pb2.RenderScriptRequest(
        material_id=material_id, slots={"greeting": "请拨13800138000", "product_name": "甲"}
    )
    view = await refusal(rm.RenderScript(render))
    assert (view.code, view.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SLOTS_INVALID")
    clock.advance(3_600)
    assert await screened(reach, material_id) == ("", "EXPIRED")
    assert (await refusal(rm.RenderScript(render))).reason == "MATERIAL_EXPIRED"


async def test_a_recall_is_final_and_told_once(
    mesh: Mesh, maker: Stub, checker: Stub, rm: Stub, reach: Stub
) -> None:
    """In all versions, whoever recalls it how often; events carry no text."""
    material_id = await in_use(maker, checker)
    for _ in range(2):
        shown = await recalled(checker, material_id)
        assert shown.status == materials_pb2.MATERIAL_STATUS_RECALLED
    assert await screened(reach, material_id) == ("", "RECALLED")
    assert await screened(reach, material_id, version=1) == ("", "RECALLED")
    get = materials_pb2.GetMaterialRequest(material_id=material_id)
    assert (await rm.GetMaterial(get)).material.status == shown.status
    draft = materials_pb2.DraftMaterialRequest(material=shown)
    assert (await refusal(maker.DraftMaterial(draft))).reason == "MATERIAL_RECALLED"
    after = await in_use(maker, checker)
    await recalled(checker, after)
    assert [m.status for m in await changes(mesh, after, 2)][1] == shown.status
    told = await changes(mesh, material_id, 2)
    assert [material.status for material in told] == [
        materials_pb2.MATERIAL_STATUS_PUBLISHED,
        materials_pb2.MATERIAL_STATUS_RECALLED,
    ]
    assert not any(material.text for material in told)


async def test_what_waits_for_approval_can_be_recalled_too(maker: Stub, checker: Stub) -> None:
    """So a text that nobody should approve ends."""
    material_id = (await drafted(maker)).definition.definition_id
    await submitted(maker, material_id)
    await recalled(checker, material_id)
    approve = materials_pb2.ApproveMaterialRequest(material_id=material_id)
    assert (await refusal(checker.ApproveMaterial(approve))).reason == "MATERIAL_RECALLED"


async def test_a_promise_is_refused_and_the_draft_can_be_mended(
    maker: Stub, checker: Stub, reach: Stub
) -> None:
    """The refusal names the place; the author writes the same version anew."""
    bad = await drafted(maker, text="{greeting}，本产品保本", slots=["greeting"])
    material_id = bad.definition.definition_id
    submit = materials_pb2.SubmitMaterialRequest(material_id=material_id)
    view = await refusal(maker.SubmitMaterial(submit))
    assert view.reason == "WORDING_REFUSED"
    assert [violation.field for violation in view.violations] == ["material.text"]
    assert "character 15" in view.violations[0].description
    mended = await drafted(maker, definition={"definition_id": material_id})
    assert mended.definition.version == 1
    await submitted(maker, material_id)
    await approved(checker, material_id)
    assert (await screened(reach, material_id))[0] == SAID


async def test_a_material_that_does_not_hold_together_is_not_drafted(maker: Stub) -> None:
    """Slots for personal data, words for a document, another type for a later version."""
    for fields in (
        {"text": "{balance}", "slots": ["balance"]},
        {"material_type": PDF, "text": "words"},
    ):
        view = await refusal(drafted(maker, **fields))
        assert view.reason == "SCRIPT_INVALID"
    known = (await drafted(maker)).definition.definition_id
    other = drafted(maker, material_type=PDF, definition={"definition_id": known})
    assert (await refusal(other)).reason == "TYPE_FIXED"


async def test_a_call_that_is_sent_again_has_one_effect(maker: Stub) -> None:
    """By its request id (AIP-155)."""
    material = materials_pb2.Material(material_type=PDF, title="手册")
    draft = materials_pb2.DraftMaterialRequest(material=material, request_id=uuid4().hex)
    made = await maker.DraftMaterial(draft)
    assert await maker.DraftMaterial(draft) == made
    material_id = made.material.definition.definition_id
    await upload(maker, material_id, booklet())
    submit = materials_pb2.SubmitMaterialRequest(material_id=material_id, request_id=uuid4().hex)
    assert await maker.SubmitMaterial(submit, timeout=30) == await maker.SubmitMaterial(submit)


async def test_lists_show_one_type_in_its_newest_version(maker: Stub, rm: Stub) -> None:
    """With the state of each."""
    script_id = (await drafted(maker)).definition.definition_id
    pdf_id = (await drafted(maker, material_type=PDF)).definition.definition_id
    request = materials_pb2.ListMaterialsRequest(material_type=SCRIPT, page_size=1_000)
    found = (await rm.ListMaterials(request)).materials
    ids = [material.definition.definition_id for material in found]
    assert script_id in ids
    assert pdf_id not in ids
    assert {material.material_type for material in found} == {SCRIPT}


async def test_an_upload_goes_on_where_it_was_cut_off(maker: Stub, mesh: Mesh) -> None:
    """The same again changes nothing; a gap and other bytes are refused with the size known."""
    material_id = (await drafted(maker, material_type=PDF)).definition.definition_id

    async def send(offset: int, chunk: bytes, author: Stub = maker) -> int:
        request = materials_pb2.UploadContentRequest(
            material_id=material_id, offset=offset, chunk=chunk
        )
        return (await author.UploadContent(request)).size_bytes

    assert await send(0, b"%PDF-1.7") == 8
    assert await send(8, b"more") == 12
    assert await send(0, b"%PDF-1.7") == 12
    assert await send(5, b"1.7mo") == 12
    for offset, chunk in ((13, b"gap"), (8, b"less"), (8, b"more and more")):
        view = await refusal(send(offset, chunk))
        assert (view.reason, view.metadata["size_bytes"]) == ("UPLOAD_OUT_OF_PLACE", "12")
    view = await refusal(send((64 << 20) - 1, b"xy"))
    assert view.reason == "UPLOAD_TOO_LARGE"
    other = user(mesh, "hq2", "materials.write")
    assert (await refusal(send(12, b"mine", other))).reason == "NOT_THE_AUTHOR"


async def test_what_is_no_document_is_not_submitted(maker: Stub) -> None:
    """Neither nothing nor any bytes; and the draft stays one."""
    material_id = (await drafted(maker, material_type=PDF)).definition.definition_id
    assert (await refusal(submitted(maker, material_id))).reason == "NO_CONTENT"
    await upload(maker, material_id, b"<html>")
    assert (await refusal(submitted(maker, material_id))).reason == "NOT_A_PDF"
    await drafted(maker, material_type=PDF, definition={"definition_id": material_id})
    await upload(maker, material_id, booklet())
    assert (await submitted(maker, material_id)).pages == 3


async def test_whole_document_has_a_strong_tag_and_is_not_kept_by_caches(
    manual: int, http: httpx.AsyncClient
) -> None:
    """It is revalidated each time, and then not sent again."""
    response = await http.get(f"/v1/materials/{manual}/content")
    digest = hashlib.sha256(response.content).hexdigest()
    assert response.status_code == 200
    assert response.headers["etag"] == f'"{digest}"'
    assert response.headers["x-content-sha256"] == digest
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["content-type"] == "application/pdf"
    again = await http.get(
        f"/v1/materials/{manual}/content", headers={"If-None-Match": response.headers["etag"]}
    )
    assert again.status_code == 304
    with pikepdf.open(BytesIO(response.content)) as pdf:
        assert len(pdf.pages) == PAGES


async def fetch(
    http: httpx.AsyncClient, material_id: int, range_: materials_pb2.ByteRange
) -> bytes:
    """The bytes of a range of the manifest, checked by its digest."""
    span = f"bytes={range_.first}-{range_.last}"
    response = await http.get(f"/v1/materials/{material_id}/content", headers={"Range": span})
    assert response.status_code == 206
    assert hashlib.sha256(response.content).hexdigest() == range_.sha256
    return response.content


@pytest.mark.parametrize("page", [1, 300, PAGES])
async def test_a_page_is_shown_from_the_ranges_that_the_manifest_names(
    manual: int, http: httpx.AsyncClient, page: int
) -> None:
    """Over HTTP, into a file of zeros that another reader then opens (A13)."""
    answer = await http.get(
        f"/v1/materials/{manual}/manifest", params={"first_page": page, "page_count": 1}
    )
    manifest = json_format.ParseDict(answer.json(), materials_pb2.Manifest())
    (wanted,) = manifest.page_ranges
    assert (wanted.page, manifest.pages) == (page, PAGES)
    sparse, fetched = bytearray(manifest.size_bytes), 0
    for range_ in [*manifest.head, *wanted.ranges]:
        data = await fetch(http, manual, range_)
        sparse[range_.first : range_.last + 1] = data
        fetched += len(data)
    assert fetched < manifest.size_bytes // 8
    with pikepdf.open(BytesIO(sparse), attempt_recovery=False) as pdf:
        found: Any = pdf.pages[page - 1].obj
        assert found.Contents.read_bytes() == text_of(page, OWN_BYTES)
        assert found.Resources.Font.F1.FontDescriptor.FontFile.read_bytes() == FONT


async def test_pages_alone_are_a_document_with_its_own_tag(
    manual: int, http: httpx.AsyncClient
) -> None:
    """The same each time, in ranges too; pages that are not there are refused."""
    path = f"/v1/materials/{manual}/content"
    response = await http.get(path, params={"pages": "3-7"})
    with pikepdf.open(BytesIO(response.content)) as pdf:
        found: list[Any] = [page.obj for page in pdf.pages]
        texts = [page.Contents.read_bytes() for page in found]
    assert texts == [text_of(page, OWN_BYTES) for page in range(3, 8)]
    digest = hashlib.sha256(response.content).hexdigest()
    assert response.headers["etag"] == f'"{digest}"'
    part = await http.get(path, params={"pages": "3-7"}, headers={"Range": "bytes=10-99"})
    assert (part.status_code, part.content) == (206, response.content[10:100])
    for pages in ("0", "7-3", "401", "1-101"):
        refused = await http.get(path, params={"pages": pages})
        assert (refused.status_code, refused.json()["reason"]) == (400, "PAGES_INVALID")


async def test_a_document_in_review_is_seen_by_those_who_may_approve(
    maker: Stub, checker: Stub, http: httpx.AsyncClient
) -> None:
    """He reads what he is to approve; nobody else does."""
    material_id = await document(maker, checker, booklet(), approve=False)
    request = materials_pb2.GetContentRequest(material_id=material_id, version=1)
    assert (await checker.GetContent(request)).data.startswith(b"%PDF-")
    refused = await http.get(f"/v1/materials/{material_id}/content", params={"version": 1})
    assert refused.json()["reason"] == "NOT_PUBLISHED"


async def test_a_recalled_document_is_a_notice(
    maker: Stub, checker: Stub, http: httpx.AsyncClient
) -> None:
    """In the reader's language, on every link to it."""
    material_id = await document(maker, checker, booklet())
    await recalled(checker, material_id)
    for place in ("content", "content?pages=1", "manifest"):
        response = await http.get(
            f"/v1/materials/{material_id}/{place}", headers={"Accept-Language": "zh-CN"}
        )
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["reason"] == "MATERIAL_RECALLED"
        assert "召回" in response.json()["title"]


async def test_a_recall_stops_a_document_in_the_middle(
    maker: Stub, checker: Stub, http: httpx.AsyncClient
) -> None:
    """Each piece is asked for anew; the reader learns that he has not got the whole."""

    def grow(pdf: pikepdf.Pdf) -> None:
        picture = pdf.make_stream(Random(1).randbytes(MANY_PIECES))
        pdf.pages[0].obj.Annots[0].AP = pikepdf.Dictionary(N=picture)

    material_id = await document(maker, checker, booklet(change=grow))
    path = f"/v1/materials/{material_id}/content"
    received: list[int] = []

    async def read(response: httpx.Response) -> None:
        async for data in response.aiter_raw():
            if not received:
                await recalled(checker, material_id)
            received.append(len(data))

    async with http.stream("GET", path) as response:
        with pytest.raises(httpx.RemoteProtocolError):
            await read(response)
    assert 0 < sum(received) < int(response.headers["content-length"])


async def test_many_readers_get_the_same_document(
    manual: int, http: httpx.AsyncClient, rm: Stub
) -> None:
    """A hundred at once, each a page of his own."""

    async def read(page: int) -> None:
        request = materials_pb2.GetManifestRequest(
            material_id=manual, first_page=page, page_count=1
        )
        manifest = (await rm.GetManifest(request)).manifest
        own = max(manifest.page_ranges[0].ranges, key=lambda range_: range_.first)
        assert await fetch(http, manual, own)

    await asyncio.gather(*(read(page) for page in range(1, 101)))
