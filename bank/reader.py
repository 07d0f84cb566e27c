"""Reads a bank from disk, in batches of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bank.customers import SCHEMA
from bank.manifest import Manifest

Column = npt.NDArray[Any]
Columns = dict[str, Column]
"""Columns by name. Text is an array of `str`; a date is `datetime64[D]`, NaT for none."""


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank on disk whose files are as they were made."""

    directory: Path
    manifest: Manifest

    def customers(
        self, columns: Sequence[str] = tuple(SCHEMA.names), *, batch_size: int = 10_000
    ) -> Iterator[Columns]:
        """All customers by id, in batches of `batch_size`; only the last is smaller."""
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in self._record_batches(columns, batch_size):
            waiting.append(batch)
            rows += batch.num_rows
            if rows >= batch_size:
                joined = pa.Table.from_batches(waiting).combine_chunks()
                yield _columns(joined.slice(0, batch_size))
                waiting = joined.slice(batch_size).to_batches()
                rows -= batch_size
        if rows:
            yield _columns(pa.Table.from_batches(waiting))

    def column(self, name: str) -> Column:
        """One column of all customers, by id."""
        parts = [batch[name] for batch in self.customers([name], batch_size=100_000)]
        return np.concatenate(parts)

    def branches(self) -> Columns:
        """The branches: branch_id, name, in_home_city, size_share."""
        return self._table("branches.parquet")

    def staff(self) -> Columns:
        """The staff: staff_id, role (RM or DO), branch_id, name."""
        return self._table("staff.parquet")

    def canaries(self) -> Columns:
        """The canaries: id, cif, name, phone, id_card."""
        return self._table("truth/canaries.parquet")

    def true_owners(self) -> Columns:
        """Whose each customer truly is: id, cif, owner_id, branch_id."""
        return self._table("truth/owners.parquet")

    def _record_batches(self, columns: Sequence[str], batch_size: int) -> Iterator[pa.RecordBatch]:
        for path in sorted(self.manifest.files):
            if path.startswith("customers/"):
                with pq.ParquetFile(self.directory / path) as file:
                    yield from file.iter_batches(batch_size, columns=list(columns))

    def _table(self, path: str) -> Columns:
        return _columns(pq.read_table(self.directory / path))


def open_bank(directory: Path) -> Bank:
    """The bank in `directory`, after every file was compared with its hash.

    Raises:
        BankError: there is no bank, it is of another version, or a file was changed.
    """
    manifest = Manifest.read(directory)
    manifest.verify(directory)
    return Bank(directory, manifest)


def _columns(table: pa.Table) -> Columns:
    return {name: table[name].to_numpy() for name in table.column_names}
