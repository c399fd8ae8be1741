"""What only pairs and labelled answers can have wrong: two answers that are one, a preference for length, labels of one kind."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from gen.audit.targets import Place
from gen.text import count_words, normalise
from gen.types import Message, Preference

_PLACES_KEPT = 100
_LONGEST_DIFFERENCE = 1_000_000


@dataclass(slots=True)
class PairTally:
    """The preferences of all files. `differences` are words of the chosen answer less those of the rejected one; `same` are pairs whose
    answers differ in nothing but case and white space, `first_of_same` where the first of them stand."""

    differences: array[int] = field(default_factory=lambda: array("i"))
    longer: int = 0
    shorter: int = 0
    same: int = 0
    first_of_same: list[Place] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.differences)

    @property
    def longer_share(self) -> float:
        """Of the pairs whose answers differ in length, those whose chosen answer is the longer one; 0 without any."""
        return self.longer / max(1, self.longer + self.shorter)

    @property
    def median_difference(self) -> int:
        """The lower median of the differences; 0 without a pair."""
        return sorted(self.differences)[(self.count - 1) // 2] if self.differences else 0

    def add(self, place: Place, pair: Preference) -> None:
        chosen, rejected = _said(pair.chosen), _said(pair.rejected)
        difference = count_words(chosen) - count_words(rejected)
        self.differences.append(max(-_LONGEST_DIFFERENCE, min(_LONGEST_DIFFERENCE, difference)))
        self.longer += difference > 0
        self.shorter += difference < 0
        if normalise(chosen) == normalise(rejected):
            self.same += 1
            if len(self.first_of_same) < _PLACES_KEPT:
                self.first_of_same.append(place)


@dataclass(slots=True)
class LabelTally:
    """Unpaired answers (KTO): how many are labelled as wanted and as unwanted."""

    wanted: int = 0
    unwanted: int = 0

    def add(self, *, label: bool) -> None:
        self.wanted += label
        self.unwanted += not label


def _said(messages: tuple[Message, ...]) -> str:
    return "\n".join(message.content for message in messages if isinstance(message.content, str))
