"""The how-to page of serials tells the truth."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from sequencer.sdk.serial._calendar import PART_WIDTHS
from sequencer.sdk.serial._check import _SYSTEMS

PAGE = Path(__file__).parents[4] / "docs" / "howto" / "serials.md"


def test_the_examples_run() -> None:
    """Each answers what stands below it."""
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)

    assert attempted > 5
    assert not failed


def test_the_page_names_every_check_and_part_of_a_date() -> None:
    """And none that does not exist."""
    text = PAGE.read_text()

    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == [*_SYSTEMS]
    assert {*re.findall(r"`%(\w)`", text)} == {*PART_WIDTHS}
