"""Which part of a conversation a gate compares: what was asked, what was answered, or both."""

from __future__ import annotations

from typing import Literal

from gen.types import Sample

On = Literal["instruction", "reply", "both"]
_ROLES: dict[On, tuple[str, ...]] = {"instruction": ("user",), "reply": ("assistant",), "both": ("user", "assistant")}


def part(sample: Sample, on: On) -> str:
    """All user turns, all assistant turns, or both in their order, a blank line between two; content that is no text is left out.

    >>> from gen.types import Message
    >>> part(Sample("s", (Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Hello"))), "instruction")
    'Hi'
    """
    roles = _ROLES[on]
    return "\n\n".join([turn.content for turn in sample.messages if turn.role in roles and isinstance(turn.content, str)])
