from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gen.errors import InputError
from gen.ledger import Ledger
from gen.review import draw, news, read_sheet, reviewed, write_sheet
from gen.types import Malformed, Message, Outcome, Review, Sample, Task, kept, rejected

FORMULA = '=HYPERLINK("http://example.com","open me")'
TOLD = {"reviewer": "Ann", "time": "2026-01-02T03:04:05+00:00"}


def outcome(number: int, *, good: bool = True, reply: str = "An answer.") -> Outcome:
    task = Task("self_instruct", "bread", number, 0, 7)
    item = Sample(f"{number:016x}", (Message("user", f"Question {number}?"), Message("assistant", reply)))
    return Outcome(task, item, (kept("schema"),) if good else (rejected("length", "too_short"),))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "run.db")
    rows = [outcome(number, good=number % 3 > 0) for number in range(60)]
    rows.append(Outcome(Task("self_instruct", "bread", 99, 0, 7), Malformed("malformed", "unreadable_list")))
    made.write(list(enumerate(rows)))
    return made


def test_a_larger_draw_begins_with_the_smaller_one(ledger: Ledger) -> None:
    few = [one.item.id for one in draw(ledger, accepted=5, rejected=0, seed=4)]
    more = [one.item.id for one in draw(ledger, accepted=20, rejected=0, seed=4)]
    assert more[:5] == few
    assert [one.item.id for one in draw(ledger, accepted=5, rejected=0, seed=5)] != few


def test_rejected_ones_are_drawn_only_when_asked_for_and_replies_without_a_sample_never(ledger: Ledger) -> None:
    assert all(one.accepted for one in draw(ledger, accepted=100, rejected=0, seed=4))
    both = draw(ledger, accepted=3, rejected=100, seed=4)
    assert [one.accepted for one in both] == [True] * 3 + [False] * 20


def test_a_draw_stays_the_same_once_a_sample_of_it_is_rejected(ledger: Ledger) -> None:
    before = draw(ledger, accepted=5, rejected=0, seed=4)
    ledger.add_reviews([Review(before[0].item.id, keep=False)])
    assert draw(ledger, accepted=5, rejected=0, seed=4) == before


def test_the_share_of_good_ones_is_counted_on_what_the_gates_accepted(ledger: Ledger) -> None:
    assert reviewed(ledger) is None
    ledger.add_reviews([Review(f"{1:016x}", keep=True), Review(f"{2:016x}", keep=False), Review(f"{3:016x}", keep=True)])
    assert reviewed(ledger) == (1, 2)


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.jsonl"])
def test_a_sheet_comes_back_as_it_was_filled_in(name: str, ledger: Ledger, tmp_path: Path) -> None:
    drawn = draw(ledger, accepted=3, rejected=0, seed=4)
    said = {
        drawn[0].item.id: Review(drawn[0].item.id, False, "wrong", "-1 is no age", **TOLD),
        drawn[1].item.id: Review(drawn[1].item.id, True, **TOLD),
    }
    write_sheet(tmp_path / name, drawn, said)
    sheet = read_sheet(tmp_path / name, {one.item.id for one in drawn}, **TOLD)
    assert list(sheet.reviews) == list(said.values())
    assert sheet.blank == 1
    assert news(sheet.reviews, said) == []


def test_no_cell_of_a_sheet_is_a_formula_or_a_number_in_disguise(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.csv", [outcome(12, reply=FORMULA)], {f"{12:016x}": Review(f"{12:016x}", False, "x", FORMULA)})
    with (tmp_path / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["id"] == "#000000000000000c"
    assert row["note"] == f"'{FORMULA}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


def test_a_sheet_saved_with_semicolons_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("id;keep;reason;note\r\n#aa;N;Off topic;a, b\r\n#bb;;;\r\n", encoding="utf-8-sig")
    sheet = read_sheet(path, {"aa", "bb"}, **TOLD)
    assert [(one.sample, one.keep, one.reason, one.note) for one in sheet.reviews] == [("aa", False, "Off topic", "a, b")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("s.csv", "id,keep\n#zz,y\n", "row 1: id 'zz': the run has no sample of that id", id="unknown id"),
        pytest.param("s.csv", "id,keep\n#aa,maybe\n", "row 1: keep 'maybe': write y to keep, n to reject", id="neither"),
        pytest.param("s.csv", "name,keep\n#aa,y\n", "no column 'id'", id="no id"),
        pytest.param("s.jsonl", '{"id": "aa", "keep": "y"', "line 1: no JSON", id="broken"),
        pytest.param("s.jsonl", json.dumps({"id": "aa", "keep": "n", "note": "x" * 2001}), "the note has 2001 characters", id="too long"),
    ],
)
def test_a_sheet_that_cannot_be_right_is_explained(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_sheet(tmp_path / name, {"aa"}, **TOLD)
    assert message in str(caught.value)


def test_another_suffix_is_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a sheet is a \.csv or a \.jsonl file"):
        write_sheet(tmp_path / "sheet.xlsx", [], {})


def test_the_last_word_is_in_force_and_the_others_are_kept(ledger: Ledger) -> None:
    name = f"{1:016x}"
    ledger.add_reviews([Review(name, False, "Off topic!", "asks for recipes"), Review(name, True)])
    assert [one.keep for one in ledger.reviews()] == [False, True]
    assert ledger.refused() == {}
    ledger.add_reviews([Review(name, False, "Off topic!", "asks for recipes")])
    (found,) = ledger.find(name)
    assert (found.accepted, found.reasons, found.verdicts[-1].detail) == (False, ("review/off_topic",), "asks for recipes")


def test_a_persons_keep_overrules_no_gate(ledger: Ledger) -> None:
    ledger.add_reviews([Review(f"{3:016x}", keep=True)])
    (found,) = ledger.find(f"{3:016x}")
    assert found.reasons == ("length/too_short",)
