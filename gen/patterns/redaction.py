"""From marked spans to a verdict: reject the sample, or go on with markers or stand-ins where the values were.

Shared by the gates that look for values which must not be learnt (personal data, secrets). A detail names kind, message and offset and
never the value itself, so rejects and logs can be shown to anybody.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from gen.patterns.spans import Span, substitute
from gen.types import Message, Sample, Verdict, kept, rejected

Action = Literal["reject", "redact", "replace"]
Side = Literal["prompt", "reply", "both"]


def verdict(
    gate: str, sample: Sample, *, find: Callable[[str], tuple[Span, ...]], action: Action, on: Side, stand_in: Callable[[str, str], str]
) -> Verdict:
    """What becomes of `sample`, given a finder of spans; the reason of a reject is the kind found first.

    `prompt` is every message that is not the assistant's, `reply` every one that is. With `redact` each span becomes its kind in
    brackets ("[EMAIL]"), with `replace` what `stand_in(kind, value)` says; the sample is then kept and `replacement` is set.
    """
    found = [find(text_of(message, on)) for message in sample.messages]
    if not any(found):
        return kept(gate)
    counts = Counter(span.kind for spans in found for span in spans)
    if action == "reject":
        index, first = next((index, spans[0]) for index, spans in enumerate(found) if spans)
        more = f", {counts.total()} found in all" if counts.total() > 1 else ""
        return rejected(gate, first.kind, f"{first.kind} in message {index} at offset {first.start}{more}")
    chosen = marker if action == "redact" else stand_in
    messages = tuple(
        replace(message, content=substitute(message.content, spans, chosen)) if spans else message
        for message, spans in zip(sample.messages, found, strict=True)
    )
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return Verdict(keep=True, gate=gate, detail=f"{action}: {listed}", replacement=replace(sample, messages=messages))


def looked_at(role: str, on: Side) -> bool:
    """Whether a message of `role` belongs to the side `on`."""
    return on == "both" or (role == "assistant") == (on == "reply")


def text_of(message: Message, on: Side) -> str:
    """What is read of a message: nothing of the other side, nor of a content that is no text, which is the schema gate's business."""
    return message.content if looked_at(message.role, on) and isinstance(message.content, str) else ""


def marker(kind: str, _value: str) -> str:
    """The kind in brackets: `[CARD_NUMBER]`."""
    return f"[{kind.upper()}]"


def number_of(value: str, below: int) -> int:
    """A number from 0 to `below` - 1 that is the same for the same value on every machine, so a person keeps one pseudonym."""
    return int.from_bytes(hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()[:8], "big") % below
