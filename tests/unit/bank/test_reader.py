from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bank import Bank, BankError, Plan, generate, open_bank, parse_scale

PLAN = Plan(scale=parse_scale("2500"), seed=1, shard_rows=1_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate(PLAN, tmp_path / "bank")
    return tmp_path / "bank"


@pytest.fixture
def bank(folder: Path) -> Bank:
    return open_bank(folder)


def change_manifest(folder: Path, **values: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("size", [1, 700, 1_000, 1_001, 2_500, 10_000])
def test_batches_are_full_but_the_last(bank: Bank, size: int) -> None:
    """Batches run over the borders of files, and nobody is left out or told twice."""
    batches = list(bank.customers(["id"], batch_size=size))
    sizes = [len(batch["id"]) for batch in batches]
    assert sizes == [size] * (2_500 // size) + ([2_500 % size] if 2_500 % size else [])
    assert np.concatenate([b["id"] for b in batches]).tolist() == list(range(1, 2_501))


def test_columns_come_in_the_types_that_are_promised(bank: Bank) -> None:
    """Text is text, money is whole, dates are dates, and no date is NaT."""
    (batch,) = bank.customers(batch_size=2_500)
    assert all(isinstance(cif, str) for cif in batch["cif"])
    assert batch["aum_fen"].dtype == np.int64
    assert batch["risk_expiry"].dtype == np.dtype("datetime64[D]")
    assert np.isnat(batch["risk_expiry"]).any()
    assert batch["has_wecom"].dtype == np.bool_


def test_only_the_columns_asked_for_are_read(bank: Bank) -> None:
    """A batch holds what was named, no more."""
    assert set(next(bank.customers(["cif", "tier"]))) == {"cif", "tier"}


def test_staff_and_branches_are_read(bank: Bank) -> None:
    """The small tables come whole."""
    assert bank.staff()["staff_id"].tolist() == [*range(1, 9), 9_001, 9_002]
    assert bank.branches()["branch_id"].tolist() == [1, 2, 3, 4]


def test_no_bank_is_told_with_how_to_make_one(tmp_path: Path) -> None:
    """An empty folder and a missing one are answered alike."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(BankError, match=r"no bank here.*engine bank generate"):
            open_bank(folder)


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_a_manifest_that_is_no_json_is_refused(folder: Path, text: str) -> None:
    """Half a manifest is none."""
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BankError, match="cannot be read"):
        open_bank(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused_with_both_numbers(folder: Path, version: object) -> None:
    """The message says what is there and what is understood."""
    change_manifest(folder, version=version)
    with pytest.raises(BankError, match=f"version {version}, this program reads 1"):
        open_bank(folder)


def test_a_manifest_of_a_list_is_refused(folder: Path) -> None:
    """JSON of another shape has no version."""
    (folder / "manifest.json").write_text("[]")
    with pytest.raises(BankError, match="version None"):
        open_bank(folder)


def test_unknown_fields_are_refused(folder: Path) -> None:
    """A manifest of the right version has the fields of that version."""
    change_manifest(folder, colour="blue")
    with pytest.raises(BankError, match="fields do not fit"):
        open_bank(folder)


@pytest.mark.parametrize("path", ["customers/00001.parquet", "truth/summary.json"])
def test_a_changed_file_is_found(folder: Path, path: str) -> None:
    """One byte more is enough."""
    with (folder / path).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BankError, match=f"{path}: changed"):
        open_bank(folder)


def test_a_missing_file_is_found(folder: Path) -> None:
    """Every file of the manifest must be there."""
    (folder / "staff.parquet").unlink()
    with pytest.raises(BankError, match=r"staff\.parquet: missing"):
        open_bank(folder)
