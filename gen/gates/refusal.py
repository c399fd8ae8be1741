"""Keep answers; drop replies that decline to answer."""

from __future__ import annotations

from dataclasses import dataclass

from gen.patterns.refusals import REFUSED_FROM, goes_on, refusal_weight
from gen.text import contents
from gen.types import Sample, Verdict, kept, rejected


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rejects replies that decline (`refusal`) and, unless `partial` is false, those that decline and then answer something else or only
    a part (`partial_refusal`). An honest "I don't know" is no refusal, nor is putting a false premise right.

    English by weighted signals, some twenty-five other languages by their usual phrases: see `gen.patterns.refusals`.
    Reasons: `refusal`, `partial_refusal`.

    >>> from gen.types import Message
    >>> PLUGIN().check(Sample("1", (Message("assistant", "I'm sorry, but I can't help with that."),))).reason
    'refusal'
    """

    partial: bool = True

    def check(self, sample: Sample) -> Verdict:
        for text in contents(sample, "assistant"):
            weight = refusal_weight(text)
            if weight < REFUSED_FROM:
                continue
            detail = f"weight {weight:.1f}, refused from {REFUSED_FROM:.0f}"
            if not goes_on(text):
                return rejected("refusal", "refusal", detail)
            if self.partial:
                return rejected("refusal", "partial_refusal", f"{detail}, then goes on")
        return kept("refusal")


PLUGIN = Refusal
