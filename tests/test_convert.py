"""Any dataset in another format: what does not fit is counted and listed, and commands read every layout and container alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.containers import write_rows
from gen.records import Record, read_records

Captured = pytest.CaptureFixture[str]
ANSWER = "A controller keeps personal data no longer than its purpose needs, and then deletes it or makes it anonymous for good."
ROWS: list[dict[str, Any]] = [
    {"id": "one", "instruction": "How long may a controller keep data?", "input": "", "output": ANSWER},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "simulated": True},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "x"}]},
    {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
    {"prompt": "Why?", "completion": "Because.", "label": False},
    {"text": "Once upon a time.\n\nThere was a paragraph."},
    {"body": 3},
]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    (tmp_path / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "{broken\n", encoding="utf-8")
    return tmp_path / "mixed.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_a_format_cannot_hold_is_listed_with_its_line_and_reason(mixed: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out"
    assert call(["export", str(mixed), "--to", "sharegpt", "--out", str(out)]) == 1
    assert [len(row["conversations"]) for row in lines(out / "mixed.jsonl")] == [2, 2]
    assert lines(out / "mixed.jsonl")[1]["simulated"] is True
    assert [(row["line"], row["reason"]) for row in lines(out / "left-out.jsonl")] == [
        (3, "no_reply"), (4, "pair"), (5, "undesired"), (6, "no_turns"),
    ]  # fmt: skip
    assert [(row["line"], row["reason"]) for row in lines(out / "unreadable.jsonl")] == [(7, "unknown_shape"), (8, "invalid_json")]
    shown = capsys.readouterr().out
    assert "2 rows of 6 records" in shown
    assert "4 left out (no_reply 1, pair 1, undesired 1, no_turns 1): each of them in" in shown


def test_documents_leave_out_what_is_not_to_be_learnt_and_calls_of_tools(tmp_path: Path) -> None:
    ask, call_of_tool = {"role": "user", "content": "Why?"}, {"function": {"name": "search", "arguments": "{}"}}
    answers = ({"content": "Because."}, {"content": "No.", "weight": 0}, {"content": "", "tool_calls": [call_of_tool]})
    rows = [{"messages": [ask, {"role": "assistant", **answer}]} for answer in answers]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert call(["export", str(tmp_path / "a.jsonl"), "--to", "documents", "--out", str(tmp_path / "out")]) == 0
    assert [row["text"] for row in lines(tmp_path / "out" / "a.jsonl")] == ["Because."]
    assert [row["reason"] for row in lines(tmp_path / "out" / "left-out.jsonl")] == ["loss_weight", "tool_turn"]


def test_a_message_that_thinks_beside_its_content_is_left_out_and_named(tmp_path: Path) -> None:
    ask = {"role": "user", "content": "Why?"}
    rows = [{"messages": [ask, {"role": "assistant", "content": "Because.", "reasoning_content": thought}]} for thought in ("Hm.", None)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert call(["export", str(tmp_path / "a.jsonl"), "--to", "openai", "--out", str(tmp_path / "out")]) == 0
    assert len(lines(tmp_path / "out" / "a.jsonl")) == 1
    [left] = lines(tmp_path / "out" / "left-out.jsonl")
    assert (left["line"], left["reason"]) == (1, "has_thinking")
    assert left["detail"].startswith("messages[1].reasoning_content has no place")


def test_where_nothing_can_be_written_the_first_record_says_why(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a.csv").write_text("prompt,completion\na\nb\n")
    assert call(["export", str(tmp_path / "a.csv"), "--to", "chatml", "--out", str(tmp_path / "out")]) == 2
    assert "nothing to write as chatml (wrong_columns 2); line 1: 1 cells, the header has 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("preference", [{"prompt": [{"role": "user", "content": "Why?"}]}]),
        ("kto", [{"label": True}, {"label": False}, {"label": False}]),
        ("text", [{"text": "Once upon a time.\n\nThere was a paragraph."}]),
        ("prompt_completion_text", [{"completion": ANSWER}, {"completion": "Hello"}]),
    ],
)
def test_each_format_takes_what_it_is_for(name: str, expected: list[dict[str, Any]], mixed: Path, tmp_path: Path) -> None:
    call(["export", str(mixed), "--to", name, "--out", str(tmp_path / "out")])
    found = lines(tmp_path / "out" / "mixed.jsonl")
    assert [{key: row[key] for key in want} for row, want in zip(found, expected, strict=True)] == expected


def test_documents_are_chunked_and_tell_where_they_come_from(mixed: Path, tmp_path: Path) -> None:
    call(["export", str(mixed), "--formats", "documents", "--out", str(tmp_path / "out"), "--max-words", "4"])
    found = lines(tmp_path / "out" / "mixed.jsonl")
    assert "".join(row["text"] for row in found if row["document"] == "one") == ANSWER
    assert [row["text"] for row in found if row["document"] == "line 6"] == ["Once upon a time.\n\n", "There was a paragraph."]


@pytest.mark.parametrize("container", ["json", "parquet", "csv", "arrow"])
def test_gate_audit_and_pack_read_every_container(container: str, tmp_path: Path, capsys: Captured) -> None:
    rows = [{"instruction": f"Question {number} of a list?", "output": f"{ANSWER} This is answer {number}."} for number in range(3)]
    write_rows(container, tmp_path, "train", rows, {"instruction": "string", "output": "string"})
    [source] = list(tmp_path.iterdir())
    assert call(["gate", str(source), "--out", str(tmp_path / "gated"), "--gates", "schema,length", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 3
    assert lines(tmp_path / "gated" / "accepted.jsonl") == rows
    for target in (source, tmp_path):
        assert call(["audit", str(target), "--json"]) in (0, 1)
        assert json.loads(capsys.readouterr().out)["records"] == 3
    assert call(["pack", str(source), "--tokenizer", "shipped", "--out", str(tmp_path / "packed"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 3


def test_columns_of_other_names_reach_every_command(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a.csv").write_text(f'q,a\nWhat is a purpose?,"{ANSWER}"\n', encoding="utf-8")
    named = ["--columns", "prompt=q,completion=a"]
    assert call(["gate", str(tmp_path / "a.csv"), "--out", str(tmp_path / "gated"), *named]) == 0
    assert call(["audit", str(tmp_path / "a.csv"), "--json", *named]) in (0, 1)
    assert call(["pack", str(tmp_path / "a.csv"), "--tokenizer", "shipped", *named]) == 0
    assert call(["export", str(tmp_path / "a.csv"), "--to", "chatml", "--out", str(tmp_path / "out"), *named]) == 0
    assert lines(tmp_path / "out" / "a.jsonl")[0]["messages"][0] == {"role": "user", "content": "What is a purpose?"}


def test_a_pair_is_gated_by_its_chosen_answer_and_secrets_of_both(tmp_path: Path) -> None:
    mail = "ask maria.kovacs@corporation.org"
    rows = [
        {"prompt": "How long may data be kept?", "chosen": ANSWER, "rejected": "no"},
        {"prompt": "Who is to be asked about it?", "chosen": f"{ANSWER} So it is.", "rejected": mail},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    call(["gate", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "gated")])
    assert lines(tmp_path / "gated" / "accepted.jsonl") == rows[:1]
    [lost] = lines(tmp_path / "gated" / "rejected.jsonl")
    assert lost["gate"] == "pii"


def test_a_redacted_pair_stays_a_pair(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nmodels: {w: {provider: simulator}}\nsources: {topics: [a]}\nstrategies: [{name: self_instruct, model: w}]\n"
        "goal: {accepted: 1}\ngates: [{name: pii, action: redact}]\n",
        encoding="utf-8",
    )
    row = {"prompt": "Who?", "chosen": "Ask maria.kovacs@corporation.org now", "rejected": "Or peter.nagy@corporation.org then", "id": 7}
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert call(["gate", str(tmp_path / "a.jsonl"), "--recipe", str(recipe), "--out", str(tmp_path / "gated")]) == 0
    [record] = read_records(tmp_path / "gated" / "accepted.jsonl")
    assert isinstance(record, Record)
    assert record.pair is not None
    assert "@" not in record.pair.chosen[0].content + record.pair.rejected[0].content
    assert (record.pair.prompt[0].content, record.fields["id"]) == ("Who?", 7)


def test_texts_are_gated_and_audited_without_turns(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": ANSWER}), encoding="utf-8")
    assert call(["gate", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "gated"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 1
    call(["audit", str(tmp_path / "a.jsonl"), "--json"])
    assert "no_user_turn" not in capsys.readouterr().out
    assert call(["pack", str(tmp_path / "a.jsonl"), "--tokenizer", "shipped"]) == 0
    assert "1 plain text, without a template" in capsys.readouterr().out


def test_a_mix_takes_other_containers_and_columns(tmp_path: Path, capsys: Captured) -> None:
    rows = [{"q": f"What is rule {number} about?", "a": f"{ANSWER} Rule {number}."} for number in range(12)]
    write_rows("parquet", tmp_path, "rules", rows, {"q": "string", "a": "string"})
    (tmp_path / "mix.yaml").write_text(
        "name: m\ntotal: 10\ndatasets: {rules: {path: rules.parquet, weight: 1, columns: 'prompt=q,completion=a'}}\n", encoding="utf-8"
    )
    assert call(["mix", str(tmp_path / "mix.yaml"), "--out", str(tmp_path / "mixed")]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["FILE"], "give one with --to, got none"),
        (["FILE", "--to", "chatml,alpaca", "--out", "OUT"], "one format at a time"),
        (["FILE", "--to", "chatml"], "name the folder to write to with --out"),
        (["FILE", "--to", "chatm", "--out", "OUT"], "did you mean 'chatml'"),
        (["FILE", "--to", "chatml", "--out", "FOLDER"], "would be overwritten"),
        (["FILE", "--to", "chatml", "--out", "OUT", "--max-words", "3"], "--max-words is for documents"),
        (["FILE", "--to", "documents", "--out", "OUT", "--max-words", "3", "--overlap", "3"], "overlap must be at least 0 and below"),
        (["FILE", "--to", "chatml", "--out", "OUT", "--push", "a/b"], "--push is for a run's folder"),
        (["FILE", "--to", "chatml", "--out", "OUT", "--require-approval", "training"], "a file has no card"),
        (["gone", "--to", "chatml", "--out", "OUT"], "no such run folder or file: gone"),
        (["FILE", "--to", "chatml", "--out", "OUT", "--layout", "flan"], "nothing to write as chatml (unknown_shape 7, invalid_json 1)"),
    ],
)
def test_a_wrong_wish_is_one_line(arguments: list[str], problem: str, mixed: Path, tmp_path: Path, capsys: Captured) -> None:
    places = {"FILE": str(mixed), "OUT": str(tmp_path / "out"), "FOLDER": str(tmp_path)}
    assert call(["export", *(places.get(one, one) for one in arguments)]) == 2
    shown = capsys.readouterr().err
    assert problem in shown
    assert shown.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["mixed.jsonl"]
