"""OpenAI's fine-tuning file: messages, the tools beside them as a list, and `weight` 0 or 1 on the assistant's turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import orjson

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, odd_weight, unwritable, without_weights
from gen.types import Message, Sample


@dataclass(frozen=True)
class OpenAI:
    """`{"messages": [{"role", "content"}, …]}`, and `tools` where the sample has them.

    A loss weight that is neither 0 nor 1 does not fit (`loss_weight`); on other turns than the assistant's none is written.

    >>> ask, answer = Message("user", "Hi", weight=1.0), Message("assistant", "Hello", weight=0.0)
    >>> [row] = OpenAI().rows([Sample("s1", (ask, answer))])
    >>> row["messages"]
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello', 'weight': 0}]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-openai"
    columns: ClassVar[dict[str, Any]] = {"messages": [TURN]}
    wide: ClassVar[dict[str, Any]] = {"messages": [WIDE_TURN], "tools": "json"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            unfit = unwritable(sample.messages) or odd_weight(sample.messages)
            yield replace(unfit, id=sample.id) if unfit else marked(_row(sample), sample.provenance)


def _row(sample: Sample) -> dict[str, Any]:
    row: dict[str, Any] = {"messages": as_dicts(_weighed(sample.messages))}
    return row | {"tools": orjson.loads(sample.tools)} if sample.tools else row


def _weighed(messages: tuple[Message, ...]) -> list[Message]:
    plain = without_weights(messages)
    return [given if given.role == "assistant" else bare for given, bare in zip(messages, plain, strict=True)]


PLUGIN = OpenAI
