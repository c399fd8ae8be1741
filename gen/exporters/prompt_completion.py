"""TRL's conversational prompt and completion: SFTTrainer learns the completion alone, which is the last answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gen.conversation import TURN, WIDE_TURN, Skipped, as_dicts, marked, unwritable, without_weights
from gen.types import Sample


@dataclass(frozen=True)
class PromptCompletion:
    """`{"prompt": [message, …], "completion": [message]}`, and `tools` as JSON text where the sample has them.

    What does not fit: a conversation that does not end with an answer (`no_reply`) or begins with it (`no_prompt`), and loss weights
    that ask for anything else than learning the last answer (`loss_weight`).

    >>> from gen.types import Message
    >>> list(PromptCompletion().rows([Sample("s1", (Message("user", "Hi"), Message("assistant", "Hello")))]))
    [{'prompt': [{'role': 'user', 'content': 'Hi'}], 'completion': [{'role': 'assistant', 'content': 'Hello'}]}]
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "sft-prompt_completion"
    columns: ClassVar[dict[str, Any]] = {"prompt": [TURN], "completion": [TURN]}
    wide: ClassVar[dict[str, Any]] = {"prompt": [WIDE_TURN], "completion": [WIDE_TURN], "tools": "string"}

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        for sample in items:
            unfit = unwritable(sample.messages) or _unfit(sample)
            yield replace(unfit, id=sample.id) if unfit else marked(_row(sample), sample.provenance)


def _unfit(sample: Sample) -> Skipped | None:
    *before, last = sample.messages
    if last.role != "assistant":
        return Skipped("", "no_reply", "the conversation does not end with the assistant")
    if not before:
        return Skipped("", "no_prompt", "nothing stands before the answer")
    for place, message in enumerate(sample.messages, start=1):
        wanted = (None, 1) if message is last else (None, 0)
        if message.role == "assistant" and message.weight not in wanted:
            return Skipped("", "loss_weight", f"message {place} has the loss weight {message.weight:g}; only the last answer is learnt")
    return None


def _row(sample: Sample) -> dict[str, Any]:
    turns = as_dicts(without_weights(sample.messages))
    return {"prompt": turns[:-1], "completion": turns[-1:], **({"tools": sample.tools} if sample.tools else {})}


PLUGIN = PromptCompletion
