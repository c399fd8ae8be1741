"""One question and one answer a line, `instruction` and `output` and nothing else: the rows of a course's data package.

gen.lab writes the package around them; gen.exporters.lab.readme and .inspect are its own papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, turns_of
from gen.types import Sample


@dataclass(frozen=True)
class Lab:
    """`{"instruction", "output"}`, both texts. A system message is left out; more than one exchange cannot be held (`multi_turn`).

    >>> from gen.types import Message
    >>> list(Lab().rows([Sample("s1", (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Hello")))]))
    [{'instruction': 'Hi', 'output': 'Hello'}]
    >>> turns = (Message("user", "Hi"), Message("assistant", "Hello"))
    >>> list(Lab().rows([Sample("s2", turns + turns)]))
    [Skipped(id='s2', reason='multi_turn', detail='2 exchanges, a line holds one')]
    """

    takes: ClassVar[str] = "lab"
    folder: ClassVar[str] = "splits"
    columns: ClassVar[dict[str, Any]] = {"instruction": "string", "output": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        return (_row(sample) for sample in items)


def _row(sample: Sample) -> dict[str, Any] | Skipped:
    turns = turns_of(sample.messages)
    if isinstance(turns, Skipped):
        return replace(turns, id=sample.id)
    if len(turns.pairs) > 1:
        return Skipped(sample.id, "multi_turn", f"{len(turns.pairs)} exchanges, a line holds one")
    instruction, output = turns.pairs[0]
    return {"instruction": instruction, "output": output}


PLUGIN = Lab
