from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from gating_sets import a_set, record

from gen.containers import write_rows
from gen.gating.batches import BATCH_RECORDS, Position, batched
from gen.gating.inputs import items_of, sources_of
from gen.gating.sizes import size_of
from gen.records import AUTOMATIC

COLUMNS = {"instruction": "string", "output": "string", "rank": "int64"}


def test_the_share_that_is_done_grows_to_one_over_files_of_all_kinds(tmp_path: Path) -> None:
    a_set(tmp_path / "a.jsonl", 300)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(a_set(tmp_path / "b.jsonl", 300).read_bytes()))
    write_rows("parquet", tmp_path, "c", (record(number) for number in range(300)), COLUMNS)
    sources = sources_of([tmp_path / name for name in ("a.jsonl", "b.jsonl.gz", "c.parquet")])
    position, fractions = Position(sources), []
    for item in items_of(sources, AUTOMATIC):
        position.take(item)
        fractions.append(position.fraction or 0.0)
    assert fractions == sorted(fractions)
    assert 0.0 < fractions[0] < 0.01
    assert fractions[-1] == pytest.approx(1.0, abs=0.01)


def test_of_some_inputs_nobody_knows_the_size(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("instruction,output\nHi?,Hello\n", encoding="utf-8")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    assert size_of(tmp_path / "a.csv") is None
    assert size_of(tmp_path / "a.parquet") is None
    assert size_of(tmp_path / "missing.jsonl") is None
    assert size_of(Path("hub:owner/name")) is None
    assert Position(sources_of([tmp_path / "a.csv"])).fraction is None


def test_batches_hold_every_row_once_in_order(tmp_path: Path) -> None:
    sources = sources_of([a_set(tmp_path / "a.jsonl", 300)])
    batches = list(batched(items_of(sources, AUTOMATIC)))
    assert [row.number for batch in batches for row in batch.rows] == list(range(303))
    assert sum(len(batch.works) for batch in batches) == 300
    assert max(len(batch.rows) for batch in batches) == BATCH_RECORDS
