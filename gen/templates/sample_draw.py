"""Draw some samples while any number of them goes by, to be looked at once they are written: what each was before, and where it went."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gen.templates.chat_template import Unfit

LONGEST_TEXT = 20_000  # characters of one text that are kept: more than a person reads
Source = tuple[tuple[str, str], ...]  # role and text


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample's texts, and its position in the token file or why it has none."""

    id: str
    source: Source
    position: int | None
    unfit: Unfit | None = None


@dataclass
class Draw:
    """`count` of what is offered, each as likely as any other, the same for the same seed."""

    count: int
    seed: int
    _random: random.Random = field(init=False, repr=False)
    _held: list[tuple[float, int, Drawn]] = field(default_factory=list, repr=False)
    _offered: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def offer(self, make: Callable[[], Drawn]) -> None:
        """One more to draw from; it is made only if it is taken."""
        if not self.count:
            return
        key = self._random.random()
        self._offered += 1
        if len(self._held) < self.count:
            heapq.heappush(self._held, (key, self._offered, make()))
        elif key > self._held[0][0]:
            heapq.heapreplace(self._held, (key, self._offered, make()))

    def drawn(self) -> list[Drawn]:
        """What was drawn, in the order it was offered."""
        return [drawn for _, _, drawn in sorted(self._held, key=lambda item: item[1])]


def middle_cut(text: str, longest: int, at_end: int) -> str:
    """The text with its middle left out where it has more than `longest` characters, `at_end` of them kept from its end.

    >>> middle_cut("abcdefghij", 6, 2)
    'abcd… (4 characters) …ij'
    """
    if len(text) <= longest:
        return text
    return f"{text[: longest - at_end]}… ({len(text) - longest:,} characters) …{text[-at_end:]}"
