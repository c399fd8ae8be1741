"""One number for how good a reply looks, out of parts that anyone can check."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gen.refusals import REFUSED_FROM, refusal_weight
from gen.text import code_share, contents, count_words, lines, words
from gen.types import Sample, Verdict, kept, rejected

_WIDE = re.compile(
    r"\b(?:essay|article|story|explain|describe|discuss|elaborate|in detail|compare|analy[sz]e|report|speech|letter|blog|tutorial|guide|paragraphs?)\b",
    re.IGNORECASE,
)
_NARROW = re.compile(
    r"\b(?:classify|label|yes or no|true or false|which|who|when|where|what (?:is|was|are|were)|how (?:many|much|old|long|far)|name|translate|calculate|compute|output|"
    r"one word|short|briefly|extract|identify|choose|select|answer|convert|is it|are there|does|did|can)\b",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?…:;。！？।॥؟۔\"'”’»)\]}*_`>」\d]\s{0,4}$")
_WIDE_WORDS, _PLAIN_WORDS = 25, 3
_VARIETY_LOW, _VARIETY_HIGH = 0.60, 0.80  # Herdan's C: ordinary prose of 20 to 500 words lies at .85 to .97, looped text under .6
_VARIETY_WORDS = 20


@dataclass(frozen=True, slots=True)
class Quality:
    """Rejects a reply whose weighted mean of four parts, each 0 to 1, lies below `minimum`. The detail shows every part.

    - length: is there as much as this kind of task needs? A question may be answered in one word, a request to explain may not.
    - answer: 1 without signs of a refusal, 0 from the weight on that the refusal gate rejects.
    - structure: a finished end, letters rather than symbols, not all in capitals.
    - variety: the share of different words, corrected for length by Herdan's C = log(different) / log(all) (Herdan 1960).

    The weights make one failed heavy part (answer, variety) or both light ones enough. They are ours, not taken from a paper; for
    opinions on the content there are judges. Reason: `low_quality`.

    >>> from gen.types import Message
    >>> PLUGIN().check(Sample("1", (Message("user", "Capital of France?"), Message("assistant", "Paris.")))).keep
    True
    """

    minimum: float = 0.7
    weight_length: float = 1.0
    weight_answer: float = 2.0
    weight_structure: float = 1.0
    weight_variety: float = 2.0

    def __post_init__(self) -> None:
        weights = (self.weight_length, self.weight_answer, self.weight_structure, self.weight_variety)
        if not 0 <= self.minimum <= 1 or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"minimum lies between 0 and 1 and weights are positive, got {self.minimum} and {', '.join(map(str, weights))}")

    def check(self, sample: Sample) -> Verdict:
        reply = sample.last("assistant")
        if not isinstance(reply, str) or not reply.strip():
            return rejected("quality", "low_quality", "0.00: empty reply")
        prompts = contents(sample, "user")
        parts = {
            "length": (self.weight_length, _length(reply, prompts[-1] if prompts else "")),
            "answer": (self.weight_answer, max(0.0, 1 - refusal_weight(reply) / REFUSED_FROM)),
            "structure": (self.weight_structure, _structure(reply)),
            "variety": (self.weight_variety, _variety(reply)),
        }
        score = sum(weight * value for weight, value in parts.values()) / sum(weight for weight, _ in parts.values())
        if score >= self.minimum:
            return kept("quality")
        shown = ", ".join(f"{name} {value:.2f}" for name, (_, value) in parts.items())
        return rejected("quality", "low_quality", f"{score:.2f}, minimum {self.minimum:.2f}: {shown}")


def _length(reply: str, prompt: str) -> float:
    count = count_words(reply)
    if code_share(reply) >= 0.5 or _NARROW.search(prompt[:600]):
        return 1.0
    return min(1.0, count / (_WIDE_WORDS if _WIDE.search(prompt[:600]) else _PLAIN_WORDS))


def _structure(reply: str) -> float:
    if code_share(reply) >= 0.5:
        return 1.0
    last = lines(reply)[-1]
    letters = sum(map(str.isalpha, reply[:2000]))
    value = 1.0 if _END.search(last[-20:]) or count_words(last) < 6 else 0.5
    if count_words(reply) >= 5 and 2 * letters < len(reply[:2000]) and not any(map(str.isdigit, reply[:2000])):
        value -= 0.5
    return max(0.0, value - (0.5 if letters > 40 and reply[:2000].isupper() else 0.0))


def _variety(reply: str) -> float:
    tokens = words(reply)
    if len(tokens) < _VARIETY_WORDS:
        return 1.0
    herdan = math.log(len(set(tokens))) / math.log(len(tokens))
    return min(1.0, max(0.0, (herdan - _VARIETY_LOW) / (_VARIETY_HIGH - _VARIETY_LOW)))


PLUGIN = Quality
