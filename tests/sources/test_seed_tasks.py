"""Seed tasks in the shapes that people have them in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import InputError
from gen.sources.seed_tasks import read

WHERE = "sources.seed_tasks"
QUESTION, ANSWER = "How high is a table?", "About 75 cm."


def message(value: object, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(value, folder=folder, where=WHERE)
    text = str(caught.value)
    assert text.startswith(f"{WHERE}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": QUESTION, "output": ANSWER},
        {"instruction": QUESTION, "input": "", "output": ANSWER},
        {"instruction": f" {QUESTION}\r\n", "instances": [{"input": "", "output": ANSWER}, {"input": "x", "output": "y"}]},
        {"prompt": QUESTION, "completion": ANSWER},
        {"prompt": [{"role": "user", "content": QUESTION}], "completion": [{"role": "assistant", "content": ANSWER}]},
        {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": ANSWER},
                {"role": "user", "content": "And a chair?"},
                {"role": "assistant", "content": "45 cm."},
            ]
        },
    ],
    ids=["ours", "alpaca", "self_instruct", "prompt_completion", "prompt_completion_messages", "messages", "conversation"],
)
def test_every_shape_gives_the_same_task(tmp_path: Path, record: dict[str, Any]) -> None:
    (tmp_path / "s.jsonl").write_text(json.dumps(record) + "\n")
    (task,) = read("s.jsonl", folder=tmp_path, where=WHERE)
    assert (task.instruction, task.output) == (QUESTION, ANSWER)
    assert task.id.startswith("seed-")
    assert read([record], folder=tmp_path, where=WHERE) == (task,)


def test_a_greeting_before_the_question_is_no_answer(tmp_path: Path) -> None:
    turns = [("assistant", "Hello!"), ("user", QUESTION), ("assistant", ANSWER)]
    (task,) = read([{"messages": [{"role": role, "content": content} for role, content in turns]}], folder=tmp_path, where=WHERE)
    assert task.output == ANSWER


def test_an_alpaca_input_follows_its_instruction(tmp_path: Path) -> None:
    (task,) = read([{"instruction": "Translate.", "input": "Hallo", "output": "Hello"}], folder=tmp_path, where=WHERE)
    assert task.instruction == "Translate.\n\nHallo"


def test_id_and_kind_are_kept_and_an_answer_may_be_missing(tmp_path: Path) -> None:
    (task,) = read([{"id": 7, "instruction": QUESTION, "kind": "maths"}], folder=tmp_path, where=WHERE)
    assert (task.id, task.kind, task.output) == ("7", "maths", "")


def test_a_json_file_is_a_list_of_tasks(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps([{"instruction": "a", "output": "b"}, {"instruction": "c", "output": "d"}]))
    assert [task.instruction for task in read("s.json", folder=tmp_path, where=WHERE)] == ["a", "c"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"instruction": "a"}\n{"output": "b"}\n', "s.jsonl:2: has no instruction"),
        ('{"instruction": "a"}\n\n{"input": "only", "output": "b"}\n', "s.jsonl:3: has no instruction"),
        ('{"instruction": "  "}\n', "s.jsonl:1: has no instruction"),
        ('{"messages": [{"role": "assistant", "content": "b"}]}\n', "s.jsonl:1: has no instruction"),
        ('{"messages": "hello"}\n', "s.jsonl:1: 'messages' must be a list of messages, got the text 'hello'"),
        ('{"messages": [{"role": "user", "content": ["a"]}]}\n', "message 1, 'content' must be text, got a list"),
        ('{"messages": [{"content": "a"}]}\n', "message 1, must be an object with 'role' and 'content'"),
        ('{"instruction": "a", "instances": []}\n', "'instances' must be a list of objects"),
        ('{"instruction": {"text": "a"}}\n', "s.jsonl:1: 'instruction' must be text, got an object"),
        ('{"instruction": "a", "id": ["x"]}\n', "'id' must be text, got a list"),
        ('{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": "b"}\n', "s.jsonl:2: the id 'seed-"),
        ('{"id": "x", "instruction": "a"}\n{"id": "y", "instruction": "a"}\n', "s.jsonl:2: this task stands at"),
        ('{"id": "x", "instruction": "a"}\n{"id": "x", "instruction": "b"}\n', "s.jsonl:2: the id 'x' stands at"),
        ('{"instruction": "a\\u0000b"}\n', "control character U+0000"),
        ("instruction,output\n", "s.jsonl:1: invalid JSON"),
        ("[" * 200_000, "s.jsonl:1: invalid JSON"),
        ("", "'s.jsonl' names no seed task"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_broken_file_is_answered_with_its_line(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "s.jsonl").write_text(content)
    assert says in message("s.jsonl", tmp_path)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "names no seed task"),
        (["a"], "item 1: the text 'a', where an object with 'instruction' and 'output' is needed"),
        (3, "where a list of seed tasks or a file's name is needed"),
        ("seed_task.jsonl", "did you mean 'seed_tasks'?"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(tmp_path: Path, value: object, says: str) -> None:
    assert says in message(value, tmp_path)


@pytest.mark.parametrize("value", [None, "seed_tasks", "seed_tasks.jsonl"])
def test_the_shipped_tasks_are_used_when_none_are_named(tmp_path: Path, value: str | None) -> None:
    tasks = read(value, folder=tmp_path, where=WHERE)
    assert len(tasks) >= 120
    assert all(task.output and task.kind for task in tasks)
    assert len({task.kind for task in tasks}) >= 15


def test_nasty_files_are_read_or_refused_with_a_clear_error(shared_data: Path, tmp_path: Path) -> None:
    refused = {}
    for path in sorted((shared_data / "nasty").glob("*.jsonl")):
        try:
            tasks = read(str(path), folder=tmp_path, where=WHERE)
        except InputError as error:
            refused[path.name] = str(error)
        else:
            assert all(task.instruction.encode() for task in tasks)
    assert all("\n" not in text for text in refused.values())
    assert all(name in text or "names no seed task" in text for name, text in refused.items())
    assert not {"02_bom_crlf.jsonl", "07_blank_lines.jsonl", "08_no_final_newline.jsonl", "16_unicode_line_separators.jsonl"} & set(refused)
