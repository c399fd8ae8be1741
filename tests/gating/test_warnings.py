from __future__ import annotations

import json
from pathlib import Path

import pytest
from gating_sets import chain, outputs, rows, write

from gen import plugins
from gen.commands import call
from gen.errors import StorageError
from gen.gating.dataset import gate_files
from gen.pipeline import NamedGate
from gen.run_folder import exclusive

ASKED = "How long is a customer complaint kept on file?"
SIX = {"instruction": ASKED, "output": "For 6 years."}
TEN = {"instruction": ASKED, "output": "It is kept for 10 years.", "warnings": "mine", "source": "book"}
LONG = {"instruction": "Name a colour.", "output": "Blue is a colour that one sees in the sky on most days of the year."}


def warning(name: str, **options: object) -> NamedGate:
    return NamedGate(name, plugins.build("gates", name, options), warn=True)


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_what_gates_warn_of_is_listed_and_stays(keep: str, tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", SIX, LONG, TEN)
    counts = gate_files([file], tmp_path / "out", [*chain("conflict"), warning("length", max_words=10)], keep=keep)
    assert (counts.accepted, counts.rejected, counts.warned) == (3, 0, 2)
    assert counts.warnings == {"conflict/number_conflict": 1, "length/too_long": 1}
    assert (tmp_path / "out" / "accepted.jsonl").read_bytes() == file.read_bytes()
    listed = rows(tmp_path / "out" / "warnings.jsonl")
    assert [row["output"][:3] for row in listed if "source_row" not in row and row["source"] == "in.jsonl:2"] == ["Blu"]
    conflict = next(row for row in listed if row["warnings"][0]["gate"] == "conflict")
    one, other = ("in.jsonl:3", "in.jsonl:1") if keep == "first" else ("in.jsonl:1", "in.jsonl:3")
    assert conflict.get("source_row", conflict["source"]) == one
    assert conflict["warnings"] == [
        {"gate": "conflict", "reason": "number_conflict", "detail": f"numbers unlike those of {other}, which was asked the same"}
    ]
    if keep == "first":
        assert (conflict["source"], conflict["input"]) == ("book", {"warnings": "mine"})


def test_a_rejected_row_is_warned_of_too(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", SIX, TEN)
    counts = gate_files([file], tmp_path / "out", [*chain("exact_dup", "conflict")])
    assert (counts.accepted, counts.rejected, counts.warned) == (1, 1, 1)
    assert len(rows(tmp_path / "out" / "warnings.jsonl")) == 1


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_two_processes_and_an_interruption_change_no_warning(keep: str, tmp_path: Path) -> None:
    several = [
        {"instruction": f"How many {name} has a hive?", "output": f"It has {n} of them."} for name in ("bees", "combs") for n in range(200)
    ]
    file = write(tmp_path / "in.jsonl", *several)
    gates = [warning("length", min_words=6), *chain("conflict")]
    whole = gate_files([file], tmp_path / "whole", gates, keep=keep, processes=1)
    calls: list[int] = []

    def stop(_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    fresh = [warning("length", min_words=6), *chain("conflict")]
    with pytest.raises(KeyboardInterrupt):
        gate_files([file], tmp_path / "out", fresh, keep=keep, processes=1, progress=stop, every_seconds=0.0)
    again = [warning("length", min_words=6), *chain("conflict")]
    assert gate_files([file], tmp_path / "out", again, keep=keep, processes=2) == whole
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    assert whole.warned > 390


def test_the_command_counts_warnings_and_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "in.jsonl", SIX, TEN)
    arguments = ["gate", str(file), "--out", str(tmp_path / "out"), "--gates", "conflict"]
    assert call(arguments) == 0
    told = capsys.readouterr().out
    assert "2 records: 2 accepted, 0 rejected" in told
    assert f"  1 with warnings (conflict/number_conflict 1): {tmp_path / 'out' / 'warnings.jsonl'}" in told
    assert call([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == {"conflict/number_conflict": 1}


def test_two_gatings_are_kept_out_of_one_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", SIX)
    with (
        exclusive(tmp_path / "out"),
        pytest.raises(StorageError, match=r"another sluice is working in .*: wait for it, or take another --out"),
    ):
        gate_files([file], tmp_path / "out", chain("schema"), restart=True)
    assert gate_files([file], tmp_path / "out", chain("schema")).accepted == 1
