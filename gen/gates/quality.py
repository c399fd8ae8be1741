"""One number for how good a reply looks, out of parts that anyone can check."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gen.bounds import to_try
from gen.language import english_words
from gen.patterns.refusals import REFUSED_FROM, refusal_weight
from gen.text import code_share, contents, count_letters, count_words, lines, words
from gen.types import Sample, Verdict, kept, rejected

_WIDE = frozenset(
    "essay article story explain describe discuss elaborate detail detailed compare analyze analyse report speech letter blog "
    "tutorial guide paragraph paragraphs".split()
)
_NARROW = frozenset(
    "classify label yes no true false which who when where what how name translate calculate compute output word short briefly "
    "extract identify choose select answer convert is are does did can".split()
)
_END = re.compile(r"[.!?…:;。！？।॥؟۔\"'”’»)\]}*_`>」\d]\s{0,4}$")
_WIDE_WORDS, _PLAIN_WORDS = 25, 3  # words from which a reply to such a task has its full length
_ASKED_WORDS = 100
_VARIETY_LOW, _VARIETY_HIGH = 0.60, 0.80  # Herdan's C: ordinary prose of 20 to 500 words lies at .85 to .97, looped text under .6
_VARIETY_WORDS = 20
_TOPIC_WORDS = 200  # of 111 preferred answers of 150 words one has no word of its prompt, of the worse answers every fifth
_TOPIC_ENGLISH = 4
_FUNCTION_WORDS = frozenset(
    "about after again all also and another answer any are ask based because been before being below between both but can could "
    "describe did different does doing down during each explain following for from further generate get give given got had has have "
    "having her here him his how imagine input instruction into its itself just let like list make more most need not now one only "
    "other our out over please put question role same say sentence she should some such take task tell text than that the their "
    "them then there these they this those through too two under until use using very want was were what when where which while who "
    "why will with without word words would write you your".split()
)


@dataclass(frozen=True, slots=True)
class Quality:
    """Rejects a reply whose weighted mean of five parts, each 0 to 1, lies below `minimum`. The detail shows every part.

    - length: is there as much as this kind of task needs? A question may be answered in one word, a request to explain may not.
    - answer: 1 without signs of a refusal, down to a half with some, 0 from the weight on that the refusal gate rejects.
    - structure: a finished end, letters rather than symbols, not all in capitals.
    - variety: the share of different words, corrected for length by Herdan's C = log(different) / log(all) (Herdan 1960).
    - topic: 0 for an English reply of 200 words and more in which no content word of the prompt comes again.

    The weights (`weight_length`, `weight_answer`, `weight_structure`, `weight_variety`, `weight_topic`) make one failed
    heavy part (answer, variety, topic) enough, or both light ones. They are ours, not taken from a paper;
    for opinions on the content there are judges. Reason: `low_quality`.

    >>> from gen.types import Message
    >>> PLUGIN().check(Sample("1", (Message("user", "Capital of France?"), Message("assistant", "Paris.")))).keep
    True
    """

    minimum: float = 0.8
    weight_length: float = 1.0
    weight_answer: float = 2.0
    weight_structure: float = 1.0
    weight_variety: float = 2.0
    weight_topic: float = 2.0

    thresholds = to_try(minimum=(0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95))

    def __post_init__(self) -> None:
        weights = (self.weight_length, self.weight_answer, self.weight_structure, self.weight_variety, self.weight_topic)
        if not 0 <= self.minimum <= 1 or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(
                f"minimum lies between 0 and 1 and weights are positive, got {self.minimum} and {', '.join(map(str, weights))}"
            )

    def check(self, sample: Sample) -> Verdict:
        reply = sample.last("assistant")
        if not isinstance(reply, str) or not reply.strip():
            return rejected("quality", "low_quality", "0.00: empty reply")
        prompts = contents(sample, "user")
        parts = {
            "length": (self.weight_length, _length(reply, prompts[-1] if prompts else "")),
            "answer": (self.weight_answer, _answer(reply)),
            "structure": (self.weight_structure, _structure(reply)),
            "variety": (self.weight_variety, _variety(reply)),
            "topic": (self.weight_topic, _topic(reply, prompts)),
        }
        score = sum(weight * value for weight, value in parts.values()) / sum(weight for weight, _ in parts.values())
        if score >= self.minimum:
            return kept("quality")
        shown = ", ".join(f"{name} {value:.2f}" for name, (_, value) in parts.items())
        return rejected("quality", "low_quality", f"{score:.2f}, minimum {self.minimum:.2f}: {shown}")


def _length(reply: str, prompt: str) -> float:
    count = count_words(reply)
    if count >= _WIDE_WORDS or code_share(reply) >= 0.5:
        return 1.0
    asked = words(prompt)[:_ASKED_WORDS]
    if not _NARROW.isdisjoint(asked):
        return 1.0
    return min(1.0, count / (_PLAIN_WORDS if _WIDE.isdisjoint(asked) else _WIDE_WORDS))


def _answer(reply: str) -> float:
    weight = refusal_weight(reply)
    return 0.0 if weight >= REFUSED_FROM else 1 - weight / (2 * REFUSED_FROM)


def _structure(reply: str) -> float:
    if code_share(reply) >= 0.5:
        return 1.0
    last = lines(reply)[-1]
    head = reply[:2000]
    letters = count_letters(head)
    value = 1.0 if _END.search(last[-20:]) or count_words(last) < 6 else 0.5
    if 2 * letters < len(head) and count_words(reply) >= 5 and not any(map(str.isdigit, head)):
        value -= 0.5
    return max(0.0, value - (0.5 if letters > 40 and head.isupper() else 0.0))


def _variety(reply: str) -> float:
    tokens = words(reply)
    if len(tokens) < _VARIETY_WORDS or code_share(reply) >= 0.5:
        return 1.0
    if 2 * sum(map(str.isalpha, tokens)) < len(tokens):  # tables and sums repeat their digits
        return 1.0
    herdan = math.log(len(set(tokens))) / math.log(len(tokens))
    return min(1.0, max(0.0, (herdan - _VARIETY_LOW) / (_VARIETY_HIGH - _VARIETY_LOW)))


def _topic(reply: str, prompts: tuple[str, ...]) -> float:
    tokens = words(reply)
    if len(tokens) < _TOPIC_WORDS or not prompts or english_words(reply)[0] < _TOPIC_ENGLISH or code_share(reply) >= 0.5:
        return 1.0
    asked = {stem for prompt in prompts for stem in _stems(words(prompt))}
    return 0.0 if asked and asked.isdisjoint(_stems(tokens)) else 1.0


def _stems(tokens: Iterable[str]) -> set[str]:
    """The first four letters of every content word: enough to find `described` for `describe`."""
    return {word[:4] for word in tokens if len(word) >= 3 and word.isalpha() and word not in _FUNCTION_WORDS}


PLUGIN = Quality
