"""Documents for continued pretraining: whole texts in chunks, cut at paragraphs, none dropped as too long and none wrapped in a chat.

A row is a stretch of one document; a trainer that packs joins them as it likes. Of a conversation the answers are the document: what was
asked is how it came about, not what is to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.chunks import chunks
from gen.conversation import Skipped, marked, plain_turns, unwritable
from gen.text import count_words, estimate_tokens
from gen.types import Sample


@dataclass(frozen=True)
class Documents:
    """`{"text", "document", "chunk"}`: the text, the id that it comes from, its number there from 1. Without an overlap the chunks of a
    document join to its text. `max_tokens`, where above 0, bounds chunks by tokens as they are estimated, and the overlap counts those.
    What does not fit: a sample without an answer (`no_reply`), calls of tools (`tool_turn`), loss weights (`loss_weight`).

    >>> from gen.types import Message
    >>> rows = Documents(max_words=3).rows([Sample("d1", (Message("assistant", "One two.\\n\\nThree four."),))])
    >>> [(row["text"], row["chunk"]) for row in rows]
    [('One two.\\n\\n', 1), ('Three four.', 2)]
    """

    max_words: int = 1000
    max_tokens: int = 0
    overlap: int = 0

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "documents"
    columns: ClassVar[dict[str, Any]] = {"text": "string", "document": "string", "chunk": "int64"}

    def __post_init__(self) -> None:
        limit = self.max_tokens or self.max_words
        if min(self.max_words, self.max_tokens + 1) < 1 or not 0 <= self.overlap < limit:
            raise ValueError(f"overlap must be at least 0 and below the {limit} of a chunk, got {self.overlap}")

    @property
    def _measure(self) -> Callable[[str], int]:
        return estimate_tokens if self.max_tokens else count_words

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            unfit = unwritable(sample.messages) or plain_turns(sample.messages)
            text = "\n\n".join(message.content for message in sample.messages if message.role == "assistant") if unfit is None else ""
            if unfit or not text.strip():
                yield replace(unfit or Skipped("", "no_reply", "no text of the assistant"), id=sample.id)
                continue
            for number, chunk in enumerate(chunks(text, self.max_tokens or self.max_words, overlap=self.overlap, measure=self._measure), 1):
                yield marked({"text": chunk, "document": sample.id, "chunk": number}, sample.provenance)


PLUGIN = Documents
