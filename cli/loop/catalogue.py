"""What the demo bank sells, says and allows, brought in by the public contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bank.catalogue import CREDIT, QUALIFICATIONS, SCRIPTS, WEALTH, Product, Script
from bank.inflow import AGENT_IDS, MANAGERS, ROBOT_ID
from cli.loop.people import People, request_id, together, tried
from engine.customer.v1 import customer_pb2
from engine.learning.v1 import learning_pb2, learning_pb2_grpc
from engine.materials.v1 import materials_pb2, materials_pb2_grpc
from engine.product.v1 import product_pb2, product_pb2_grpc

if TYPE_CHECKING:
    from engine.learning.v1.learning_pb2_grpc import LearningServiceAsyncStub
    from engine.materials.v1.materials_pb2_grpc import MaterialsServiceAsyncStub
    from engine.product.v1.product_pb2_grpc import ProductServiceAsyncStub

MAKER: Final = "hq"
CHECKER: Final = "compliance"
_QUALIFIED_DAYS: Final = 365
STAFF: Final = (*range(1, MANAGERS + 1), *AGENT_IDS, ROBOT_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Ids of the demo bank's products by code, and of its scripts by title."""

    products: Mapping[str, int]
    scripts: Mapping[str, int]


async def stock(people: People) -> Shelf:
    """Bring in what is missing; what is there stays as it is, but for the contact policy."""
    await people.sign_on((MAKER, CHECKER))
    products = await _products(people)
    scripts = await _scripts(people, products)
    await _qualify(people)
    return Shelf(products=products, scripts=scripts)


async def _products(people: People) -> Mapping[str, int]:
    maker: ProductServiceAsyncStub = product_pb2_grpc.ProductServiceStub(
        people.as_user(MAKER, "product")
    )
    checker: ProductServiceAsyncStub = product_pb2_grpc.ProductServiceStub(
        people.as_user(CHECKER, "product")
    )
    listing = product_pb2.ListProductsRequest(page_size=1_000)
    held = (await tried(lambda: maker.ListProducts(listing))).products
    known = {
        product.code: product.definition.definition_id
        for product in held
        if product.status == product_pb2.PRODUCT_STATUS_ON_SALE
    }

    async def bring(product: Product) -> tuple[str, int]:
        draft = product_pb2.DraftProductRequest(product=_product(product), request_id=request_id())
        made = (await tried(lambda: maker.DraftProduct(draft))).product
        product_id = made.definition.definition_id
        submit = product_pb2.SubmitProductRequest(product_id=product_id, request_id=request_id())
        await tried(lambda: maker.SubmitProduct(submit))
        approve = product_pb2.ApproveProductRequest(product_id=product_id, request_id=request_id())
        await tried(lambda: checker.ApproveProduct(approve))
        return product.code, product_id

    missing = [product for product in (*WEALTH, *CREDIT) if product.code not in known]
    return known | dict(await together(missing, bring))


def _product(product: Product) -> product_pb2.Product:
    return product_pb2.Product(
        code=product.code,
        name=product.name,
        product_class=product_pb2.ProductClass.Value(f"PRODUCT_CLASS_{product.product_class}"),
        issuer_risk=_risk(product.issuer_risk),
        own_risk=_risk(product.own_risk),
        min_amount_fen=product.min_amount_fen,
        term_days=product.term_days,
        rate_bp=product.rate_bp,
        audience=customer_pb2.Tier.Value(f"TIER_{product.audience or 'UNSPECIFIED'}"),
        staff_qualification=product.staff_qualification,
    )


def _risk(name: str) -> product_pb2.ProductRisk.ValueType:
    return product_pb2.ProductRisk.Value(f"PRODUCT_RISK_{name or 'UNSPECIFIED'}")


async def _scripts(people: People, products: Mapping[str, int]) -> Mapping[str, int]:
    maker: MaterialsServiceAsyncStub = materials_pb2_grpc.MaterialsServiceStub(
        people.as_user(MAKER, "materials")
    )
    listing = materials_pb2.ListMaterialsRequest(
        material_type=materials_pb2.MATERIAL_TYPE_SCRIPT, page_size=1_000
    )
    held = (await tried(lambda: maker.ListMaterials(listing))).materials
    known = {
        material.title: material.definition.definition_id
        for material in held
        if material.status == materials_pb2.MATERIAL_STATUS_PUBLISHED
    }

    async def bring(script: Script) -> tuple[str, int]:
        return script.title, await bring_script(people, script, products)

    missing = [script for script in SCRIPTS if script.title not in known]
    return known | dict(await together(missing, bring))


async def bring_script(people: People, script: Script, products: Mapping[str, int]) -> int:
    """Draft a script, have it approved, and answer its id. `products` are ids by code."""
    maker: MaterialsServiceAsyncStub = materials_pb2_grpc.MaterialsServiceStub(
        people.as_user(MAKER, "materials")
    )
    checker: MaterialsServiceAsyncStub = materials_pb2_grpc.MaterialsServiceStub(
        people.as_user(CHECKER, "materials")
    )
    material = materials_pb2.Material(
        material_type=materials_pb2.MATERIAL_TYPE_SCRIPT,
        title=script.title,
        text=script.text,
        slots=script.slots,
        product_ids=[products[code] for code in script.product_codes],
    )
    draft = materials_pb2.DraftMaterialRequest(material=material, request_id=request_id())
    made = (await tried(lambda: maker.DraftMaterial(draft))).material
    material_id = made.definition.definition_id
    submit = materials_pb2.SubmitMaterialRequest(material_id=material_id, request_id=request_id())
    await tried(lambda: maker.SubmitMaterial(submit))
    approve = materials_pb2.ApproveMaterialRequest(material_id=material_id, request_id=request_id())
    await tried(lambda: checker.ApproveMaterial(approve))
    return material_id


async def _qualify(people: People) -> None:
    issuer: LearningServiceAsyncStub = learning_pb2_grpc.LearningServiceStub(
        people.as_user(MAKER, "learning")
    )
    expiry = datetime.now(UTC) + timedelta(days=_QUALIFIED_DAYS)

    async def qualify(staff_id: int) -> None:
        listing = learning_pb2.ListQualificationsRequest(staff_id=staff_id)
        held = (await tried(lambda: issuer.ListQualifications(listing))).qualifications
        for code in _missing(held):
            request = learning_pb2.IssueQualificationRequest(
                staff_id=staff_id, code=code, source="IMPORT", request_id=request_id()
            )
            request.expire_time.FromDatetime(expiry)
            await _issue(issuer, request)

    await together(STAFF, qualify)


def _missing(held: Iterable[learning_pb2.Qualification]) -> list[str]:
    valid = {q.code for q in held if q.state == learning_pb2.QUALIFICATION_STATE_VALID}
    return [code for code in QUALIFICATIONS if code not in valid]


async def _issue(
    issuer: LearningServiceAsyncStub, request: learning_pb2.IssueQualificationRequest
) -> None:
    await tried(lambda: issuer.IssueQualification(request))
