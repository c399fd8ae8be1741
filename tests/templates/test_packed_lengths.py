from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from gen.errors import StorageError
from gen.templates.packed_lengths import PackedLengths, lengths_in


def write(file: Path, columns: dict[str, list[list[int]]]) -> None:
    table = pa.table(columns)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def test_samples_of_packed_rows_are_told_apart_over_all_shards(tmp_path: Path) -> None:
    write(tmp_path / "data-0.arrow", {"input_ids": [[1] * 9], "seq_lengths": [[4, 5]]})
    write(tmp_path / "data-1.arrow", {"input_ids": [[1] * 7, [1] * 6], "seq_lengths": [[1, 6], [6]]})
    assert lengths_in(tmp_path) == PackedLengths(median=5, p95=6, longest=6)


def test_where_a_row_is_a_sample_its_ids_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "data-0.arrow", {"input_ids": [[1], [1, 2, 3], [1, 2]]})
    assert lengths_in(tmp_path) == PackedLengths(median=2, p95=2, longest=3)


def test_no_file_is_no_length_and_a_damaged_one_an_error(tmp_path: Path) -> None:
    assert lengths_in(tmp_path) == PackedLengths()
    (tmp_path / "data-0.arrow").write_bytes(b"nothing of the kind")
    with pytest.raises(StorageError, match=r"data-0\.arrow"):
        lengths_in(tmp_path)
