"""Scripts: what may be written, what may be said, how slots are filled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.materials import script, wording
from centers.materials.errors import MaterialReason
from mesh.errors import MeshError

TEXT = "{greeting}，您可了解{product_name}，产品有风险，投资须谨慎。"
SLOTS = ("greeting", "product_name")
VALUES = {"greeting": "您好", "product_name": "稳利三十天"}


def refused(values: dict[str, str], text: str = TEXT, slots: tuple[str, ...] = SLOTS) -> list[str]:
    with pytest.raises(MeshError) as failed:
        script.filled(text, slots, values)
    assert failed.value.reason is MaterialReason.SLOTS_INVALID
    return [violation.field for violation in failed.value.violations]


def test_slots_are_replaced_and_nothing_else() -> None:
    """The text is the approved one with the values in their places."""
    expected = "您好，您可了解稳利三十天，产品有风险，投资须谨慎。"
    assert script.filled(TEXT, SLOTS, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "slots", "field"),
    [
        ("", (), "material.text"),
        ("您好{", (), "material.text"),
        ("您好}{greeting}", ("greeting",), "material.text"),
        ("您好{Greeting}", (), "material.text"),
        ("您好\x07", (), "material.text"),
        ("您好{greeting}", (), "material.text"),
        ("您好", ("greeting",), "material.slots[0]"),
        ("{balance}", ("balance",), "material.slots[0]"),
    ],
)
def test_a_script_that_does_not_hold_together_is_refused(
    text: str, slots: tuple[str, ...], field: str
) -> None:
    """All and only the declared slots stand in the text; no slot is for personal data."""
    assert [flaw.field for flaw in script.flaws(text, slots)] == [field]


def test_a_sound_script_has_no_flaws() -> None:
    """Lines and wide spaces belong to a text."""
    assert list(script.flaws(TEXT + "\n\u3000谢谢", SLOTS)) == []


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"greeting": "您好"}, ["slots.product_name"]),
        (VALUES | {"name": "王"}, ["slots"]),
        (VALUES | {"greeting": " "}, ["slots.greeting"]),
        (VALUES | {"greeting": "x" * 201}, ["slots.greeting"]),
        (VALUES | {"greeting": "{product_name}"}, ["slots.greeting"]),
        (VALUES | {"greeting": "您好\n"}, ["slots.greeting"]),
        (VALUES | {"greeting": "您\u202e好"}, ["slots.greeting"]),
        (VALUES | {"greeting": "请致电13800138000"}, ["slots"]),
        (VALUES | {"product_name": "保本理财"}, ["slots"]),
    ],
)
def test_unfit_values_are_refused_by_name(values: dict[str, str], fields: list[str]) -> None:
    """The refusal names the slot."""
    assert refused(values) == fields


def test_what_arises_where_a_value_meets_the_text_is_seen() -> None:
    """Neither half is a number or a promise by itself."""
    assert refused({"date": "38001380"}, "回拨1{date}00", ("date",)) == ["slots"]
    assert refused({"term": "保"}, "期限{term}本", ("term",)) == ["slots"]


@given(st.dictionaries(st.sampled_from(SLOTS), st.text(max_size=250)))
def test_whatever_is_filled_in_is_an_approved_text_with_its_values(values: dict[str, str]) -> None:
    """Either the exact text, or a refusal: values never bring slots or hidden characters."""
    try:
        said = script.filled(TEXT, SLOTS, values)
    except MeshError:
        assert refused(values)
        return
    greeting, name = values["greeting"], values["product_name"]
    assert said == f"{greeting}，您可了解{name}，产品有风险，投资须谨慎。"
    assert said.isprintable()
    assert wording.is_clean(said)


@pytest.mark.parametrize(
    ("text", "word", "place"),
    [
        ("本产品保本", "保本", 4),
        ("本产品保 本", "保本", 4),
        ("本产品保·本", "保本", 4),
        ("收益稳赚不赔", "稳赚", 3),
        ("这款产品无风险", "无风险", 5),
        ("Ｇuaranteed 收益", "guaranteed", 1),
        ("It is risk-free.", "riskfree", 7),
        ("您可放心，我们承诺收益", "承诺收益", 8),
    ],
)
def test_a_promise_is_found_with_its_place(text: str, word: str, place: int) -> None:
    """Width, case, spaces and punctuation do not hide it."""
    assert [(found.word, found.place) for found in wording.promises(text)] == [(word, place)]
    assert not wording.is_clean(text)


@pytest.mark.parametrize(
    "text",
    ["非保本浮动收益", "本产品不保本", "我行不承诺收益", "不承诺保本保收益", "not guaranteed"],
)
def test_a_denial_is_no_promise(text: str) -> None:
    """The words that the regulator asks for may be said."""
    assert list(wording.promises(text)) == []
    assert wording.is_clean(text)


def test_what_may_not_be_said_names_field_and_place() -> None:
    """For the author to find it."""
    found = list(script.unsayable("material.text", "保本，请致电138 0013 8000"))
    assert [violation.field for violation in found] == ["material.text"] * 2
    assert "character 1 " in found[0].description
