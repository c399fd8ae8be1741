"""Layouts of preferences: chosen and rejected with a prompt or behind a common one, as turns, texts or transcripts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from gen.containers.rows import kind_of
from gen.records.turns import Misfit, text_in, tools_in, turns_in
from gen.types import Message

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_PROMPTS = ("prompt", "question", "instruction", "conversations")


class Sides(NamedTuple):
    """A pair as read."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    tools: str = ""


def is_transcript(fields: Mapping[str, Any]) -> bool:
    """Whether both sides are transcripts of HH-RLHF, `Human:` and `Assistant:` by turns."""
    return all(isinstance(fields.get(key), str) and _begins(fields[key]) for key in ("chosen", "rejected")) and not fields.get("prompt")


def transcripts(fields: Mapping[str, Any]) -> Sides:
    """HH-RLHF: what both transcripts begin with is the prompt, what follows the two answers."""
    sides = [_transcript(text_in(fields, key), key) for key in ("chosen", "rejected")]
    return _apart(*sides)


def openai_pair(fields: Mapping[str, Any]) -> Sides:
    """OpenAI's file for preference tuning: `input` with messages and tools, `preferred_output`, `non_preferred_output`."""
    asked = fields["input"]
    if not isinstance(asked, dict):
        raise Misfit(f"'input' must be an object with messages, got {kind_of(asked)}")
    sides = [turns_in(fields[key], key) for key in ("preferred_output", "non_preferred_output")]
    if sides[0] == sides[1]:
        raise Misfit("'preferred_output' and 'non_preferred_output' say the same", "no_preference")
    return Sides(turns_in(asked.get("messages"), "input.messages"), sides[0], sides[1], tools_in(asked.get("tools"), "input.tools"))


def pair(fields: Mapping[str, Any]) -> Sides:
    """Chosen and rejected as texts, one message or lists of messages; the prompt beside them or at the beginning of both."""
    chosen, rejected = (_side(fields, key) for key in ("chosen", "rejected"))
    if chosen == rejected:
        raise Misfit("'chosen' and 'rejected' say the same", "no_preference")
    key = next((key for key in _PROMPTS if fields.get(key) is not None), None)
    tools = tools_in(fields.get("tools"))
    if key is None:
        texts = [fields["chosen"], fields["rejected"]]
        if all(isinstance(text, str) for text in texts):
            prompt, *answers = _common_text(*texts)
            common = (Message("user", prompt),) if prompt.strip() else ()
            return _with_system(fields, Sides(common, (Message("assistant", answers[0]),), (Message("assistant", answers[1]),), tools))
        return _with_system(fields, _apart(chosen, rejected)._replace(tools=tools))
    prompt = fields[key]
    asked: tuple[Message, ...] = turns_in(prompt, key) if isinstance(prompt, list) else (Message("user", _asked(fields, key)),)
    if chosen[: len(asked)] == asked and rejected[: len(asked)] == asked and len(chosen) > len(asked):  # both repeat the prompt
        chosen, rejected = chosen[len(asked) :], rejected[len(asked) :]
    elif (
        len(chosen) > 1
        and len(rejected) > 1
        and not isinstance(prompt, list)
        and chosen[0] == rejected[0]
        and chosen[0].role != "assistant"
    ):
        return _apart(chosen, rejected)._replace(tools=tools)  # a text that names the prompt, and whole conversations
    return _with_system(fields, Sides(asked, chosen, rejected, tools))


def number_in(fields: Mapping[str, Any], key: str) -> float | None:
    """A score, also in a cell of text; None where there is none."""
    value = fields.get(key)
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _side(fields: Mapping[str, Any], key: str) -> tuple[Message, ...]:
    value = fields[key]
    if isinstance(value, str):
        return (Message("assistant", value),)
    if isinstance(value, dict):
        return turns_in([value], key)
    if not isinstance(value, list):
        raise Misfit(f"'{key}' must be a text or a list of messages, got {kind_of(value)}")
    if not value:
        raise Misfit(f"'{key}' is an empty list")
    return turns_in(value, key)


def _asked(fields: Mapping[str, Any], key: str) -> str:
    text = text_in(fields, key)
    extra = text_in(fields, "input", "") if key == "instruction" else ""
    return f"{text}\n\n{extra}" if extra else text


def _with_system(fields: Mapping[str, Any], sides: Sides) -> Sides:
    system = text_in(fields, "system", "")
    begins = bool(sides.prompt) and sides.prompt[0].role == "system"
    return sides._replace(prompt=(Message("system", system), *sides.prompt)) if system and not begins else sides


def _apart(chosen: Sequence[Message], rejected: Sequence[Message]) -> Sides:
    """The turns that both begin with, and what is left of each."""
    common = len(list(takewhile(lambda both: both[0] == both[1], zip(chosen, rejected, strict=False))))
    sides = Sides(tuple(chosen[:common]), tuple(chosen[common:]), tuple(rejected[common:]))
    if not sides.chosen or not sides.rejected:
        raise Misfit("'chosen' and 'rejected' say the same, or one is the beginning of the other", "no_preference")
    return sides


def _common_text(one: str, other: str) -> tuple[str, str, str]:
    """The beginning that two texts share, up to its last white space, and what is left of each."""
    limit = min(len(one), len(other))
    at = next((place for place in range(limit) if one[place] != other[place]), limit)
    while at and not one[at - 1].isspace():
        at -= 1
    return one[:at], one[at:], other[at:]


def _begins(text: str) -> bool:
    return text[:40].lstrip().startswith(("Human:", "Assistant:"))


def _transcript(text: str, key: str) -> tuple[Message, ...]:
    parts = _SPEAKER.split("\n\n" + text.lstrip())
    if len(parts) < 3 or parts[0].strip():
        raise Misfit(f"'{key}' must be a transcript that begins with Human:")
    return tuple(Message(_SPEAKERS[who], said.strip()) for who, said in zip(parts[1::2], parts[2::2], strict=True))
