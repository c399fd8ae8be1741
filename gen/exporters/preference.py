"""Preference pairs in TRL's explicit-prompt form, which DPOTrainer takes as it is.

The scores, the margin and the source ride along: TRL ignores columns it does not know, and a margin is what a reader filters by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, unwritable
from gen.types import Preference

_SCORES = {"chosen_score": "float64", "rejected_score": "float64", "margin": "float64", "source": "string"}


@dataclass(frozen=True)
class Preferences:
    """`{"prompt", "chosen", "rejected"}` as lists of messages, and `chosen_score`, `rejected_score`, `margin`, `source`;
    `"simulated": true` where the simulator wrote any of it.

    >>> from gen.types import Message
    >>> ask, good, bad = (Message("user", "Hi"),), (Message("assistant", "Hello"),), (Message("assistant", "No"),)
    >>> [row] = Preferences().rows([Preference("p1", ask, good, bad, 5.0, 2.0, 3.0, "best_of_n", "s1")])
    >>> row["chosen"], row["margin"]
    ([{'role': 'assistant', 'content': 'Hello'}], 3.0)
    """

    takes: ClassVar[str] = "preferences"
    folder: ClassVar[str] = "preference"
    columns: ClassVar[dict[str, Any]] = {"prompt": [TURN], "chosen": [TURN], "rejected": [TURN], **_SCORES}
    wide: ClassVar[dict[str, Any]] = {"prompt": [WIDE_TURN], "chosen": [WIDE_TURN], "rejected": [WIDE_TURN], **_SCORES, "tools": "string"}

    def rows(self, items: Iterable[Preference]) -> Iterator[dict[str, Any] | Skipped]:
        for pair in items:
            unfit = unwritable(pair.prompt) or unwritable(pair.chosen) or unwritable(pair.rejected)
            yield replace(unfit, id=pair.id) if unfit else marked(_row(pair), pair.provenance)


def _row(pair: Preference) -> dict[str, Any]:
    return {
        "prompt": as_dicts(pair.prompt),
        "chosen": as_dicts(pair.chosen),
        "rejected": as_dicts(pair.rejected),
        "chosen_score": _number(pair.chosen_score),
        "rejected_score": _number(pair.rejected_score),
        "margin": _number(pair.margin),
        "source": pair.source,
        **({"tools": pair.tools} if pair.tools else {}),
    }


def _number(value: float | None) -> float | None:
    """Always a float: a column that begins with whole numbers would be read as integers and refuse the first 4.5."""
    return None if value is None else float(value)


PLUGIN = Preferences
