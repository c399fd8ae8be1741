"""Plain texts, one a row, as TRL's language-modelling format and every pretraining script read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, marked, unwritable
from gen.types import Sample


@dataclass(frozen=True)
class Text:
    """`{"text"}` of what came as a text. A conversation is none: how it reads as one text is for its model's chat template to say
    (`has_turns`); `sluice pack` applies that.

    >>> from gen.types import Message
    >>> list(Text().rows([Sample("s1", (Message("assistant", "Once upon a time."),))]))
    [{'text': 'Once upon a time.'}]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-text"
    columns: ClassVar[dict[str, Any]] = {"text": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            unfit = unwritable(sample.messages)
            if unfit is None and [message.role for message in sample.messages] != ["assistant"]:
                unfit = Skipped("", "has_turns", "a conversation is no plain text: apply a chat template with `sluice pack`")
            yield replace(unfit, id=sample.id) if unfit else marked({"text": sample.messages[0].content}, sample.provenance)


PLUGIN = Text
