"""What trainers read: golden files for every format, and a named reason for what a format cannot hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gen.conversation import Skipped
from gen.exporters.alpaca import Alpaca
from gen.exporters.axolotl import Axolotl
from gen.exporters.chatml import ChatML
from gen.exporters.documents import Documents
from gen.exporters.kto import KTO
from gen.exporters.openai import OpenAI
from gen.exporters.openai_preference import OpenAIPreferences
from gen.exporters.preference import Preferences
from gen.exporters.preference_implicit import PreferencesImplicit
from gen.exporters.preference_sharegpt import PreferencesShareGPT
from gen.exporters.preference_text import PreferencesText
from gen.exporters.prompt_completion import PromptCompletion
from gen.exporters.prompt_completion_text import PromptCompletionText
from gen.exporters.sharegpt import ShareGPT
from gen.exporters.text import Text
from gen.files import json_line
from gen.types import Message, Preference, Provenance, Sample, ToolCall

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = {"chatml": ChatML(), "alpaca": Alpaca(), "sharegpt": ShareGPT()}

WIDE_FORMATS = {"chatml": ChatML(), "openai": OpenAI(), "axolotl": Axolotl(), "prompt_completion": PromptCompletion()}
PAIR_FORMATS = {
    "preference_implicit": PreferencesImplicit(),
    "preference_text": PreferencesText(),
    "preference_sharegpt": PreferencesShareGPT(),
    "openai_preference": OpenAIPreferences(),
    "kto": KTO(),
}


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


def tooled(*weights: float | None) -> Sample:
    """A conversation with tools, in which the answers weigh what is given."""
    call = ToolCall("add", '{"a": 2, "b": 2}', "call_1")
    first, last = (Message("assistant", "", (call,), weight=weights[0]), Message("assistant", "4.", weight=weights[1]))
    answered = Message("tool", "4", tool_call_id="call_1", name="add")
    tools = '[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"number"}}}}}]'
    return Sample("tools", (Message("user", "2 + 2?"), first, answered, last), tools=tools)


@pytest.mark.parametrize("name", WIDE_FORMATS)
def test_tools_and_weights_are_those_of_the_golden_file(name: str) -> None:
    written = b"".join(json_line(row) for row in WIDE_FORMATS[name].rows([SAMPLES[1], tooled(0.0, 1.0)]))
    assert written == (GOLDEN / f"{name}-tools.jsonl").read_bytes()


@pytest.mark.parametrize("name", PAIR_FORMATS)
def test_every_form_of_a_pair_is_that_of_its_golden_file(name: str) -> None:
    ask, good, bad = (Message("user", "Why?"),), (Message("assistant", "Because."),), (Message("assistant", "No."),)
    pair = Preference("p1", ask, good, bad, 5, 2, 3, "best_of_n", "s1")
    simulated = replace(pair, provenance=Provenance(simulated=True))
    assert b"".join(json_line(row) for row in PAIR_FORMATS[name].rows([pair, simulated])) == (GOLDEN / f"{name}.jsonl").read_bytes()


def test_texts_and_documents_are_those_of_their_golden_files() -> None:
    text = talk("d1", "assistant:One two three.\n\nFour five six.\nSeven.")
    assert b"".join(map(json_line, Text().rows([text]))) == (GOLDEN / "text.jsonl").read_bytes()
    assert b"".join(map(json_line, Documents(max_words=4).rows([text, SAMPLES[2]]))) == (GOLDEN / "documents.jsonl").read_bytes()
    assert b"".join(map(json_line, PromptCompletionText().rows([SAMPLES[0]]))) == (GOLDEN / "prompt_completion_text.jsonl").read_bytes()


SHARES = Sample("x", (Message("user", "Hi"), Message("assistant", "Yes", weight=0.5)))
TWICE = (Message("assistant", "a"), Message("assistant", "b"))
PAIR = Preference("x", (Message("user", "Hi"),), TWICE[:1], TWICE[1:], None, None, None, "", "x")


@pytest.mark.parametrize(
    ("exporter", "item", "reason"),
    [
        (OpenAI(), SHARES, "loss_weight"),
        (Axolotl(), SHARES, "loss_weight"),
        (Alpaca(), SHARES, "loss_weight"),
        (ShareGPT(), tooled(None, None), "has_tools"),
        (ShareGPT(), replace(tooled(None, None), tools=""), "tool_turn"),
        (PromptCompletion(), tooled(1.0, 1.0), "loss_weight"),
        (PromptCompletion(), tooled(None, 0.0), "loss_weight"),
        (PromptCompletion(), talk("x", "assistant:Yes"), "no_prompt"),
        (PromptCompletion(), talk("x", "assistant:Yes", "user:Hi"), "no_reply"),
        (PromptCompletionText(), SAMPLES[1], "not_plain"),
        (PromptCompletionText(), SAMPLES[2], "not_plain"),
        (Text(), SAMPLES[0], "has_turns"),
        (PreferencesText(), replace(PAIR, prompt=SAMPLES[2].messages[:3]), "not_plain"),
        (PreferencesText(), replace(PAIR, tools="[1]"), "not_plain"),
        (OpenAIPreferences(), replace(PAIR, chosen=TWICE), "several_answers"),
        (PreferencesShareGPT(), replace(PAIR, chosen=TWICE), "several_answers"),
        (PreferencesShareGPT(), replace(PAIR, prompt=SAMPLES[2].messages), "not_alternating"),
        (PreferencesShareGPT(), replace(PAIR, tools="[1]"), "has_tools"),
        (KTO(), SAMPLES[0], "no_pair"),
        (KTO(), replace(talk("x", "user:Hi"), label=True), "no_reply"),
        (ChatML(), Sample("x", (Message("assistant", "", (ToolCall("a", "\ud800"),)),)), "lone_surrogate"),
    ],
)
def test_a_format_names_what_it_cannot_hold(exporter: Any, item: Any, reason: str) -> None:
    [row] = exporter.rows([item])
    assert isinstance(row, Skipped)
    assert (row.id, row.reason) == (item.id, reason)
