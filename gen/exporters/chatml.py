"""ChatML messages, the format that TRL, Axolotl, LLaMA-Factory, Unsloth and OpenAI's fine-tuning read without a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, unwritable
from gen.types import Sample


@dataclass(frozen=True)
class ChatML:
    """`{"messages": [{"role", "content"}, …]}`, every role as it is; `"simulated": true` beside it where the simulator wrote the sample.

    Tool calls stand in their message with arguments as JSON text, loss weights as `weight`, the tools beside the messages as JSON text:
    Arrow would merge the keys of tools of different shapes.

    >>> from gen.types import Message
    >>> list(ChatML().rows([Sample("s1", (Message("user", "Hi"), Message("assistant", "Hello")))]))
    [{'messages': [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]}]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft"
    columns: ClassVar[dict[str, Any]] = {"messages": [TURN]}
    wide: ClassVar[dict[str, Any]] = {"messages": [WIDE_TURN], "tools": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            unfit = unwritable(sample.messages)
            tools = {"tools": sample.tools} if sample.tools else {}
            row = {"messages": as_dicts(sample.messages), **tools} if unfit is None else {}
            yield replace(unfit, id=sample.id) if unfit else marked(row, sample.provenance)


PLUGIN = ChatML
