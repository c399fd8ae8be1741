"""Preference pairs in ShareGPT's form, as LLaMA-Factory reads them with `"ranking": true`: a dialogue and two answers to its last turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, Turns, marked, turns_of, unwritable
from gen.types import Preference

_TURN = {"from": "string", "value": "string"}


@dataclass(frozen=True)
class PreferencesShareGPT:
    """`{"conversations": [{"from": "human" | "gpt", "value"}, …], "chosen": {"from", "value"}, "rejected": {…}}`, the dialogue ending with
    the human, with `system` beside it where there is one.

    What does not fit: turns that do not alternate, tools (`has_tools`, `tool_turn`), an answer of several messages (`several_answers`).

    >>> from gen.types import Message
    >>> ask, good, bad = (Message("user", "Hi"),), (Message("assistant", "Hello"),), (Message("assistant", "No"),)
    >>> [row] = PreferencesShareGPT().rows([Preference("p1", ask, good, bad, 5.0, 2.0, 3.0, "best_of_n", "s1")])
    >>> row["conversations"], row["chosen"]
    ([{'from': 'human', 'value': 'Hi'}], {'from': 'gpt', 'value': 'Hello'})
    """

    takes: ClassVar[str] = "preferences"
    folder: ClassVar[str] = "preference-sharegpt"
    columns: ClassVar[dict[str, Any]] = {"conversations": [_TURN], "system": "string", "chosen": _TURN, "rejected": _TURN}

    def rows(self, items: Iterable[Preference]) -> Iterator[dict[str, Any] | Skipped]:
        for pair in items:
            turns = _turns(pair)
            yield replace(turns, id=pair.id) if isinstance(turns, Skipped) else marked(_row(turns, pair), pair.provenance)


def _turns(pair: Preference) -> Turns | Skipped:
    """The dialogue with the chosen answer at its end."""
    if pair.tools:
        return Skipped("", "has_tools", "the pair declares tools")
    for side in (pair.chosen, pair.rejected):
        if [message.role for message in side] != ["assistant"]:
            return Skipped("", "several_answers", f"an answer of {len(side)} messages, where one of the assistant is needed")
    return unwritable(pair.rejected) or turns_of((*pair.prompt, *pair.chosen))


def _row(turns: Turns, pair: Preference) -> dict[str, Any]:
    spoken = [_turn(speaker, text) for exchange in turns.pairs for speaker, text in zip(("human", "gpt"), exchange, strict=True)]
    row: dict[str, Any] = {"conversations": spoken[:-1]}
    if turns.system is not None:
        row["system"] = turns.system
    return row | {"chosen": spoken[-1], "rejected": _turn("gpt", pair.rejected[0].content)}


def _turn(speaker: str, text: str) -> dict[str, str]:
    return {"from": speaker, "value": text}


PLUGIN = PreferencesShareGPT
