"""TRL's standard prompt and completion: two texts, for base models without a chat template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import Skipped, marked, no_tools, turns_of
from gen.types import Sample


@dataclass(frozen=True)
class PromptCompletionText:
    """`{"prompt", "completion"}` as texts, of one question and one answer as they are: a space that should stand between must be in them.

    What does not fit: more turns, a system message (`not_plain`), tools, loss weights.

    >>> from gen.types import Message
    >>> list(PromptCompletionText().rows([Sample("s1", (Message("user", "The sky is"), Message("assistant", " blue.")))]))
    [{'prompt': 'The sky is', 'completion': ' blue.'}]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-prompt_completion_text"
    columns: ClassVar[dict[str, Any]] = {"prompt": "string", "completion": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            turns = no_tools(sample) or turns_of(sample.messages)
            if not isinstance(turns, Skipped) and (turns.system is not None or len(turns.pairs) > 1):
                turns = Skipped("", "not_plain", "more than one question and one answer")
            if isinstance(turns, Skipped):
                yield replace(turns, id=sample.id)
            else:
                prompt, completion = turns.pairs[0]
                yield marked({"prompt": prompt, "completion": completion}, sample.provenance)


PLUGIN = PromptCompletionText
