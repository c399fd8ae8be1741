"""Two answers to one question that cannot both be right: one says yes and one no, or they give numbers that differ.

A rule for finding what a person should read, no judge: numbers of the question and of list markers don't count, and only answers without
any number in common are named.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gen.audit.targets import Place
from gen.text import normalise
from gen.turns import part
from gen.types import Sample

_MAX_CHARS = 4_000  # of an answer: a longer one holds so many numbers that two share one
_MAX_NUMBERS = 40
_PER_QUESTION = 8  # different answers to one question that are kept to compare with
_YES = "yes|yeah|true|correct|ja|oui|sí|sim|да"
_NO = "no|nope|false|incorrect|nein|non|não|nee|нет"
_POLARITY = re.compile(rf"\W{{0,4}}(?:({_YES})|({_NO}))\s?(?:$|[,.;:!\n—–-])", re.IGNORECASE)
_MARKER = re.compile(r"(?m)^\s{0,8}\d{1,3}[.)]\s")
_NUMBER = re.compile(r"\d{1,15}(?:,\d{3}){0,5}(?:\.\d{1,12})?")


@dataclass(frozen=True, slots=True)
class Stance:
    """What an answer commits to: yes (1), no (-1) or neither (0), and its numbers."""

    polarity: int
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two records with one question. `kind`: polarity or number."""

    kind: str
    first: Place
    second: Place


class Answers:
    """The answers seen so far, by question. About 500 bytes a question."""

    def __init__(self) -> None:
        self._seen: dict[int, list[tuple[Place, Stance]]] = {}

    def add(self, place: Place, sample: Sample) -> Contradiction | None:
        """Remember a record's answer; the first earlier one that it contradicts."""
        question = question_digest(sample)
        if not question:
            return None
        said = stance(part(sample, "instruction"), sample.last("assistant"))
        seen = self._seen.setdefault(question, [])
        for other, before in seen:
            if kind := contradict(before, said):
                return Contradiction(kind, other, place)
        if len(seen) < _PER_QUESTION and all(before != said for _, before in seen):
            seen.append((place, said))
        return None


def question_digest(sample: Sample) -> int:
    """64 bits that tell questions apart, blind to case, white space and final marks; what the system says belongs to the question. 0 where
    nothing is asked."""
    question = normalise(f"{sample.first('system')}\n{part(sample, 'instruction')}").rstrip("?!. ")
    return int.from_bytes(hashlib.blake2b(question.encode("utf-8", "surrogatepass"), digest_size=8).digest()) if question else 0


def stance(question: str, answer: str) -> Stance:
    """What `answer` commits to.

    >>> stance("Is 7 prime?", "Yes, 7 has the divisors 1 and 7."), stance("How long?", "1,000.50 days")
    (Stance(polarity=1, numbers=('1',)), Stance(polarity=0, numbers=('1000.50',)))
    """
    found = _POLARITY.match(answer)
    polarity = 0 if found is None else 1 if found.group(1) else -1
    given = set(_numbers(question))
    return Stance(polarity, tuple(dict.fromkeys(number for number in _numbers(answer) if number not in given))[:_MAX_NUMBERS])


def contradict(one: Stance, other: Stance) -> str:
    """How two stances contradict each other: `polarity`, `number`, or not at all.

    >>> contradict(Stance(1, ()), Stance(-1, ("4",))), contradict(Stance(0, ("30",)), Stance(0, ("72",)))
    ('polarity', 'number')
    """
    if one.polarity * other.polarity < 0:
        return "polarity"
    if one.numbers and other.numbers and set(one.numbers).isdisjoint(other.numbers):
        return "number"
    return ""


def _numbers(text: str) -> list[str]:
    return [number.replace(",", "") for number in _NUMBER.findall(_MARKER.sub(" ", text[:_MAX_CHARS]))]
