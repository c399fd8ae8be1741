"""Gates that look at a record's own labels find them in `sluice gate` too."""

from __future__ import annotations

import json
from pathlib import Path

from gen import plugins
from gen.gating.dataset import gate_files
from gen.pipeline import NamedGate
from gen.types import freeze

QUESTIONS = ["What is a lease?", "Who pays the deposit?", "When may rent rise?", "Where is a defect told?", "Which notice is due?"]


def put(folder: Path, *rows: dict[str, object]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def rejected(folder: Path) -> list[tuple[str, str]]:
    return [(row["instruction"], row["reason"]) for row in map(json.loads, (folder / "rejected.jsonl").read_text("utf-8").splitlines())]


def test_a_topic_and_any_field_of_the_records_may_be_capped(tmp_path: Path) -> None:
    rows = [
        {"instruction": text, "output": "It is so.", "topic": "law" if place < 3 else "tax", "level": 1}
        for place, text in enumerate(QUESTIONS)
    ]
    gate = plugins.build("gates", "balance", freeze({"topic": 2, "fields": {"level": 3}}))
    counts = gate_files([put(tmp_path, *rows)], tmp_path / "out", [NamedGate("balance", gate)], processes=2)
    assert (counts.accepted, dict(counts.reasons)) == (3, {"balance/topic_over_cap": 1, "balance/field_over_cap": 1})
    assert rejected(tmp_path / "out") == [(QUESTIONS[2], "topic_over_cap"), (QUESTIONS[4], "field_over_cap")]
    kept = (tmp_path / "out" / "accepted.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in kept] == [rows[0], rows[1], rows[3]]


def test_the_language_wanted_may_hang_on_the_topic(tmp_path: Path) -> None:
    german = "Die Kündigungsfrist für Wohnungen beträgt nach dem Gesetz drei Monate."
    english = "The notice period for flats is three months under the law of that country."
    rows = [
        {"instruction": "Wie lang ist die Kündigungsfrist für Wohnungen?", "output": german, "topic": "Mietrecht: Wohnungen"},
        {"instruction": "How long is the notice period for flats?", "output": english, "topic": "Mietrecht: Wohnungen"},
        {"instruction": "How long is the notice period for a flat there?", "output": english, "topic": "tenancy"},
    ]
    gate = plugins.build("gates", "language", freeze({"by_topic": {"mietrecht*": "de"}}))
    counts = gate_files([put(tmp_path, *rows)], tmp_path / "out", [NamedGate("language", gate)], processes=2)
    assert (counts.accepted, dict(counts.reasons)) == (2, {"language/wrong_language": 1})
    assert rejected(tmp_path / "out")[0][0] == "How long is the notice period for flats?"
