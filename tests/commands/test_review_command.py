from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands in for the keyboard: the lines given, then the end of the input."""

    def type_in(*lines: str) -> None:
        waiting: Iterator[str] = iter(lines)

        def answer(question: str) -> str:
            print(question)
            try:
                return next(waiting)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", answer)

    return type_in


def test_what_is_rejected_leaves_the_exports_and_is_named_as_review(
    small_run: Path, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows(small_run / "accepted.jsonl")
    typed("n", "Off topic", "not about banks", "y", "s", "q")
    assert call(["review", str(small_run), "--reviewer", "Ann"]) == 0
    shown = capsys.readouterr().out
    assert "--- 1 of 14 ·" in shown
    assert "2 new labels" in shown
    after = rows(small_run / "accepted.jsonl")
    (gone,) = {row["id"] for row in before} - {row["id"] for row in after}
    fate = next(row for row in rows(small_run / "rejected.jsonl") if row["id"] == gone)
    assert (fate["gate"], fate["reason"], fate["detail"], fate["reasons"]) == (
        "review",
        "off_topic",
        "not about banks",
        ["review/off_topic"],
    )
    written = "".join(path.read_text(encoding="utf-8") for path in (small_run / "sft").glob("*.jsonl"))
    assert next(row for row in before if row["id"] == gone)["messages"][-1]["content"][:40] not in written
    assert "reviewed" in (small_run / "quality-report.md").read_text(encoding="utf-8").lower()


def test_going_on_asks_for_the_rest_only(small_run: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("y", "y")
    assert call(["review", str(small_run), "--count", "5"]) == 0
    assert "--- 3 of 5 ·" in capsys.readouterr().out
    typed("y", "y", "y")
    assert call(["review", str(small_run), "--count", "5"]) == 0
    shown = capsys.readouterr().out
    assert "--- 1 of 3 ·" in shown
    assert "5 of 5 accepted samples reviewed are good" in shown


def test_a_label_put_right_brings_the_sample_back_byte_for_byte(small_run: Path, typed: Any) -> None:
    names = ("accepted.jsonl", "rejected.jsonl", "sft/train.jsonl")
    before = [(small_run / name).read_bytes() for name in names]
    name = rows(small_run / "accepted.jsonl")[0]["id"]
    typed("n", "wrong", "")
    assert call(["review", str(small_run), "--ids", name]) == 0
    assert (small_run / "accepted.jsonl").read_bytes() != before[0]
    typed("y")
    assert call(["review", str(small_run), "--ids", name]) == 0
    assert [(small_run / name).read_bytes() for name in names] == before


def test_what_a_terminal_would_obey_is_spelled_out(small_run: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("n", "\x1b[2Jwrong", "\x1b]0;title\x07")
    name = rows(small_run / "accepted.jsonl")[0]["id"]
    assert call(["review", str(small_run), "--ids", name]) == 0
    capsys.readouterr()
    typed("q")
    assert call(["review", str(small_run), "--ids", name]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert call(["show", str(small_run), name]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_sheet_is_written_filled_in_elsewhere_and_read_back(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.jsonl"
    assert call(["review", str(small_run), "--count", "4", "--sheet", str(sheet)]) == 0
    filled = rows(sheet)
    for row, keep in zip(filled, ("y", "n", "y", ""), strict=True):
        row["keep"] = keep
    sheet.write_text("".join(json.dumps(row) + "\n" for row in filled), encoding="utf-8")
    capsys.readouterr()
    for labelled in (3, 0):
        assert call(["review", str(small_run), "--labels", str(sheet), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["labelled"], told["blank"], told["reviewed"], told["good"]) == (labelled, 1, 3, 2)


def test_a_wrong_sheet_changes_nothing(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = rows(small_run / "accepted.jsonl")[0]["id"]
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"id,keep\n#{name},n\n#nobody,n\n", encoding="utf-8")
    assert call(["review", str(small_run), "--labels", str(sheet)]) == 2
    assert "row 2: id 'nobody'" in capsys.readouterr().err
    assert name in (small_run / "accepted.jsonl").read_text(encoding="utf-8")


def test_the_lab_standard_reads_the_labels(small_run: Path, typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def quality() -> dict[str, str]:
        capsys.readouterr()
        call(["audit", str(small_run), "--standard", "lab", "--json"])
        found: list[dict[str, str]] = json.loads(capsys.readouterr().out)["standard"]["criteria"]
        return next(one for one in found if one["name"] == "quality")

    assert quality()["result"] == "not reviewed"
    typed(*["y"] * 9, "n", "wrong", "")
    assert call(["review", str(small_run), "--count", "10"]) == 0
    assert (quality()["result"], quality()["detail"][:22]) == ("pass", "9 of 10 inspected are ")


def test_a_review_is_asked_for_again_with_its_note_and_stays_on_a_later_run(
    small_run: Path, typed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = rows(small_run / "accepted.jsonl")[2]["id"]
    typed("n", "incomplete", "say how long")
    assert call(["review", str(small_run), "--ids", name]) == 0
    cache = ["--cache", str(tmp_path / "cache.db")]
    capsys.readouterr()
    assert call(["run", str(tmp_path / "recipe.yaml"), "--out", str(small_run), "--quiet", *cache]) == 1
    shown = capsys.readouterr().out
    assert f"1 rejected in review are left out; `sluice regenerate {small_run} --gate review` asks for them again" in shown
    assert call(["regenerate", str(small_run), "--gate", "review", "--json", *cache]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["asked"], told["recovered"][0]["fate"], told["recovered"][0]["accepted"]) == (1, "review/incomplete", 1)
    accepted = rows(small_run / "accepted.jsonl")
    (child,) = [row for row in accepted if name in row["provenance"]["parents"]]
    assert (len(accepted), child["attempt"]) == (14, 1)
    assert call(["show", str(small_run), name]) == 0
    assert f"led to {child['id']} (accepted" in capsys.readouterr().out
    before = [(small_run / file).read_bytes() for file in ("accepted.jsonl", "rejected.jsonl")]
    assert call(["run", str(tmp_path / "recipe.yaml"), "--out", str(small_run), "--json", *cache]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["session"]["requests"], told["rejected_in_review"]) == (0, 0)
    assert [(small_run / file).read_bytes() for file in ("accepted.jsonl", "rejected.jsonl")] == before
    assert "| review/incomplete | 1 | 1 |" in (small_run / "quality-report.md").read_text(encoding="utf-8")


def test_what_a_person_called_unsafe_is_asked_for_again_only_when_told(
    small_run: Path, typed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = rows(small_run / "accepted.jsonl")[0]["id"]
    typed("n", "unsafe", "")
    assert call(["review", str(small_run), "--ids", name]) == 0
    again = ["regenerate", str(small_run), "--cache", str(tmp_path / "cache.db"), "--json"]
    assert call([*again, "--gate", "review"]) == 1
    assert call([*again, "--ids", name]) == 2
    assert "rejected as unsafe (review/unsafe); --include-unsafe asks for it again all the same" in capsys.readouterr().err
    assert call([*again, "--ids", name, "--include-unsafe"]) == 0
    assert json.loads(capsys.readouterr().out)["recovered"][0] == {"fate": "review/unsafe", "asked": 1, "accepted": 1}
