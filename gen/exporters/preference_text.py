"""Preference pairs as three texts, for base models and for trainers that read nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, marked, plain_turns, unwritable
from gen.types import Preference


@dataclass(frozen=True)
class PreferencesText:
    """`{"prompt", "chosen", "rejected"}` as texts. What does not fit: a prompt of more than one question, an answer of more than one
    turn, tools (`not_plain`).

    >>> from gen.types import Message
    >>> ask, good, bad = (Message("user", "Hi"),), (Message("assistant", "Hello"),), (Message("assistant", "No"),)
    >>> list(PreferencesText().rows([Preference("p1", ask, good, bad, 5.0, 2.0, 3.0, "best_of_n", "s1")]))
    [{'prompt': 'Hi', 'chosen': 'Hello', 'rejected': 'No'}]
    """

    takes: ClassVar[str] = "preferences"
    folder: ClassVar[str] = "preference-text"
    columns: ClassVar[dict[str, Any]] = {"prompt": "string", "chosen": "string", "rejected": "string"}

    def rows(self, items: Iterable[Preference]) -> Iterator[dict[str, Any] | Skipped]:
        for pair in items:
            unfit = _unfit(pair)
            texts = [side[0].content for side in (pair.prompt, pair.chosen, pair.rejected)] if unfit is None else []
            yield replace(unfit, id=pair.id) if unfit else marked(dict(zip(self.columns, texts, strict=True)), pair.provenance)


def _unfit(pair: Preference) -> Skipped | None:
    for side, role in ((pair.prompt, "user"), (pair.chosen, "assistant"), (pair.rejected, "assistant")):
        unfit = unwritable(side) or plain_turns(side)
        if unfit:
            return unfit
        if [message.role for message in side] != [role]:
            return Skipped("", "not_plain", f"a side is not one turn of the {role}")
    return Skipped("", "not_plain", "the pair declares tools") if pair.tools else None


PLUGIN = PreferencesText
