from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from bank import BankError, Plan, generate, open_bank, parse_scale
from bank import generator as writing

PLAN = Plan(scale=parse_scale("2500"), seed=1, shard_rows=1_000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_equal_plans_give_equal_bytes(tmp_path: Path) -> None:
    """Every file hashes to the same, and so does the whole."""
    one = generate(PLAN, tmp_path / "one")
    other = generate(PLAN, tmp_path / "other")
    assert one.files == other.files
    assert one.digest == other.digest


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    """Every file of customers differs."""
    one = generate(PLAN, tmp_path / "one")
    other = generate(Plan(scale=PLAN.scale, seed=2, shard_rows=1_000), tmp_path / "other")
    shards = [path for path in one.files if path.startswith("customers/")]
    assert shards
    assert all(one.files[path] != other.files[path] for path in shards)


def test_the_size_of_files_changes_no_value(tmp_path: Path) -> None:
    """Three files or one hold the same customers."""
    generate(PLAN, tmp_path / "three")
    generate(Plan(scale=PLAN.scale, seed=1), tmp_path / "one")
    three, one = open_bank(tmp_path / "three"), open_bank(tmp_path / "one")
    assert sum(path.startswith("customers/") for path in three.manifest.files) == 3
    for column in ("id", "cif", "name", "aum_fen", "owner_id", "is_canary"):
        assert three.column(column).tolist() == one.column(column).tolist()


def test_the_manifest_tells_what_is_there(tmp_path: Path) -> None:
    """Version, origin, counts, and each file but the manifest itself."""
    manifest = generate(PLAN, tmp_path / "bank")
    stored = json.loads((tmp_path / "bank" / "manifest.json").read_text())
    assert stored["seed"] == 1
    assert stored["scale"] == "2500"
    assert (manifest.customers, manifest.branches, manifest.managers) == (2_500, 4, 8)
    files = (path for path in (tmp_path / "bank").rglob("*") if path.is_file())
    found = {path.relative_to(tmp_path / "bank").as_posix() for path in files}
    assert found == {*manifest.files, "manifest.json"}


def test_the_truth_lies_beside_the_data(tmp_path: Path) -> None:
    """Owners, canaries and the planted figures agree with the customers."""
    generate(PLAN, tmp_path / "bank")
    bank = open_bank(tmp_path / "bank")
    for column in ("id", "cif", "owner_id", "branch_id"):
        assert bank.true_owners()[column].tolist() == bank.column(column).tolist()
    canaries = bank.column("is_canary")
    for column in ("id", "cif", "name", "phone", "id_card"):
        assert bank.canaries()[column].tolist() == bank.column(column)[canaries].tolist()
    summary = json.loads((tmp_path / "bank" / "truth" / "summary.json").read_text())
    assert sum(summary["tier_counts"].values()) == 2_500
    assert sum(summary["tier_shares"].values()) == pytest.approx(1)
    assert summary["config"]["canary_every"] == 1_000


def test_progress_is_told_from_none_to_all(tmp_path: Path) -> None:
    """Once at the start and once for each file."""
    told: list[tuple[int, int]] = []
    generate(PLAN, tmp_path / "bank", progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2_500), (1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]


def test_an_empty_folder_is_used_and_missing_parents_are_made(tmp_path: Path) -> None:
    """A target that is there but empty is as good as none."""
    (tmp_path / "empty").mkdir()
    generate(PLAN, tmp_path / "empty")
    generate(PLAN, tmp_path / "deep" / "er")
    assert open_bank(tmp_path / "empty").manifest == open_bank(tmp_path / "deep" / "er").manifest


def test_a_bank_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    """Without force the old bank stays, with force the new one takes its place."""
    out = tmp_path / "bank"
    old = generate(PLAN, out)
    other = Plan(scale=PLAN.scale, seed=2)
    with pytest.raises(BankError, match="--force"):
        generate(other, out)
    assert open_bank(out).manifest == old
    new = generate(other, out, force=True)
    assert open_bank(out).manifest == new
    assert names(tmp_path) == ["bank"]


@pytest.mark.parametrize("force", [False, True])
def test_what_is_not_a_bank_is_left_alone(tmp_path: Path, *, force: bool) -> None:
    """Not even force removes a folder of something else, or a file."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("…")
    (tmp_path / "file").write_text("…")
    for name in ("letters", "file"):
        with pytest.raises(BankError, match=name):
            generate(PLAN, tmp_path / name, force=force)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "…"


class FullDiskError(OSError):
    """What a full disk raises."""

    def __init__(self) -> None:
        super().__init__(28, "No space left on device")


def fail_on(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Make the writing of the file `part` fail half-way."""
    real = writing.write_table

    def write(table: pa.Table, path: Path) -> None:
        real(table, path)
        if path.name == part:
            raise FullDiskError

    monkeypatch.setattr(writing, "write_table", write)


@pytest.mark.parametrize("part", ["staff.parquet", "00001.parquet", "canaries.parquet"])
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Wherever the disk fills up, neither target nor temporary folder remains."""
    fail_on(monkeypatch, part)
    with pytest.raises(BankError, match="No space left"):
        generate(PLAN, tmp_path / "bank")
    assert names(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C half-way is no different."""

    def interrupt(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(PLAN, tmp_path / "bank", progress=interrupt)
    assert names(tmp_path) == []


def test_a_failed_replacement_leaves_the_old_bank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Force does not mean that the old bank is given up before the new one is complete."""
    old = generate(PLAN, tmp_path / "bank")
    fail_on(monkeypatch, "00001.parquet")
    with pytest.raises(BankError):
        generate(Plan(scale=PLAN.scale, seed=2, shard_rows=1_000), tmp_path / "bank", force=True)
    assert open_bank(tmp_path / "bank").manifest == old
    assert names(tmp_path) == ["bank"]


def test_a_failed_exchange_puts_the_old_bank_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even the last step, when the old bank has just been moved away, can be undone."""
    old = generate(PLAN, tmp_path / "bank")
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name == "bank" and self.parent != tmp_path:
            raise FullDiskError
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(BankError):
        generate(Plan(scale=PLAN.scale, seed=2), tmp_path / "bank", force=True)
    assert open_bank(tmp_path / "bank").manifest == old
    assert names(tmp_path) == ["bank"]
