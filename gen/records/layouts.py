"""The layouts that datasets have, told by their keys: what a record of each holds, and which one a record has.

A record that has the keys of two layouts is read as the first of them in the table where both say the same; where they differ nobody
can tell which was meant, and the record is refused with the way to say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gen.containers.rows import kind_of
from gen.records.preferences import Sides, is_transcript, openai_pair, pair, transcripts
from gen.records.turns import Misfit, text_in, tools_in, turns_in
from gen.types import Message

Fields = Mapping[str, Any]
_LABELS = {False: False, True: True, "0": False, "1": True}  # 0 and 1 are equal to False and True; a CSV holds them as text


@dataclass(frozen=True, slots=True)
class Found:
    """What a record holds. `messages` is the conversation to learn from: of a pair its prompt and chosen answer. A `text` is one
    assistant's turn without a question."""

    layout: str
    messages: tuple[Message, ...]
    tools: str = ""
    sides: Sides | None = None
    label: bool | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a record holds nothing that is known: `unknown_shape`, `wrong_type`, `no_preference`, `ambiguous` or
    `missing_column`."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout by the keys that tell it; `uses` are further ones that it reads, `told` looks at the values where keys do not tell."""

    name: str
    keys: tuple[str, ...]
    read: Callable[[Fields], Found]
    uses: tuple[str, ...] = ()
    told: Callable[[Fields], bool] | None = None


def find_layout(fields: Fields, name: str = "") -> Found | Problem:
    """What a record holds, by the layout of that name or by its keys."""
    fitting = [layout for layout in _with_keys(tuple(fields), name) if layout.told is None or layout.told(fields)]
    if not fitting:
        return _unknown(fields, name)
    try:
        found = fitting[0].read(fields)
    except Misfit as misfit:
        return Problem(misfit.reason, str(misfit))
    if len(fitting) == 1:
        return found
    used = {*fitting[0].keys, *fitting[0].uses}
    for other in fitting[1:]:
        if name or other.name == "text" or used.issuperset(other.keys):
            continue
        try:
            same = other.read(fields).messages == found.messages
        except Misfit:
            continue
        if not same:
            names = [f"{one.name} ({', '.join(one.keys)})" for one in (fitting[0], other)]
            choice = f"--layout {fitting[0].name} or --layout {other.name}"
            choice = "--columns prompt=…,completion=…" if other.name == fitting[0].name else choice
            return Problem("ambiguous", f"has the keys of {names[0]} and of {names[1]}, which differ: say which with {choice}")
    return found


def messages_of(fields: Fields) -> tuple[Message, ...] | str:
    """The conversation in a record of any known shape, or what is wrong with it.

    >>> messages_of({"instruction": "Add", "input": "2 + 2", "output": "4"})[0].content
    'Add\\n\\n2 + 2'
    >>> messages_of({"messages": "Hi"})
    "'messages' must be a list, got str"
    """
    found = find_layout(fields)
    return found.detail if isinstance(found, Problem) else found.messages


@lru_cache(maxsize=1024)
def _with_keys(keys: tuple[str, ...], name: str) -> tuple[Layout, ...]:
    """The layouts, of that name or of any, whose keys are all there: the records of a dataset have few different sets of keys."""
    return tuple(layout for layout in LAYOUTS if set(layout.keys) <= set(keys) and name in ("", layout.name))


def _unknown(fields: Fields, name: str) -> Problem:
    shown = (", ".join(sorted(map(str, fields))[:8]) or "none")[:200]
    if name:
        wanted = " or ".join(dict.fromkeys(", ".join(layout.keys) for layout in LAYOUTS if layout.name == name))
        return Problem("unknown_shape", f"not of the layout {name}, which has {wanted}; its keys are {shown}")
    return Problem(
        "unknown_shape",
        "no known shape: messages, conversations, instruction and output, prompt and completion, chosen and rejected, or text;"
        f" its keys are {shown}; name its columns with --columns prompt=…,completion=…",
    )


def _pair(name: str, read: Callable[[Fields], Sides]) -> Callable[[Fields], Found]:
    def found(fields: Fields) -> Found:
        sides = read(fields)
        return Found(name, sides.prompt + sides.chosen, sides.tools, sides)

    return found


def _chat(name: str, key: str) -> Callable[[Fields], Found]:
    def found(fields: Fields) -> Found:
        turns = turns_in(fields[key], key)
        system = fields.get("system")
        if isinstance(system, str) and system and (not turns or turns[0].role != "system"):
            turns = (Message("system", system), *turns)
        return Found(name, turns, tools_in(fields.get("tools")))

    return found


def _exchange(name: str, asked: str, answered: str, system: str = "system", context: str = "") -> Callable[[Fields], Found]:
    def found(fields: Fields) -> Found:
        sides = [_side(fields, key, role) for key, role in ((asked, "user"), (answered, "assistant"))]
        extra = text_in(fields, context, "") if context else ""
        if extra and len(sides[0]) == 1:
            sides[0] = (Message("user", f"{sides[0][0].content}\n\n{extra}"),)
        said = text_in(fields, system, "")
        opening = (Message("system", said),) if said else ()
        history = _history(fields.get("history")) if name == "alpaca" else ()
        return Found(name, opening + history + sides[0] + sides[1], tools_in(fields.get("tools")))

    return found


def _side(fields: Fields, key: str, role: str) -> tuple[Message, ...]:
    value = fields[key]
    if isinstance(value, list):
        return turns_in(value, key)
    if not isinstance(value, str):
        raise Misfit(f"'{key}' must be a text or a list of messages, got {kind_of(value)}")
    return (Message(role, value),)


def _history(value: Any) -> tuple[Message, ...]:
    """LLaMA-Factory's earlier turns: pairs of instruction and answer."""
    if value is None or value == "":
        return ()
    pairs = value if isinstance(value, list) else [value]
    if not all(isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one) for one in pairs):
        raise Misfit("'history' must be a list of pairs of texts")
    return tuple(Message(role, text) for one in pairs for role, text in zip(("user", "assistant"), one, strict=True))


def _labelled(fields: Fields) -> Found:
    found = _exchange("kto", "prompt", "completion")(fields)
    return Found("kto", found.messages, found.tools, label=_LABELS[fields["label"]])


def _document(fields: Fields) -> Found:
    return Found("text", (Message("assistant", text_in(fields, "text")),))


def _is_label(fields: Fields) -> bool:
    return isinstance(fields["label"], bool | int | float | str) and fields["label"] in _LABELS


_PREFERENCE_USES = ("prompt", "question", "instruction", "input", "conversations", "system", "tools")
_ALPACA_USES = ("input", "system", "history", "tools")
# The order decides which name a record gets where two layouts say the same, and whose complaint is told where none can read it.
LAYOUTS = (
    Layout("openai_preference", ("input", "preferred_output", "non_preferred_output"), _pair("openai_preference", openai_pair)),
    Layout("hh_rlhf", ("chosen", "rejected"), _pair("hh_rlhf", transcripts), told=is_transcript),
    Layout("preference", ("chosen", "rejected"), _pair("preference", pair), _PREFERENCE_USES),
    Layout("kto", ("prompt", "completion", "label"), _labelled, told=_is_label),
    Layout("chatml", ("messages",), _chat("chatml", "messages"), ("system", "tools")),
    Layout("sharegpt", ("conversations",), _chat("sharegpt", "conversations"), ("system", "tools")),
    Layout("sharegpt", ("conversation",), _chat("sharegpt", "conversation"), ("system", "tools")),
    Layout("dolly", ("instruction", "context", "response"), _exchange("dolly", "instruction", "response", context="context")),
    Layout("orca", ("system_prompt", "question", "response"), _exchange("orca", "question", "response", system="system_prompt")),
    *(
        Layout("alpaca", ("instruction", answered), _exchange("alpaca", "instruction", answered, context="input"), _ALPACA_USES)
        for answered in ("output", "response", "completion")
    ),
    *(Layout("prompt_completion", ("prompt", one), _exchange("prompt_completion", "prompt", one)) for one in ("completion", "response")),
    *(
        Layout("question_answer", keys, _exchange("question_answer", *keys))
        for keys in (("question", "answer"), ("question", "response"), ("query", "response"))
    ),
    Layout("flan", ("inputs", "targets"), _exchange("flan", "inputs", "targets")),
    Layout("input_output", ("input", "output"), _exchange("input_output", "input", "output")),
    Layout("text", ("text",), _document),
)
NAMES = tuple(dict.fromkeys(layout.name for layout in LAYOUTS))
