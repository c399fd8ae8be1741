"""Preference pairs in TRL's implicit-prompt form, which RewardTrainer takes: both sides are whole conversations with one beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, unwritable
from gen.types import Preference


@dataclass(frozen=True)
class PreferencesImplicit:
    """`{"chosen", "rejected"}` as lists of messages that begin with the prompt; `tools` as JSON text where the pair has them.

    >>> from gen.types import Message
    >>> ask, good, bad = (Message("user", "Hi"),), (Message("assistant", "Hello"),), (Message("assistant", "No"),)
    >>> [row] = PreferencesImplicit().rows([Preference("p1", ask, good, bad, 5.0, 2.0, 3.0, "best_of_n", "s1")])
    >>> row["rejected"]
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'No'}]
    """

    takes: ClassVar[str] = "preferences"
    folder: ClassVar[str] = "preference-implicit"
    columns: ClassVar[dict[str, Any]] = {"chosen": [TURN], "rejected": [TURN]}
    wide: ClassVar[dict[str, Any]] = {"chosen": [WIDE_TURN], "rejected": [WIDE_TURN], "tools": "string"}

    def rows(self, items: Iterable[Preference]) -> Iterator[dict[str, Any] | Skipped]:
        for pair in items:
            unfit = unwritable(pair.prompt + pair.chosen) or unwritable(pair.rejected)
            yield replace(unfit, id=pair.id) if unfit else marked(_row(pair), pair.provenance)


def _row(pair: Preference) -> dict[str, Any]:
    sides = {"chosen": as_dicts(pair.prompt + pair.chosen), "rejected": as_dicts(pair.prompt + pair.rejected)}
    return {**sides, **({"tools": pair.tools} if pair.tools else {})}


PLUGIN = PreferencesImplicit
