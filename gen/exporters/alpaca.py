"""Alpaca's instruction, input and output, as Axolotl (`type: alpaca`) and LLaMA-Factory read them.

The last pair of turns is instruction and output. Earlier pairs go to `history`, which LLaMA-Factory trains on as well and Axolotl does not
read; `input` stays empty, since our instructions are whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, Turns, marked, no_tools, turns_of
from gen.types import Sample


@dataclass(frozen=True)
class Alpaca:
    """`{"instruction", "input", "output"}`, with `system` and `history` only where the conversation has them, `"simulated": true` where the
    simulator wrote the sample.

    >>> from gen.types import Message
    >>> list(Alpaca().rows([Sample("s1", (Message("user", "Hi"), Message("assistant", "Hello")))]))
    [{'instruction': 'Hi', 'input': '', 'output': 'Hello'}]
    >>> list(Alpaca().rows([Sample("s2", (Message("user", "Hi"), Message("tool", "{}")))]))
    [Skipped(id='s2', reason='tool_turn', detail="message 2 is of role 'tool'")]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-alpaca"
    columns: ClassVar[dict[str, Any]] = {
        "instruction": "string",
        "input": "string",
        "output": "string",
        "system": "string",
        "history": [["string"]],
    }

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            turns = no_tools(sample) or turns_of(sample.messages)
            yield replace(turns, id=sample.id) if isinstance(turns, Skipped) else marked(_row(turns), sample.provenance)


def _row(turns: Turns) -> dict[str, Any]:
    instruction, output = turns.pairs[-1]
    row: dict[str, Any] = {"instruction": instruction, "input": "", "output": output}
    if turns.system is not None:
        row["system"] = turns.system
    if len(turns.pairs) > 1:
        row["history"] = [list(pair) for pair in turns.pairs[:-1]]
    return row


PLUGIN = Alpaca
