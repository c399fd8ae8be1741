"""A sample's messages as the turns that a trainer's format can hold, or the reason why it cannot.

Trainers read strictly alternating user and assistant turns after at most one system message (LLaMA-Factory skips what does not alternate
with no more than a warning), so what does not fit is named here instead of being lost there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gen.types import Message, Provenance, Sample

SIMULATED_COLUMN = "simulated"
TURN = {"role": "string", "content": "string"}  # a message's columns, as exporters declare them
_CALL = {"id": "string", "type": "string", "function": {"name": "string", "arguments": "string"}}
WIDE_TURN = {**TURN, "tool_calls": [_CALL], "tool_call_id": "string", "name": "string", "weight": "float64"}
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A sample or pair that a format cannot hold. `reason` is a stable code: no_messages, tool_turn, unknown_role, not_alternating,
    late_system, no_reply, lone_surrogate, not_text, loss_weight, has_tools, not_plain, no_prompt, several_answers, has_turns, no_turns,
    pair, no_pair, undesired, has_thinking."""

    id: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Turns:
    """`system` is None where there is none; `pairs` are (user, assistant) in order, at least one."""

    system: str | None
    pairs: tuple[tuple[str, str], ...]


def turns_of(messages: Sequence[Message]) -> Turns | Skipped:
    """The conversation as pairs; a Skipped (its id left empty) when it is no alternation that ends with the assistant.

    >>> turns_of([Message("user", "Hi"), Message("assistant", "Hello")])
    Turns(system=None, pairs=(('Hi', 'Hello'),))
    >>> turns_of([Message("user", "Hi"), Message("tool", "{}")]).reason
    'tool_turn'
    """
    unfit = unwritable(messages) or plain_turns(messages)
    if unfit:
        return unfit
    system = messages[0].content if messages[0].role == "system" else None
    rest = messages[1:] if system is not None else messages
    for place, message in enumerate(rest):
        wrong = _misplaced(place, message.role)
        if wrong:
            return Skipped("", wrong, f"message {place + (system is not None) + 1} is of role {message.role[:40]!r}")
    if not rest or len(rest) % 2:
        return Skipped("", "no_reply", "the conversation does not end with the assistant")
    return Turns(system, tuple((rest[at].content, rest[at + 1].content) for at in range(0, len(rest), 2)))


def unwritable(messages: Sequence[Message]) -> Skipped | None:
    """What no format can hold: nothing at all, or text without a UTF-8 form (one such line makes a reader refuse the whole file)."""
    if not messages:
        return Skipped("", "no_messages", "the sample has no messages")
    for place, message in enumerate(messages, start=1):
        if not isinstance(message.content, str):
            return Skipped("", "not_text", f"message {place} is no text")
        if any(_SURROGATE.search(text) for text in _texts(message)):
            return Skipped("", "lone_surrogate", f"message {place} holds a lone surrogate")
    return None


def as_dicts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as `{"role", "content"}`, and with what else they hold: `tool_calls` in OpenAI's form, `tool_call_id`, `name`, `weight`."""
    return [_as_dict(message) for message in messages]


def without_weights(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages without what they count for in the loss."""
    return tuple(replace(message, weight=None) if message.weight is not None else message for message in messages)


def no_tools(sample: Sample) -> Skipped | None:
    """What a format without a place for tools cannot hold of a sample: the tools that it may call."""
    return Skipped("", "has_tools", "the sample declares tools") if sample.tools else None


def odd_weight(messages: Sequence[Message]) -> Skipped | None:
    """What a format that knows only "learn it" and "don't" cannot hold of the messages' loss weights."""
    for place, message in enumerate(messages, start=1):
        if message.weight not in (None, 0, 1):
            return Skipped("", "loss_weight", f"message {place} has the loss weight {message.weight:g}, which is neither 0 nor 1")
    return None


def plain_turns(messages: Sequence[Message]) -> Skipped | None:
    """What a format that knows only roles and texts cannot hold of these messages: calls of tools and loss weights."""
    for place, message in enumerate(messages, start=1):
        if message.tool_calls:
            return Skipped("", "tool_turn", f"message {place} calls a tool")
        if message.weight is not None and message.weight != 1 and message.role == "assistant":
            return Skipped("", "loss_weight", f"message {place} has the loss weight {message.weight:g}")
    return None


def marked(row: dict[str, Any], source: Provenance) -> dict[str, Any]:
    """The row, with `"simulated": true` where the simulator wrote it, so that nobody trains on it by mistake.

    >>> marked({"output": "4"}, Provenance()), marked({"output": "4"}, Provenance(simulated=True))
    ({'output': '4'}, {'output': '4', 'simulated': True})
    """
    return {**row, SIMULATED_COLUMN: True} if source.simulated else row


def _as_dict(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        row["tool_calls"] = [
            ({"id": call.id} if call.id else {}) | {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        row["tool_call_id"] = message.tool_call_id
    if message.name:
        row["name"] = message.name
    if message.weight is not None:
        row["weight"] = int(message.weight) if message.weight == int(message.weight) else message.weight
    return row


def _texts(message: Message) -> tuple[str, ...]:
    calls = [text for call in message.tool_calls for text in (call.name, call.arguments, call.id)]
    return (message.content, message.role, message.name, message.tool_call_id, *calls)


def _misplaced(place: int, role: str) -> str:
    if role == ("user", "assistant")[place % 2]:
        return ""
    return {"tool": "tool_turn", "system": "late_system", "user": "not_alternating", "assistant": "not_alternating"}.get(
        role, "unknown_role"
    )
