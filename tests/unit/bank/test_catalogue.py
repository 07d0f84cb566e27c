"""The demo bank's shelf."""

from __future__ import annotations

from bank.catalogue import CREDIT, INFLOW_PRODUCT, LOAN_PRODUCT, SCRIPTS, WEALTH


def test_the_demo_has_twenty_wealth_and_five_credit_products() -> None:
    """Each with a code of its own."""
    assert (len(WEALTH), len(CREDIT)) == (20, 5)
    assert len({product.code for product in (*WEALTH, *CREDIT)}) == 25


def test_scenes_and_scripts_speak_of_products_that_there_are() -> None:
    """Nothing is offered that is not on the shelf."""
    codes = {product.code for product in (*WEALTH, *CREDIT)}
    spoken = {code for script in SCRIPTS for code in script.product_codes}
    assert spoken | {INFLOW_PRODUCT, LOAN_PRODUCT} <= codes


def test_scripts_have_the_slots_that_they_name() -> None:
    """Every slot stands in the text, in braces."""
    for script in SCRIPTS:
        assert all(f"{{{slot}}}" in script.text for slot in script.slots)
