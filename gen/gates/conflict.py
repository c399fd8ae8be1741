"""Finds answers that contradict each other: the same question, asked twice, and two answers that cannot both be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from gen.bounds import to_try
from gen.likeness.minhash import Index
from gen.likeness.reading import Reading, read, unpack
from gen.likeness.same_task import may_be_same, similarity
from gen.likeness.stance import Stance, contradict, stance
from gen.likeness.stance import unpack as unpack_stance
from gen.turns import part
from gen.types import Sample, Verdict, kept, rejected

_LEEWAY = 0.8  # of the threshold: slips of the pen lower the overlap of the sets, the verification forgives them
_MOST_COMPARED = 64


@dataclass(frozen=True)
class Conflict:
    """Names a sample whose answer contradicts an accepted one's to the same question, with that one's id in the detail.

    A rule cannot tell which of the two is right, so this gate warns by default: both stay, and a person reads the pairs; `mode: reject`
    keeps the first. The question is the same when `gen.likeness.same_task` says so of system prompt and user turns, with a share of
    `threshold` content words (0.7, the usual bound for near-duplicates; another number or name is another question). The last replies
    contradict each other when one says yes and one no (`polarity_conflict`), when their numbers have none in common (`number_conflict`),
    when they choose different letters or different sides of an "or" in the question (`choice_conflict`), when one short answer is the
    other's denial (`negation_conflict`), or when both are mere names that share no word, given to who, what, where, when or which
    (`answer_conflict`). `near_dup` rejects the second of such a pair whatever it answers; the warning stays on record.

    >>> from gen.types import Message
    >>> def answered(name, text):
    ...     return Sample(name, (Message("user", "How long is a complaint kept?"), Message("assistant", text)))
    >>> gate = Conflict()
    >>> gate.remember(answered("s-1", "For 6 years."))
    >>> gate.check(answered("s-2", "It is kept for 10 years.")).detail
    'numbers unlike those of s-1, which was asked the same'
    """

    threshold: float = 0.7
    _index: Index = field(init=False, repr=False, compare=False, default_factory=Index)
    _ids: list[str] = field(init=False, repr=False, compare=False, default_factory=list)
    _readings: list[bytes] = field(init=False, repr=False, compare=False, default_factory=list)
    _stances: list[bytes] = field(init=False, repr=False, compare=False, default_factory=list)

    mode: ClassVar[str] = "warn"
    thresholds = to_try(threshold=(0.5, 0.6, 0.7, 0.8, 0.9, 1.0))

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is a share of words, more than 0 and at most 1, got {self.threshold}")

    def check(self, sample: Sample) -> Verdict:
        asked, answer = _asked(sample), _answer(sample)
        if not asked.strip() or not answer.strip():
            return kept("conflict")
        said = stance(asked, answer)
        for position in self._same_question(_reading(asked)):
            if kind := contradict(said, unpack_stance(self._stances[position])):
                return rejected("conflict", f"{kind}_conflict", f"{_SHOWN[kind]} {self._ids[position]}, which was asked the same")
        return kept("conflict")

    def remember(self, sample: Sample) -> None:
        asked, answer = _asked(sample), _answer(sample)
        if not asked.strip() or not answer.strip() or (said := stance(asked, answer)) == _NOTHING:
            return
        reading = _reading(asked)
        self._index.add(reading.content, reading.facts)
        self._ids.append(sample.id)
        self._readings.append(reading.pack())
        self._stances.append(said.pack())

    def _same_question(self, reading: Reading) -> Iterator[int]:
        for position, _ in self._index.alike(reading.content, self.threshold * _LEEWAY, reading.facts, most=_MOST_COMPARED):
            other = _unpacked(self._readings[position])
            if may_be_same(reading, other) and similarity(reading, other) >= self.threshold:
                yield position


_NOTHING = Stance(0, ())
_SHOWN = {
    "polarity": "yes and no the other way round than",
    "number": "numbers unlike those of",
    "choice": "another choice than",
    "negation": "the denial of",
    "answer": "another answer than",
}
_reading = lru_cache(maxsize=4)(read)  # what is checked is remembered next
_unpacked = lru_cache(maxsize=512)(unpack)


def _asked(sample: Sample) -> str:
    """What was asked, what the system says with it; nothing where no user turn is."""
    asked, system = part(sample, "instruction"), sample.first("system")
    return f"{system}\n{asked}" if asked and isinstance(system, str) and system else asked


def _answer(sample: Sample) -> str:
    answer = sample.last("assistant")
    return answer if isinstance(answer, str) else ""


PLUGIN = Conflict
