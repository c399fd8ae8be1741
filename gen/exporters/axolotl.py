"""Messages as Axolotl's `type: chat_template` reads them: `train` says of a turn whether it is learnt (`message_field_training: train`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import WIDE_TURN, Skipped, as_dicts, marked, odd_weight, unwritable, without_weights
from gen.types import Sample

_TURN = {name: kind for name, kind in WIDE_TURN.items() if name != "weight"} | {"train": "bool"}


@dataclass(frozen=True)
class Axolotl:
    """`{"messages": [{"role", "content", "train"}, …]}`, `train` only where the sample has loss weights, `tools` as JSON text.

    A loss weight that is neither 0 nor 1 does not fit (`loss_weight`).

    >>> from gen.types import Message
    >>> [row] = Axolotl().rows([Sample("s1", (Message("user", "Hi"), Message("assistant", "Hello", weight=0.0)))])
    >>> row["messages"][1]
    {'role': 'assistant', 'content': 'Hello', 'train': False}
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-axolotl"
    columns: ClassVar[dict[str, Any]] = {"messages": [{"role": "string", "content": "string"}]}
    wide: ClassVar[dict[str, Any]] = {"messages": [_TURN], "tools": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            unfit = unwritable(sample.messages) or odd_weight(sample.messages)
            yield replace(unfit, id=sample.id) if unfit else marked(_row(sample), sample.provenance)


def _row(sample: Sample) -> dict[str, Any]:
    turns = as_dicts(without_weights(sample.messages))
    for turn, message in zip(turns, sample.messages, strict=True):
        if message.weight is not None:
            turn["train"] = message.weight == 1
    return {"messages": turns, **({"tools": sample.tools} if sample.tools else {})}


PLUGIN = Axolotl
