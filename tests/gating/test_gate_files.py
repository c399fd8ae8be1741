from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gen import plugins
from gen.commands import call
from gen.errors import InputError
from gen.gating.chain import judge
from gen.gating.dataset import gate_files
from gen.pipeline import NamedGate
from gen.recipe import DEFAULT_GATES
from gen.records import Record, read_records

ANSWER = "Water boils at 100 degrees Celsius at sea level, and at a lower temperature on a mountain."


def chain(*names: str) -> list[NamedGate]:
    return [NamedGate(name, plugins.build("gates", name, {})) for name in names or DEFAULT_GATES]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_accepted_records_come_out_as_they_came(tmp_path: Path) -> None:
    text = f'{{"id": 7,   "instruction": "At what temperature does water boil?", "output": "{ANSWER}", "extra": {{"n": 1.0}}}}'
    (tmp_path / "in.jsonl").write_text(text + "\n")
    gate_files([tmp_path / "in.jsonl"], tmp_path / "out", chain())
    assert (tmp_path / "out" / "accepted.jsonl").read_text() == text + "\n"


def test_rejected_records_keep_their_fields_and_say_why(tmp_path: Path) -> None:
    file = write(
        tmp_path / "in.jsonl",
        {"id": "a", "instruction": "Why is the sky blue?", "output": "I'm sorry, but I can't help with that.", "score": 3},
    )
    counts = gate_files([file], tmp_path / "out", chain())
    (row,) = rows(tmp_path / "out" / "rejected.jsonl")
    assert (row["id"], row["score"], row["gate"], row["reason"]) == ("a", 3, "refusal", "refusal")
    assert row["reasons"][0] == "refusal/refusal"
    assert counts.reasons["refusal/refusal"] == 1


def test_keys_of_the_input_that_collide_move_aside(tmp_path: Path) -> None:
    bare = {"instruction": "Hi?", "output": "", "reason": "mine", "gate": 1}
    gate_files([write(tmp_path / "in.jsonl", bare, bare | {"input": "x"})], tmp_path / "out", chain("schema"))
    first, second = rows(tmp_path / "out" / "rejected.jsonl")
    assert first["input"] == {"gate": 1, "reason": "mine"}
    assert (second["input"], second["input_fields"]) == ("x", {"gate": 1, "reason": "mine"})
    assert first["reason"] == second["reason"] == "empty_content"


def test_records_in_are_records_out(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"instruction": "Same?", "output": "Yes, it is."}\n' * 3 + b"{\n[]\n\n")
    counts = gate_files([tmp_path / "in.jsonl"], tmp_path / "out", chain("schema", "exact_dup"))
    assert (counts.accepted, counts.rejected, counts.unreadable, counts.records) == (1, 2, 2, 5)
    assert [row["line"] for row in rows(tmp_path / "out" / "unreadable.jsonl")] == [4, 5]


def test_a_redacting_gate_writes_its_replacement(tmp_path: Path) -> None:
    file = write(
        tmp_path / "in.jsonl", {"id": 1, "instruction": "Whom do I write to?", "output": "Write to anna.berg@nordwind-handel.de for that."}
    )
    gates = [NamedGate("pii", plugins.build("gates", "pii", {"action": "redact"}))]
    counts = gate_files([file], tmp_path / "out", gates)
    (row,) = rows(tmp_path / "out" / "accepted.jsonl")
    assert counts.replaced == 1
    assert row["id"] == 1
    assert "anna.berg" not in json.dumps(row)


def test_a_file_that_breaks_in_the_middle_leaves_nothing_half_written(tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(InputError):
        gate_files([shared_data / "nasty" / "12_truncated.jsonl.gz"], tmp_path / "out", chain("schema"))
    assert [path.name for path in (tmp_path / "out").glob("*")] == [".lock"]


def test_nothing_nasty_crashes_or_is_lost(tmp_path: Path, shared_data: Path) -> None:
    manifest = {Path(row["file"]).name: row for row in rows(shared_data / "nasty_manifest.jsonl")}
    for path in sorted((shared_data / "nasty").iterdir()):
        row = manifest[path.name]
        out = tmp_path / path.name
        status = call(["gate", str(path), "--out", str(out), "--json"])
        if status == 2:
            assert row["lines_bad"] is None, path.name
            continue
        accepted, rejected, unreadable = (len(rows(out / f"{name}.jsonl")) for name in ("accepted", "rejected", "unreadable"))
        assert status == (1 if unreadable else 0), path.name
        if row["records_valid"] is not None:
            assert accepted + rejected >= row["records_valid"], path.name
        if row["lines_bad"] is not None and row["records_valid"] is not None:
            assert accepted + rejected + unreadable == row["records_valid"] + row["lines_bad"], path.name
        if row["kept_max"] is not None:
            assert accepted <= row["kept_max"], path.name


def test_no_hostile_record_takes_long_and_each_gets_one_decision(tmp_path: Path, shared_data: Path) -> None:
    gates = chain()
    judge(next(record for record in read_records(shared_data / "nasty.jsonl") if isinstance(record, Record)).sample, gates)
    slowest = 0.0
    for record in read_records(shared_data / "nasty.jsonl"):
        assert isinstance(record, Record)
        started = time.process_time()
        judge(record.sample, gates)
        slowest = max(slowest, time.process_time() - started)
    assert slowest < 1.0
    counts = gate_files([shared_data / "nasty.jsonl"], tmp_path / "out", chain())
    assert (counts.records, counts.unreadable) == (74, 0)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--gates", "lenght"], "unknown gate 'lenght': did you mean 'length'?", id="gate"),
        pytest.param(["--without", "nothing"], "--without nothing", id="without"),
        pytest.param(
            ["--gates", "denylist"], "one term on each line, or 'terms'; options are given in a recipe, by --recipe", id="options"
        ),
        pytest.param(["--gates", "semantic_dup"], "gate 'semantic_dup': name either 'model'", id="which gate"),
        pytest.param(["--gates", "schema", "--recipe", "r.yaml"], "give --recipe or --gates, not both", id="both"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "in.jsonl", {"instruction": "a", "output": "b"})
    assert call(["gate", str(file), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_duplicates_are_told_after_redaction_wherever_the_gates_stand(tmp_path: Path) -> None:
    records = [{"instruction": "Is ann.lee@ferrum.io a valid address?", "output": ANSWER}] * 2
    gates = [
        NamedGate("exact_dup", plugins.build("gates", "exact_dup", {})),
        NamedGate("pii", plugins.build("gates", "pii", {"action": "redact"})),
    ]
    counts = gate_files([write(tmp_path / "in.jsonl", *records)], tmp_path / "out", gates)
    assert (counts.accepted, counts.replaced) == (1, 1)
    assert [row["reasons"] for row in rows(tmp_path / "out" / "rejected.jsonl")] == [["exact_dup/exact_duplicate"]]


@pytest.mark.parametrize("name", ["accepted.jsonl", "rejected.jsonl", "unreadable.jsonl"])
def test_the_file_that_is_read_is_never_overwritten(name: str, tmp_path: Path) -> None:
    file = write(tmp_path / name, {"instruction": "Hi?", "output": ""})
    before = file.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(InputError, match="is the file to be read, which would be overwritten: take another --out"):
        gate_files([tmp_path / "elsewhere" / ".." / name], tmp_path, chain("schema"))
    assert file.read_bytes() == before


def test_a_link_to_the_input_is_not_overwritten_either(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", {"instruction": "Hi?", "output": ""})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "accepted.jsonl").symlink_to(file)
    with pytest.raises(InputError, match="would be overwritten"):
        gate_files([file], tmp_path / "out", chain("schema"))
    assert rows(file) == [{"instruction": "Hi?", "output": ""}]


def test_a_runs_folder_keeps_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "demo"
    run.mkdir()
    (run / "run.db").touch()
    kept = write(run / "accepted.jsonl", {"id": "of the run"})
    file = write(tmp_path / "in.jsonl", {"instruction": "Hi?", "output": ""})
    assert call(["gate", str(file), "--out", str(run)]) == 2
    assert "is a run's folder, whose accepted.jsonl and rejected.jsonl would be replaced: take another --out" in capsys.readouterr().err
    assert rows(kept) == [{"id": "of the run"}]
    assert sorted(path.name for path in run.iterdir()) == ["accepted.jsonl", "run.db"]
