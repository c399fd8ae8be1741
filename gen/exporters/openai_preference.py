"""OpenAI's file for preference tuning (DPO), which Together and Fireworks read too: one answer that is wanted, one that is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import orjson

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, unwritable, without_weights
from gen.types import Message, Preference

_WIDE = {name: kind for name, kind in WIDE_TURN.items() if name != "weight"}


@dataclass(frozen=True)
class OpenAIPreferences:
    """`{"input": {"messages", "tools"}, "preferred_output", "non_preferred_output"}`; both outputs hold exactly one assistant message,
    else the pair does not fit (`several_answers`).

    >>> ask, good, bad = (Message("user", "Hi"),), (Message("assistant", "Hello"),), (Message("assistant", "No"),)
    >>> [row] = OpenAIPreferences().rows([Preference("p1", ask, good, bad, 5.0, 2.0, 3.0, "best_of_n", "s1")])
    >>> row["input"], row["preferred_output"]
    ({'messages': [{'role': 'user', 'content': 'Hi'}]}, [{'role': 'assistant', 'content': 'Hello'}])
    """

    takes: ClassVar[str] = "preferences"
    folder: ClassVar[str] = "preference-openai"
    columns: ClassVar[dict[str, Any]] = {"input": {"messages": [TURN]}, "preferred_output": [TURN], "non_preferred_output": [TURN]}
    wide: ClassVar[dict[str, Any]] = {
        "input": {"messages": [_WIDE], "tools": "json"},
        "preferred_output": [_WIDE],
        "non_preferred_output": [_WIDE],
    }

    def rows(self, items: Iterable[Preference]) -> Iterator[dict[str, Any] | Skipped]:
        for pair in items:
            unfit = unwritable(pair.prompt) or _not_one(pair.chosen) or _not_one(pair.rejected)
            yield replace(unfit, id=pair.id) if unfit else marked(_row(pair), pair.provenance)


def _not_one(side: tuple[Message, ...]) -> Skipped | None:
    if [message.role for message in side] != ["assistant"]:
        return Skipped("", "several_answers", f"an answer of {len(side)} messages, where one of the assistant is needed")
    return unwritable(side)


def _row(pair: Preference) -> dict[str, Any]:
    asked: dict[str, Any] = {"messages": as_dicts(without_weights(pair.prompt))}
    if pair.tools:
        asked["tools"] = orjson.loads(pair.tools)
    preferred, other = (as_dicts(without_weights(side)) for side in (pair.chosen, pair.rejected))
    return {"input": asked, "preferred_output": preferred, "non_preferred_output": other}


PLUGIN = OpenAIPreferences
