"""Every layout that datasets come in, by its keys, by name and by the meaning of its columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import InputError
from gen.records import Record, Unreadable, read_records, reading_of
from gen.records.layouts import NAMES, Found, Problem, find_layout
from gen.types import Message, ToolCall

ASK, GOOD, BAD = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}, {"role": "assistant", "content": "No"})
SAID = [("user", "Hi"), ("assistant", "Yes")]
HUMAN, GPT = {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"}
EARLIER = [("user", "a"), ("assistant", "b")]
HH_SAID = [("user", "Hi"), ("assistant", "Hello"), ("user", "And?")]
HH = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: And?\n\nAssistant: "


def read(fields: dict[str, Any], layout: str = "") -> Found:
    found = find_layout(fields, layout)
    assert isinstance(found, Found), found
    return found


def said(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in messages]


@pytest.mark.parametrize(
    ("layout", "fields", "messages"),
    [
        ("chatml", {"messages": [ASK, GOOD]}, SAID),
        ("sharegpt", {"conversations": [HUMAN, GPT], "system": "S"}, [("system", "S"), *SAID]),
        ("alpaca", {"instruction": "Hi", "input": None, "output": "Yes", "history": [["a", "b"]]}, [*EARLIER, *SAID]),
        ("dolly", {"instruction": "Sum", "context": "1", "response": "One"}, [("user", "Sum\n\n1"), ("assistant", "One")]),
        ("dolly", {"instruction": "Hi", "context": "", "response": "Yes"}, SAID),
        ("orca", {"id": "x", "system_prompt": "S", "question": "Hi", "response": "Yes"}, [("system", "S"), *SAID]),
        ("flan", {"inputs": "Hi", "targets": "Yes"}, SAID),
        ("prompt_completion", {"prompt": "Hi", "completion": "Yes"}, SAID),
        ("question_answer", {"question": "Hi", "answer": "Yes"}, SAID),
        ("kto", {"prompt": [ASK], "completion": [GOOD], "label": True}, SAID),
        ("text", {"text": "Once."}, [("assistant", "Once.")]),
        ("openai_preference", {"input": {"messages": [ASK]}, "preferred_output": [GOOD], "non_preferred_output": [BAD]}, SAID),
        ("preference", {"prompt": [ASK], "chosen": [GOOD], "rejected": [BAD]}, SAID),
        ("preference", {"prompt": "Hi", "chosen": "Yes", "rejected": "No"}, SAID),
        ("preference", {"chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, SAID),
        ("preference", {"prompt": "Hi", "chosen": [ASK, GOOD], "rejected": [ASK, BAD], "messages": [ASK, GOOD]}, SAID),
        ("preference", {"prompt": "About", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, SAID),
        ("preference", {"conversations": [HUMAN], "chosen": GPT, "rejected": BAD}, SAID),
        ("preference", {"question": "Hi", "system": "S", "chosen": "Yes", "rejected": "No"}, [("system", "S"), *SAID]),
        ("preference", {"chosen": "The sky is blue.", "rejected": "The sky is green."}, [("user", "The sky is "), ("assistant", "blue.")]),
        ("hh_rlhf", {"chosen": f"{HH}Yes", "rejected": f"{HH}No"}, [*HH_SAID, ("assistant", "Yes")]),
    ],
)  # fmt: skip
def test_a_layout_is_told_by_its_keys(layout: str, fields: dict[str, Any], messages: list[tuple[str, str]]) -> None:
    found = read(fields)
    assert (found.layout, said(found.messages)) == (layout, messages)
    assert read(fields, layout).messages == found.messages
    assert layout in NAMES


@pytest.mark.parametrize(
    ("fields", "chosen", "rejected"),
    [
        ({"prompt": "Hi", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, "Yes", "No"),
        ({"chosen": f"{HH}Yes", "rejected": f"{HH}No"}, "Yes", "No"),
        ({"chosen": "It is good", "rejected": "It is bad"}, "good", "bad"),
    ],
)
def test_a_pair_has_its_prompt_and_both_sides(fields: dict[str, Any], chosen: str, rejected: str) -> None:
    sides = read(fields).sides
    assert sides is not None
    assert ([one.content for one in sides.chosen], [one.content for one in sides.rejected]) == ([chosen], [rejected])
    assert sides.prompt[-1].role == "user"


def test_tools_calls_and_weights_are_kept() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    turns = [
        ASK,
        {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
        {"role": "tool", "tool_call_id": "c1", "name": "add", "content": "1"},
        {"role": "assistant", "content": "One", "train": True},
    ]
    found = read({"messages": turns, "tools": [{"type": "function", "function": {"name": "add"}}]})
    assert found.messages[1] == Message("assistant", "", (ToolCall("add", '{"a": 1}', "c1"),), weight=0.0)
    assert found.messages[2] == Message("tool", "1", tool_call_id="c1", name="add")
    assert found.messages[3].weight == 1.0
    assert json.loads(found.tools) == [{"type": "function", "function": {"name": "add"}}]


@pytest.mark.parametrize(
    "turn",
    [
        {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
        {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a":1}'}},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "add", "arguments": {"a": 1}}]},
    ],
)
def test_a_call_in_any_form_is_one(turn: dict[str, Any]) -> None:
    assert read({"messages": [ASK, turn]}).messages[1] == Message("assistant", "", (ToolCall("add", '{"a":1}'),))


@pytest.mark.parametrize(
    ("fields", "reason", "problem"),
    [
        ({"messages": [ASK, {**GOOD, "weight": "x"}]}, "wrong_type", "messages[1].weight must be a number from 0"),
        ({"messages": [ASK, {**GOOD, "weight": True}]}, "wrong_type", "messages[1].weight"),
        ({"messages": [ASK, {**GOOD, "train": 1}]}, "wrong_type", "messages[1].train must be true or false"),
        ({"messages": [ASK, {**GOOD, "tool_calls": {"a": 1}}]}, "wrong_type", "messages[1].tool_calls must be a list"),
        ({"messages": [ASK, {**GOOD, "tool_calls": [{"function": {}}]}]}, "wrong_type", "messages[1].tool_calls[0] names no function"),
        ({"messages": [ASK, GOOD], "tools": {"a": 1}}, "wrong_type", "'tools' must be a list"),
        ({"messages": [ASK, GOOD], "tools": "none"}, "wrong_type", "'tools' must be a list"),
        ({"messages": [{"role": "user", "content": None}]}, "wrong_type", "messages[0].content must be a text, got null"),
        ({"chosen": "same", "rejected": "same"}, "no_preference", "say the same"),
        ({"chosen": [ASK], "rejected": [ASK, GOOD]}, "no_preference", "one is the beginning of the other"),
        ({"chosen": [], "rejected": [GOOD]}, "wrong_type", "'chosen' is an empty list"),
        ({"chosen": 3, "rejected": "x"}, "wrong_type", "'chosen' must be a text or a list of messages, got a number"),
        ({"input": "x", "preferred_output": [GOOD], "non_preferred_output": [BAD]}, "wrong_type", "'input' must be an object"),
        ({"instruction": "a", "output": "b", "history": [["one"]]}, "wrong_type", "'history' must be a list of pairs"),
        ({"text": 3}, "wrong_type", "'text' must be a text, got a number"),
        ({"body": "x"}, "unknown_shape", "its keys are body"),
        ({"question": "a", "answer": "b", "response": "c"}, "ambiguous", "which differ: say which with --columns prompt="),
        ({"messages": [ASK, GOOD], "instruction": "x", "output": "y"}, "ambiguous", "--layout chatml or --layout alpaca"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, Any], reason: str, problem: str) -> None:
    found = find_layout(fields)
    assert isinstance(found, Problem)
    assert found.reason == reason
    assert problem in found.detail


def test_two_layouts_that_say_the_same_are_no_trouble() -> None:
    assert read({"messages": [ASK, GOOD], "prompt": "Hi", "completion": "Yes", "text": "rendered"}).layout == "chatml"
    assert read({"messages": [ASK, GOOD], "instruction": "x", "output": "y"}, "alpaca").messages[0].content == "x"


def records(path: Path, *rows: dict[str, Any], layout: str = "", columns: str = "") -> list[Record | Unreadable]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read_records(path, reading_of(layout, columns)))


def test_an_ambiguous_file_is_refused_at_its_first_record_and_a_later_one_named(tmp_path: Path) -> None:
    odd = {"prompt": "a", "completion": "b", "response": "c"}
    with pytest.raises(InputError, match=r"row 1 has the keys of .*--columns"):
        records(tmp_path / "a.jsonl", odd)
    found = records(tmp_path / "a.jsonl", {"prompt": "a", "completion": "b"}, odd)
    assert [one.reason for one in found if isinstance(one, Unreadable)] == ["ambiguous"]


@pytest.mark.parametrize(
    ("columns", "row", "layout"),
    [
        ("prompt=q,completion=a,system=s", {"q": "Hi", "a": "Yes", "s": "S"}, "alpaca"),
        ("prompt=q,context=c,completion=a", {"q": "Hi", "c": "C", "a": "Yes"}, "alpaca"),
        ("prompt=q,chosen=good,rejected=bad", {"q": "Hi", "good": "Yes", "bad": "No"}, "preference"),
        ("chosen=good,rejected=bad", {"good": f"{HH}Yes", "bad": f"{HH}No"}, "hh_rlhf"),
        ("prompt=q,completion=a,label=ok", {"q": "Hi", "a": "Yes", "ok": False}, "kto"),
        ("messages=turns,tools=functions", {"turns": [ASK, GOOD], "functions": "[]"}, "chatml"),
        ("text=body", {"body": "Hi"}, "text"),
    ],
)
def test_columns_of_any_name_are_read(columns: str, row: dict[str, Any], layout: str, tmp_path: Path) -> None:
    [record] = records(tmp_path / "a.jsonl", row, columns=columns)
    assert isinstance(record, Record), record
    assert record.layout == layout
    assert record.fields == row


@pytest.mark.parametrize(
    ("layout", "columns", "problem"),
    [
        ("alpca", "", r"did you mean 'alpaca'"),
        ("alpaca", "text=x", "not both"),
        ("", "prompt", r"write MEANING=COLUMN"),
        ("", "answer=x", r"choose from prompt, context, completion"),
        ("", "prompt=x", r"no whole record"),
        ("", "text=x,text=y", r"stands there twice"),
    ],
)
def test_a_wrong_way_to_read_is_told_before_reading(layout: str, columns: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        reading_of(layout, columns)


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 1 has no column 'q'; it has a, b"):
        records(tmp_path / "a.jsonl", {"a": "x", "b": "y"}, columns="prompt=q,completion=a")
    found = records(tmp_path / "a.jsonl", {"q": "x", "a": "y"}, {"b": "y"}, columns="prompt=q,completion=a")
    assert [one.reason for one in found if isinstance(one, Unreadable)] == ["missing_column"]


def test_a_column_that_no_row_has_is_told_in_the_end_and_one_that_some_have_is_taken(tmp_path: Path) -> None:
    rows = [{"q": "x", "a": "y"}, {"q": "x", "a": "z", "persona": "Be kind."}]
    with pytest.raises(InputError, match=r"no row has a column 'persna'; the first has a, q"):
        records(tmp_path / "a.jsonl", *rows, columns="prompt=q,completion=a,system=persna")
    found = records(tmp_path / "a.jsonl", *rows, columns="prompt=q,completion=a,system=persona")
    assert [len(one.sample.messages) for one in found if isinstance(one, Record)] == [2, 3]


@pytest.mark.parametrize(("label", "read"), [(0, False), (1, True), (0.0, False), ("0", False), ("1", True), (2, None), ("billing", None)])
def test_a_label_of_0_or_1_says_whether_an_answer_is_wanted(label: object, read: bool | None, tmp_path: Path) -> None:
    [found] = records(tmp_path / "a.jsonl", {"prompt": "a", "completion": "b", "label": label})
    assert isinstance(found, Record)
    assert found.sample.label is read


def test_what_cannot_be_learnt_as_a_conversation_says_why(tmp_path: Path) -> None:
    rows = [{"text": "Once."}, {"prompt": "a", "completion": "b", "label": False}, {"prompt": "a", "completion": "b", "label": True}]
    rows.append({"prompt": "a", "chosen": "b", "rejected": "c"})
    ask = {"role": "user", "content": "a"}
    rows.append({"messages": [ask, {"role": "assistant", "content": "b", "reasoning_content": "c"}]})
    rows.append({"messages": [ask, {"role": "assistant", "content": "b", "reasoning_content": None, "thinking": ""}]})
    found = [one.untrainable[0] for one in records(tmp_path / "a.jsonl", *rows) if isinstance(one, Record)]
    assert found == ["no_turns", "undesired", "", "pair", "has_thinking", ""]
    [chosen] = records(tmp_path / "a.jsonl", rows[3], columns="prompt=prompt,completion=chosen")
    assert isinstance(chosen, Record)
    assert (chosen.untrainable[0], said(chosen.sample.messages)) == ("", [("user", "a"), ("assistant", "b")])
