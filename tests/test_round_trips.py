"""What is written in any format and container reads back as the same records, and `datasets` loads every file."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen import plugins
from gen.containers import WRITTEN, write_rows
from gen.containers.columns import UsedColumns
from gen.conversation import Skipped
from gen.records import Record, read_records, reading_of
from gen.types import Message, Preference, Sample, ToolCall

SPECIAL = ["=1+1", "-x", "+y", "@z", "'=1", "''-", "'Tis", "\tt", '[{"role": "user", "content": "x"}]', "{}", "é\u2028", "a\r\nb", '"q",;']
TEXTS = st.one_of(
    st.sampled_from(SPECIAL),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40),
).filter(str.strip)
CALLS = st.builds(ToolCall, st.text(string.ascii_letters, min_size=1), st.just('{"x":1}'), st.sampled_from(["", "call_1"]))
TOOLS = st.sampled_from(["", '[{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}]'])
EXCHANGES = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3)


def exchange(pairs: list[tuple[str, str]], system: str | None = None, weights: list[float | None] | None = None) -> tuple[Message, ...]:
    opening = (Message("system", system),) if system else ()
    weights = weights or [None] * len(pairs)
    turns = [
        turn
        for (ask, said), weight in zip(pairs, weights, strict=True)
        for turn in (Message("user", ask), Message("assistant", said, weight=weight))
    ]
    return (*opening, *turns)


@st.composite
def chats(draw: st.DrawFn, *, weights: bool = False, tools: bool = False, single: bool = False, system: bool = True) -> Sample:
    pairs = draw(EXCHANGES)[: 1 if single else None]
    marks = [draw(st.sampled_from([None, 0.0, 1.0])) for _ in pairs] if weights else None
    messages = exchange(pairs, draw(st.none() | TEXTS) if system else None, marks)
    if tools and draw(st.booleans()):
        called = Message("assistant", "", tool_calls=(draw(CALLS),))
        messages = (
            (messages[0] if messages[0].role == "system" else Message("user", "Go"),)
            + ((Message("user", "Go"),) if messages[0].role == "system" else ())
            + (called, Message("tool", draw(TEXTS), tool_call_id="call_1", name="add"), messages[-1])
        )
    return Sample("x", messages, tools=draw(TOOLS) if tools else "")


@st.composite
def pairs(draw: st.DrawFn, *, plain: bool = False, scores: bool = False, tools: bool = False) -> Preference:
    good, bad = draw(TEXTS), draw(TEXTS)
    prompt = (Message("user", draw(TEXTS)),) if plain else exchange(draw(EXCHANGES), draw(st.none() | TEXTS))[:-1]
    number = st.none() | st.floats(-9, 9)
    given_scores = [draw(number) for _ in range(3)] if scores else [None] * 3
    bad = f"{bad}!" if bad == good else bad
    return Preference(
        "x",
        prompt,
        (Message("assistant", good),),
        (Message("assistant", bad),),
        *given_scores,
        "best_of_n" if scores else "",
        "x",
        tools=draw(TOOLS) if tools else "",
    )


FORMATS: dict[str, tuple[Any, str]] = {
    "chatml": (chats(weights=True, tools=True), ""),
    "openai": (chats(weights=True, tools=True), ""),
    "axolotl": (chats(weights=True, tools=True), ""),
    "sharegpt": (chats(), ""),
    "alpaca": (chats(), ""),
    "prompt_completion": (chats(tools=True), ""),
    "prompt_completion_text": (chats(single=True, system=False), "prompt_completion"),
    "text": (st.builds(lambda text: Sample("x", (Message("assistant", text),)), TEXTS), ""),
    "preference": (pairs(scores=True, tools=True), "preference"),
    "preference_implicit": (pairs(tools=True), "preference"),
    "preference_text": (pairs(plain=True), "preference"),
    "preference_sharegpt": (pairs(), "preference"),
    "openai_preference": (pairs(tools=True), ""),
    "kto": (st.builds(lambda one, label: Sample("x", one.messages, tools=one.tools, label=label), chats(tools=True), st.booleans()), ""),
}


def written(folder: Path, name: str, container: str, items: list[Any]) -> tuple[Path, int]:
    exporter = plugins.build("exporters", name, {})
    rows = [row for row in exporter.rows(items) if not isinstance(row, Skipped)]
    used = UsedColumns()
    list(used.watch(rows))
    count = write_rows(container, folder, "rows", rows, used.columns(exporter.columns, getattr(exporter, "wide", exporter.columns)))
    return folder / f"rows{WRITTEN[container]}", count


def content(item: Sample | Preference) -> Any:
    if isinstance(item, Sample):
        return item.messages, item.tools, item.label
    return item.prompt, item.chosen, item.rejected, item.chosen_score, item.rejected_score, item.margin, item.source, item.tools


@pytest.mark.parametrize("container", WRITTEN)
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_reads_back(name: str, container: str, data: st.DataObject, tmp_path: Path) -> None:
    strategy, layout = FORMATS[name]
    items = data.draw(st.lists(strategy, min_size=1, max_size=4))
    path, count = written(tmp_path, name, container, items)
    assert count == len(items)
    records = list(read_records(path, reading_of(layout)))
    assert all(isinstance(record, Record) for record in records), records
    assert [record.line for record in records] == list(range(1, count + 1)) or container in ("jsonl", "json")
    assert [content(record.pair or record.sample) for record in records if isinstance(record, Record)] == [content(item) for item in items]


def examples(name: str) -> list[Any]:
    asked, good, bad = exchange([("Why?", "-because")]), (Message("assistant", "Yes"),), (Message("assistant", "No"),)
    if name == "text":
        return [Sample("t", (Message("assistant", "A text."),))]
    if name == "kto":
        return [Sample("k", asked, label=False)]
    return [Preference("p", asked[:1], good, bad, 1.0, 0.5, 0.5, "x", "s")] if "preference" in name else [Sample("s", asked)]


@pytest.mark.parametrize("container", WRITTEN)
@pytest.mark.parametrize("name", FORMATS)
def test_the_datasets_library_loads_it(name: str, container: str, tmp_path: Path) -> None:
    path, count = written(tmp_path, name, container, examples(name))
    if container == "arrow":
        rows = datasets.load_from_disk(str(path))
    else:
        kind = "json" if container == "jsonl" else container
        rows = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == count
    assert set(plugins.build("exporters", name, {}).columns) >= set(rows.column_names) or name in ("alpaca", "sharegpt")
    if container != "csv" and name == "chatml":
        assert rows[0]["messages"][1] == {"role": "assistant", "content": "-because"}
