"""What the synthetic bank sells, says and asks of its staff: the demo's shelf and scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TEN_THOUSAND_YUAN_FEN: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of the shelf.

    `product_class`, `issuer_risk`, `own_risk` and `audience` are the contract's
    names without their prefixes; an empty risk or audience is unspecified.
    `rate_bp` is a rate or benchmark, basis points a year.
    """

    code: str
    name: str
    product_class: str
    issuer_risk: str = ""
    own_risk: str = ""
    min_amount_fen: int = 0
    term_days: int = 0
    rate_bp: int = 0
    audience: str = ""
    staff_qualification: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Approved words. Slots stand in braces; `product_codes` are what it speaks of."""

    title: str
    text: str
    slots: tuple[str, ...] = ()
    product_codes: tuple[str, ...] = ()


FUND_SALES: Final = "FUND_SALES"
INSURANCE_SALES: Final = "INSURANCE_SALES"
LOAN_SALES: Final = "LOAN_SALES"

QUALIFICATIONS: Final = (FUND_SALES, INSURANCE_SALES, LOAN_SALES)
"""What every member of the demo's front line is qualified for."""


def _wealth(
    number: int, name: str, risk: int, term_days: int, rate_bp: int, *, from_yuan_10k: int = 1
) -> Product:
    return Product(
        code=f"WM-{number:04}",
        name=name,
        product_class="WEALTH",
        issuer_risk=f"R{risk}",
        own_risk=f"R{risk}",
        min_amount_fen=from_yuan_10k * TEN_THOUSAND_YUAN_FEN,
        term_days=term_days,
        rate_bp=rate_bp,
    )


def _fund(number: int, name: str, issuer: int, own: int, *, audience: str = "") -> Product:
    return Product(
        code=f"FD-{number:04}",
        name=name,
        product_class="FUND",
        issuer_risk=f"R{issuer}",
        own_risk=f"R{own}",
        min_amount_fen=1_000,
        audience=audience,
        staff_qualification=FUND_SALES,
    )


def _insurance(number: int, name: str, risk: int, term_days: int) -> Product:
    return Product(
        code=f"IN-{number:04}",
        name=name,
        product_class="INSURANCE",
        issuer_risk=f"R{risk}",
        own_risk=f"R{risk}",
        min_amount_fen=TEN_THOUSAND_YUAN_FEN,
        term_days=term_days,
        staff_qualification=INSURANCE_SALES,
    )


def _deposit(number: int, name: str, term_days: int, rate_bp: int) -> Product:
    return Product(
        code=f"DP-{number:04}",
        name=name,
        product_class="DEPOSIT",
        issuer_risk="R1",
        own_risk="R1",
        min_amount_fen=20 * TEN_THOUSAND_YUAN_FEN,
        term_days=term_days,
        rate_bp=rate_bp,
    )


def _credit(number: int, name: str, product_class: str, term_days: int, rate_bp: int) -> Product:
    return Product(
        code=f"LN-{number:04}",
        name=name,
        product_class=product_class,
        term_days=term_days,
        rate_bp=rate_bp,
        staff_qualification=LOAN_SALES,
    )


WEALTH: Final = (
    _deposit(1, "大额存单一年 Certificate of deposit, 1 year", 365, 190),
    _deposit(2, "大额存单三年 Certificate of deposit, 3 years", 1_095, 235),
    _wealth(1, "日日盈 Daily cash", 1, 0, 185),
    _wealth(2, "周周盈 Weekly cash", 1, 7, 205),
    _wealth(3, "稳利三十天 Steady 30", 2, 30, 240),
    _wealth(4, "稳利九十天 Steady 90", 2, 90, 265),
    _wealth(5, "稳利半年 Steady 180", 2, 180, 285),
    _wealth(6, "稳利一年 Steady 365", 2, 365, 310),
    _wealth(7, "固收增强九十天 Fixed income plus 90", 3, 90, 330, from_yuan_10k=5),
    _wealth(8, "固收增强一年 Fixed income plus 365", 3, 365, 360, from_yuan_10k=5),
    _wealth(9, "平衡混合 Balanced mix", 3, 365, 390, from_yuan_10k=5),
    _wealth(10, "进取混合 Growth mix", 4, 365, 450, from_yuan_10k=30),
    _fund(1, "货币基金A Money market A", 1, 1),
    _fund(2, "短债基金B Short bonds B", 2, 2),
    _fund(3, "可转债基金C Convertible bonds C", 3, 3),
    _fund(4, "沪深指数D Index D", 3, 4),
    _fund(5, "科技主题E Technology E", 5, 5, audience="AUM20"),
    _insurance(1, "年金险甲 Annuity A", 2, 3_650),
    _insurance(2, "增额终身寿乙 Whole life B", 2, 7_300),
    _insurance(3, "投连险丙 Unit-linked C", 4, 3_650),
)
"""Twenty products to place money in."""

CREDIT: Final = (
    _credit(1, "消费贷 Consumer loan", "PERSONAL_LOAN", 1_095, 345),
    _credit(2, "公职贷 Public servants' loan", "PERSONAL_LOAN", 1_825, 315),
    _credit(3, "住房按揭 Mortgage", "MORTGAGE", 10_950, 305),
    _credit(4, "抵押经营贷 Secured business loan", "PERSONAL_LOAN", 3_650, 335),
    _credit(5, "白金信用卡 Platinum card", "CARD", 0, 1_825),
)
"""Five products to borrow by."""

INFLOW_PRODUCT: Final = "WM-0003"
"""What the large-inflow scene offers."""

LOAN_PRODUCT: Final = "LN-0001"
"""What the loan scene offers."""

INFLOW_SCRIPT: Final = Script(
    title="大额入账：短期稳健 Large inflow: short and steady",
    text=(
        "{greeting}，您的资金到账后可考虑{product_name}，期限三十天。"
        "理财非存款，产品有风险，投资须谨慎。如需了解请回复，退订回T。"
    ),
    slots=("greeting", "product_name"),
    product_codes=(INFLOW_PRODUCT,),
)
LOAN_SCRIPT: Final = Script(
    title="预授信未提款：提醒 Pre-approved, not drawn: a reminder",
    text="{greeting}，您此前查看的贷款额度仍然有效，可按需在线提款，退订回T。",
    slots=("greeting",),
    product_codes=(LOAN_PRODUCT,),
)
SERVICE_SCRIPT: Final = Script(
    title="服务回访 Service call",
    text="{greeting}，感谢您一直以来的支持，如有需要请随时联系您的客户经理，退订回T。",
    slots=("greeting",),
)
SCRIPTS: Final = (INFLOW_SCRIPT, LOAN_SCRIPT, SERVICE_SCRIPT)
"""The demo's scripts."""
