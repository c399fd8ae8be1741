"""Unpaired preferences, as TRL's KTOTrainer reads them: an answer and whether it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, unwritable
from gen.types import Message, Preference, Provenance, Sample


@dataclass(frozen=True)
class KTO:
    """`{"prompt", "completion", "label"}`: of a pair the chosen answer as true and the rejected one as false; a sample that came with a
    label as it is. What does not fit: a sample without a label (`no_pair`), one that does not end with an answer (`no_reply`).

    >>> ask, good, bad = (Message("user", "Hi"),), (Message("assistant", "Hello"),), (Message("assistant", "No"),)
    >>> [(row["completion"][0]["content"], row["label"]) for row in KTO().rows([Preference("p", ask, good, bad, 5, 2, 3, "repaired", "s")])]
    [('Hello', True), ('No', False)]
    """

    takes: ClassVar[str] = "preferences"
    folder: ClassVar[str] = "preference-kto"
    columns: ClassVar[dict[str, Any]] = {"prompt": [TURN], "completion": [TURN], "label": "bool"}
    wide: ClassVar[dict[str, Any]] = {"prompt": [WIDE_TURN], "completion": [WIDE_TURN], "label": "bool", "tools": "string"}

    def rows(self, items: Iterable[Preference | Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for item in items:
            if isinstance(item, Sample):
                yield _labelled(item)
                continue
            unfit = unwritable(item.prompt) or unwritable(item.chosen) or unwritable(item.rejected)
            if unfit:
                yield replace(unfit, id=item.id)
                continue
            for side, label in ((item.chosen, True), (item.rejected, False)):
                yield _row(item.prompt, side, label, item.tools, item.provenance)


def _labelled(sample: Sample) -> dict[str, Any] | Skipped:
    unfit = unwritable(sample.messages)
    if unfit is None and sample.label is None:
        unfit = Skipped("", "no_pair", "the sample has no label and no rejected answer")
    if unfit is None and (len(sample.messages) < 2 or sample.messages[-1].role != "assistant"):
        unfit = Skipped("", "no_reply", "the conversation is no question with an answer at its end")
    if unfit is not None or sample.label is None:
        return replace(unfit, id=sample.id) if unfit else Skipped(sample.id, "no_pair")
    return _row(sample.messages[:-1], sample.messages[-1:], sample.label, sample.tools, sample.provenance)


def _row(prompt: tuple[Message, ...], answer: tuple[Message, ...], label: bool, tools: str, source: Provenance) -> dict[str, Any]:
    row = {"prompt": as_dicts(prompt), "completion": as_dicts(answer), "label": label, **({"tools": tools} if tools else {})}
    return marked(row, source)


PLUGIN = KTO
