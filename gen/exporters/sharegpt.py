"""ShareGPT conversations (`from` and `value`), as LLaMA-Factory's default formatting and Unsloth's `standardize_sharegpt` read them.

Axolotl reads them with `type: chat_template`, `field_messages: conversations` and
`message_property_mappings: {role: from, content: value}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, Turns, marked, no_tools, turns_of
from gen.types import Sample


@dataclass(frozen=True)
class ShareGPT:
    """`{"conversations": [{"from": "human" | "gpt", "value"}, …]}`, with `system` beside it where there is one and
    `"simulated": true` where the simulator wrote the sample.

    >>> from gen.types import Message
    >>> list(ShareGPT().rows([Sample("s1", (Message("user", "Hi"), Message("assistant", "Hello")))]))
    [{'conversations': [{'from': 'human', 'value': 'Hi'}, {'from': 'gpt', 'value': 'Hello'}]}]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-sharegpt"
    columns: ClassVar[dict[str, Any]] = {"conversations": [{"from": "string", "value": "string"}], "system": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            turns = no_tools(sample) or turns_of(sample.messages)
            yield replace(turns, id=sample.id) if isinstance(turns, Skipped) else marked(_row(turns), sample.provenance)


def _row(turns: Turns) -> dict[str, Any]:
    conversation = [{"from": speaker, "value": text} for pair in turns.pairs for speaker, text in zip(("human", "gpt"), pair, strict=True)]
    row: dict[str, Any] = {"conversations": conversation}
    if turns.system is not None:
        row["system"] = turns.system
    return row


PLUGIN = ShareGPT
