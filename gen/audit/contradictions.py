"""Find the answers that contradict each other, by a second look at the records whose question stands twice."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gen.audit.answers import Answers, Contradiction
from gen.audit.survey import Survey
from gen.audit.targets import Place
from gen.records import Record, read_records

_KEPT = 100


@dataclass(frozen=True, slots=True)
class Contradictions:
    """How many records contradict an earlier one, and the first of them."""

    count: int = 0
    named: tuple[Contradiction, ...] = ()


def find_contradictions(survey: Survey) -> Contradictions:
    """What the survey's questions lead to. Reads the files that ask something twice again, up to the last such record; without a question
    asked twice, nothing is read.

    Raises InputError when a file cannot be read any more.
    """
    again = _asked_again(np.frombuffer(survey.questions, np.uint64))
    lines: defaultdict[int, set[int]] = defaultdict(set)
    for at in again.tolist():
        lines[survey.target_of[at]].add(survey.line_of[at])
    answers, count, named = Answers(), 0, list[Contradiction]()
    for number in sorted(lines):
        wanted, last = lines[number], max(lines[number])
        target = survey.targets[number]
        for record in read_records(target.path, target.reading):
            if isinstance(record, Record) and record.line in wanted:
                found = answers.add(Place(number, record.line), record.sample)
                count += found is not None
                if found is not None and len(named) < _KEPT:
                    named.append(found)
            if record.line >= last:
                break
    return Contradictions(count, tuple(named))


def _asked_again(questions: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The positions of records whose question others have too."""
    _, which, counts = np.unique(questions, return_inverse=True, return_counts=True)
    return np.flatnonzero((counts[which] > 1) & (questions != 0))
