"""What trainers read: golden files for every format, and a named reason for what a format cannot hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gen.conversation import Skipped
from gen.exporters.alpaca import Alpaca
from gen.exporters.chatml import ChatML
from gen.exporters.preference import Preferences
from gen.exporters.sharegpt import ShareGPT
from gen.files import json_line
from gen.types import Message, Preference, Provenance, Sample

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = {"chatml": ChatML(), "alpaca": Alpaca(), "sharegpt": ShareGPT()}


def talk(name: str, *turns: str) -> Sample:
    """`system:Be kind.` and so on as a sample."""
    return Sample(name, tuple(Message(*turn.split(":", 1)) for turn in turns))


SAMPLES = [
    talk("one", "user:What is PSD2?", "assistant:A directive of the EU."),
    talk("system", "system:You are precise.", 'user:Say é\u2028 "x" </s>', "assistant:<|im_end|> é"),
    talk("long", "user:Hi", "assistant:Hello", "user:And now?", "assistant:Now this.\n"),
]


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_those_of_the_golden_file(name: str) -> None:
    written = b"".join(json_line(row) for row in FORMATS[name].rows(SAMPLES))
    assert written == (GOLDEN / f"{name}.jsonl").read_bytes()


def test_pairs_are_those_of_the_golden_file() -> None:
    ask, good, bad = (Message("user", "Why?"),), (Message("assistant", "Because."),), (Message("assistant", "No."),)
    pairs = [
        Preference("p1", ask, good, bad, 5, 2, 3, "best_of_n", "s1"),
        Preference("p2", ask, good, bad, None, None, None, "repaired", "s2"),
    ]
    assert b"".join(json_line(row) for row in Preferences().rows(pairs)) == (GOLDEN / "preference.jsonl").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_of_a_conversation_is_lost(name: str) -> None:
    for sample, row in zip(SAMPLES, FORMATS[name].rows(SAMPLES), strict=True):
        text = json.dumps(row, ensure_ascii=False)
        assert all(json.dumps(message.content, ensure_ascii=False)[1:-1] in text for message in sample.messages)


@pytest.mark.parametrize("name", FORMATS)
def test_only_declared_columns_are_written(name: str) -> None:
    plugin = FORMATS[name]
    for row in plugin.rows(SAMPLES):
        assert isinstance(row, dict)
        assert set(row) <= set(plugin.columns)


@pytest.mark.parametrize("name", FORMATS)
def test_only_simulated_samples_say_so(name: str) -> None:
    real, *others = SAMPLES
    written = list(FORMATS[name].rows([real, *(replace(sample, provenance=Provenance(simulated=True)) for sample in others)]))
    plain = list(FORMATS[name].rows(SAMPLES))
    assert written == [plain[0], *({**row, "simulated": True} for row in plain[1:] if isinstance(row, dict))]


def test_only_simulated_pairs_say_so() -> None:
    ask, good, bad = (Message("user", "Why?"),), (Message("assistant", "Because."),), (Message("assistant", "No."),)
    real = Preference("p1", ask, good, bad, 5, 2, 3, "best_of_n", "s1")
    first, second = Preferences().rows([real, replace(real, provenance=Provenance(simulated=True))])
    assert isinstance(first, dict)
    assert "simulated" not in first
    assert second == {**first, "simulated": True}


UNFIT = {
    "tool_turn": talk("x", "user:Hi", "assistant:call", "tool:{}", "assistant:Done"),
    "not_alternating": talk("x", "user:Hi", "user:Hello?", "assistant:Yes"),
    "late_system": talk("x", "user:Hi", "system:Be kind.", "assistant:Yes"),
    "unknown_role": talk("x", "user:Hi", "narrator:Then"),
    "no_reply": talk("x", "user:Hi", "assistant:Yes", "user:And?"),
    "no_messages": Sample("x", ()),
    "lone_surrogate": talk("x", "user:Hi", "assistant:a\ud800b"),
    "not_text": Sample("x", (Message("user", "Hi"), Message("assistant", ["part"]))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", ["alpaca", "sharegpt"])
@pytest.mark.parametrize("reason", UNFIT)
def test_what_a_format_cannot_hold_is_skipped_with_its_reason(name: str, reason: str) -> None:
    rows: list[Any] = list(FORMATS[name].rows([SAMPLES[0], UNFIT[reason], SAMPLES[0]]))
    assert [(row.id, row.reason) for row in rows if isinstance(row, Skipped)] == [("x", reason)]
    assert len(rows) == 3


@pytest.mark.parametrize(("reason", "fits"), [("tool_turn", True), ("lone_surrogate", False), ("no_messages", False), ("not_text", False)])
def test_chatml_holds_any_role_but_only_text(reason: str, fits: bool) -> None:
    [row] = ChatML().rows([UNFIT[reason]])
    assert isinstance(row, dict) == fits


def test_an_unwritable_pair_is_skipped() -> None:
    turn = (Message("user", "Hi"),)
    [row] = Preferences().rows([Preference("p", turn, (Message("assistant", "\udc00"),), turn, 1, 0, 1, "repaired", "s")])
    assert isinstance(row, Skipped)
    assert (row.id, row.reason) == ("p", "lone_surrogate")
