"""Writes a bank to disk: all of it or nothing.

Layout: `branches.parquet`, `staff.parquet`, `customers/NNNNN.parquet`, the truth
tables under `truth/`, and `manifest.json`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bank.config import TIERS, VERSION, Plan
from bank.customers import SCHEMA, Customers
from bank.errors import BankError
from bank.manifest import MANIFEST, Manifest, file_hash
from bank.shape import expected_lorenz, expected_tiers
from bank.stream import Integers, Rows

Progress = Callable[[int, int], None]
"""Told how many customers are done, and of how many."""

_OWNER_SCHEMA = pa.schema([SCHEMA.field(n) for n in ("id", "cif", "owner_id", "branch_id")])
_CANARY_COLUMNS = ["id", "cif", "name", "phone", "id_card"]
_DICTIONARY_COLUMNS = ["tier", "risk_grade", "owner_id", "branch_id", "home_branch_id"]


def silent(done: int, total: int) -> None:
    """The progress that nobody watches."""


def generate(
    plan: Plan, out: Path, *, progress: Progress = silent, force: bool = False
) -> Manifest:
    """Make the bank of `plan` in the folder `out`.

    The bank appears at once when it is complete; when anything fails, `out` is as
    it was and nothing is left beside it. With `force`, a bank that is there is
    replaced; a folder that holds anything else never is.

    Raises:
        BankError: `out` is not free, or the bank cannot be written.
    """
    out = out.absolute()
    _refuse_occupied(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _staging(out) as folder:
            manifest = _write_bank(plan, folder / "bank", progress)
            _publish(folder, out)
    except OSError as error:
        raise BankError(f"{out}: the bank cannot be written: {error.strerror}") from error
    return manifest


def shards(plan: Plan) -> list[Rows]:
    """The blocks of customers that are written as one file each."""
    size, total = plan.shard_rows, plan.customers
    return [Rows(first, min(size, total - first + 1)) for first in range(1, total + 1, size)]


def _refuse_occupied(out: Path, *, force: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise BankError(f"{out}: is a file; give a folder")
    if not any(out.iterdir()):
        return
    if not force:
        raise BankError(f"{out}: is not empty; use --force to replace the bank in it")
    if not (out / MANIFEST).is_file():
        raise BankError(f"{out}: holds something that is not a bank; it is left alone")


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder beside `out`, on the same file system, that is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, out: Path) -> None:
    """Move the bank in `folder` to `out`; what was there goes into `folder`."""
    old = folder / "old"
    if out.exists():
        out.rename(old)
    try:
        (folder / "bank").rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise


def _write_bank(plan: Plan, folder: Path, progress: Progress) -> Manifest:
    for path in (folder, folder / "customers", folder / "truth"):
        path.mkdir(mode=0o700)
    customers = Customers(plan)
    write_table(customers.organization.branches(), folder / "branches.parquet")
    write_table(customers.organization.staff(customers.names), folder / "staff.parquet")
    tiers = _write_customers(plan, customers, folder, progress)
    _write_summary(plan, tiers, folder / "truth" / "summary.json")
    manifest = _describe(plan, customers, folder)
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


def _write_customers(
    plan: Plan, customers: Customers, folder: Path, progress: Progress
) -> Integers:
    """Write the shards and their truth; answer the number of customers in each tier."""
    tiers = np.zeros(len(TIERS) + 1, dtype=np.int64)
    canaries = []
    with _open_table(_OWNER_SCHEMA, folder / "truth" / "owners.parquet") as owners:
        progress(0, plan.customers)
        for place, rows in enumerate(shards(plan)):
            block = customers.block(rows)
            write_table(block, folder / "customers" / f"{place:05}.parquet")
            owners.write_table(block.select(_OWNER_SCHEMA.names))
            canaries.append(block.filter(block["is_canary"]).select(_CANARY_COLUMNS))
            tiers += np.bincount(block["tier"].to_numpy(), minlength=len(tiers))
            progress(rows.first + rows.count - 1, plan.customers)
    write_table(pa.concat_tables(canaries), folder / "truth" / "canaries.parquet")
    return tiers[1:]


def write_table(table: pa.Table, path: Path) -> None:
    """Write one Parquet file."""
    with _open_table(table.schema, path) as writer:
        writer.write_table(table)


def _open_table(schema: pa.Schema, path: Path) -> pq.ParquetWriter:
    dictionary = [name for name in schema.names if name in _DICTIONARY_COLUMNS]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=dictionary)


def _write_summary(plan: Plan, tiers: Integers, path: Path) -> None:
    """What was planted: the parameters, and the figures that follow from them."""
    mixture = plan.mixture
    summary = {
        "config": asdict(plan.config) | {"aum": [str(part) for part in plan.config.aum]},
        "aum_factor": plan.scale.aum_factor,
        "mean_aum_yuan": mixture.moment(1),
        "tier_shares": dict(zip(TIERS, expected_tiers(mixture), strict=True)),
        "tier_counts": dict(zip(TIERS, tiers.tolist(), strict=True)),
        "aum_share_below_yuan": expected_lorenz(mixture),
    }
    path.write_text(json.dumps(summary, indent=2, default=str) + "\n")


def _describe(plan: Plan, customers: Customers, folder: Path) -> Manifest:
    headcount = customers.organization.headcount
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Manifest(
        version=VERSION,
        seed=plan.seed,
        scale=plan.scale.name,
        customers=plan.customers,
        branches=headcount.branches,
        managers=headcount.managers,
        agents=headcount.agents,
        canaries=customers.canaries.count,
        as_of=plan.config.as_of.isoformat(),
        files={path.relative_to(folder).as_posix(): file_hash(path) for path in files},
    )
