from __future__ import annotations

import json
from pathlib import Path

import pytest
from gating_sets import chain, rows, write

from gen.errors import InputError
from gen.gating.dataset import gate_files

FAMILY = [
    {"instruction": "Explain how a tide comes about.", "output": "The moon pulls.", "stars": 3},
    {"instruction": "Name the capital of Norway.", "output": "Oslo is the capital.", "stars": 1},
    {"instruction": "Please explain how a tide comes about!", "output": "The moon pulls the water, and the sun does too.", "stars": 2},
    {"instruction": "explain how a tide comes about", "output": "Gravity.", "stars": 5},
]


def kept(tmp_path: Path, keep: str, records: list[dict[str, object]] | None = None) -> list[str]:
    gate_files([write(tmp_path / "in.jsonl", *(records or FAMILY))], tmp_path / "out", chain("exact_dup", "near_dup"), keep=keep)
    return [row["output"] for row in rows(tmp_path / "out" / "accepted.jsonl")]


@pytest.mark.parametrize(
    ("keep", "place"),
    [("first", 0), ("longest", 2), ("score:stars", 3)],
)
def test_the_best_of_a_family_stays_where_it_stood(keep: str, place: int, tmp_path: Path) -> None:
    expected = [str(FAMILY[one]["output"]) for one in sorted((1, place))]
    assert kept(tmp_path, keep) == expected
    rejected = rows(tmp_path / "out" / "rejected.jsonl")
    assert [row["output"] for row in rejected] == [row["output"] for row in FAMILY if row["output"] not in expected]
    assert all(f"as in.jsonl:{place + 1} (similarity" in row["detail"] for row in rejected)


def test_of_equals_the_first_stays(tmp_path: Path) -> None:
    same = [FAMILY[0] | {"output": text} for text in ("Three words here.", "Words three here.", "Here three words.")]
    assert kept(tmp_path, "longest", same) == ["Three words here."]


def test_a_score_may_lie_deeper_and_be_missing(tmp_path: Path) -> None:
    records = [dict(row, scores={"rubric": {"value": value}}) for row, value in zip(FAMILY[::2], (2, 4.5), strict=True)]
    records.append({"instruction": "Explain how a tide comes about?", "output": "No score.", "scores": None})
    assert kept(tmp_path, "score:scores.rubric.value", records) == [FAMILY[2]["output"]]


def test_a_rejected_record_never_stands_for_its_family(tmp_path: Path) -> None:
    records = [FAMILY[0], FAMILY[2] | {"output": "The moon pulls the water, and " * 40}]
    file = write(tmp_path / "in.jsonl", *records)
    counts = gate_files([file], tmp_path / "out", chain("repetition", "near_dup"), keep="longest")
    assert [row["output"] for row in rows(tmp_path / "out" / "accepted.jsonl")] == ["The moon pulls."]
    assert counts.rejected == 1


def test_a_score_that_no_record_has_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--keep score:quality: no record has a number there"):
        kept(tmp_path, "score:quality")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


@pytest.mark.parametrize("keep", ["best", "score", "score:", "score:a..b", "longest:reply"])
def test_a_wrong_rule_is_told(keep: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="say first, longest or score:FIELD"):
        kept(tmp_path, keep)


def test_odd_texts_survive_the_journal(tmp_path: Path) -> None:
    odd = [{"instruction": f"What is \ud800 number {n}?", "output": "It is \udfff a half sign.", "n": 10**30} for n in (1, 2)]
    file = tmp_path / "in.json"
    file.write_text(json.dumps(odd), encoding="utf-8")
    for keep in ("first", "longest"):
        gate_files([file], tmp_path / keep, chain("near_dup", "exact_dup", "novelty", novelty={"threshold": 1.0}), keep=keep)
    assert (tmp_path / "first" / "accepted.jsonl").read_bytes() == (tmp_path / "longest" / "accepted.jsonl").read_bytes()
    assert (tmp_path / "first" / "accepted.jsonl").read_bytes().count(b"\n") == 2
