"""Answers of a file that contradict each other, found by the rules of `gen.likeness.stance`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from gen.audit.targets import Place
from gen.likeness.stance import Stance, contradict, stance
from gen.text import normalise
from gen.turns import part
from gen.types import Sample

_PER_QUESTION = 8  # different answers to one question that are kept to compare with


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two records with one question. `kind` is that of `gen.likeness.stance.contradict`."""

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
