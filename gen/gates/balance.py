"""Keeps a set even: no topic, persona, category or way to begin may have more than its part of the accepted samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gen.bounds import check_bounds
from gen.errors import RecipeError
from gen.text import words
from gen.types import Sample, Verdict, kept, rejected

_OPENING_CHARS = 400  # of a turn, in which its first words are looked for
_LONGEST_VALUE = 200  # characters of a label that are compared


@dataclass(frozen=True)
class Balance:
    """Rejects a sample whose value (its topic, its opening words, …) has reached its cap among the accepted ones.

    A cap below 1 is a share of the accepted samples, one from 1 on a count. `topic` caps each topic, `persona` each persona,
    `prompt_opening` and `reply_opening` the first `opening_words` of the first user turn and of the first reply, `category` what the judge
    `judge` (tags) says the sample is about, `fields` any other label by its name: a note of the provenance (`ask_level`) or, in
    `sluice gate`, a field of the record. At least one cap is needed. A sample without a value is not counted under it.

    A share means little while few samples are in: until `minimum` are accepted it is taken of `minimum`, and one sample of a value is
    always allowed. No published numbers exist: `opening_words` 3 and `minimum` 50 are ours, the bounds from which `sluice audit` looks at
    openings. Reasons: `topic_over_cap`, `persona_over_cap`, `category_over_cap`, `prompt_opening_over_cap`, `reply_opening_over_cap`,
    `field_over_cap`.

    >>> from gen.types import Message
    >>> gate = Balance(prompt_opening=2)
    >>> for name in ("s-1", "s-2"):
    ...     gate.remember(Sample(name, (Message("user", f"What is the {name}?"),)))
    >>> gate.check(Sample("s-3", (Message("user", "What is the third?"),))).detail
    'prompt_opening: 2 of 2 accepted have the same, cap 2'
    """

    topic: float | None = None
    persona: float | None = None
    category: float | None = None
    prompt_opening: float | None = None
    reply_opening: float | None = None
    fields: Mapping[str, float] = field(default_factory=dict)
    opening_words: int = 3
    minimum: int = 50
    judge: str = "tags"
    _accepted: Counter[tuple[str, str]] = field(init=False, repr=False, compare=False, default_factory=Counter)

    def __post_init__(self) -> None:
        check_bounds(self, opening_words=(1, 20), minimum=(1, 1_000_000))
        if not list(self._caps()):
            raise ValueError("no cap is given: name one, such as 'topic: 0.25' (a share) or 'prompt_opening: 40' (a count)")
        for name, cap in self._caps():
            if not (0 < cap < 1 or (1 <= cap < 1e12 and cap == int(cap))):
                key = name if hasattr(self, name) else "fields"
                raise RecipeError(f"a cap is a share between 0 and 1 or a whole count from 1 on, got {cap:g} for {name}", key=key)

    @property
    def reads_scores(self) -> bool:
        """A category is only known once the judge was asked."""
        return self.category is not None

    @property
    def reads_fields(self) -> bool:
        """A record's own labels are looked at."""
        return True

    @property
    def wavers(self) -> bool:
        """A share that is used up has room again when others were accepted."""
        return any(cap < 1 for _, cap in self._caps())

    def check(self, sample: Sample) -> Verdict:
        total = self._accepted["", ""]
        for (name, value), cap in self._values(sample):
            count = self._accepted[name, value]
            if count >= (cap if cap >= 1 else max(1, int(cap * max(total + 1, self.minimum) + 1e-9))):
                shown = f"{cap:g}" if cap >= 1 else f"{cap:.3g} from {self.minimum} on"
                reason = f"{name}_over_cap" if name not in self.fields else "field_over_cap"
                return rejected("balance", reason, f"{name}: {count} of {total} accepted have the same, cap {shown}")
        return kept("balance")

    def remember(self, sample: Sample) -> None:
        self._accepted["", ""] += 1
        self._accepted.update(place for place, _ in self._values(sample))

    def _caps(self) -> Iterator[tuple[str, float]]:
        named = {name: getattr(self, name) for name in ("topic", "persona", "category", "prompt_opening", "reply_opening")}
        yield from ((name, cap) for name, cap in named.items() if cap is not None)
        yield from self.fields.items()

    def _values(self, sample: Sample) -> Iterator[tuple[tuple[str, str], float]]:
        """((what is counted, its value in the sample), its cap), without those that the sample has no value for."""
        for name, cap in self._caps():
            if value := self._value(sample, name):
                yield (name, value), cap

    def _value(self, sample: Sample, name: str) -> str:
        notes = sample.provenance.notes
        if name in self.fields:
            value = notes.get(name, "")
        elif name == "topic":
            value = sample.provenance.topic
        elif name == "category":
            value = notes.get(f"{self.judge}.category", "")
        elif name == "persona":
            value = notes.get("persona", "")
        else:
            text = sample.first("user" if name == "prompt_opening" else "assistant")
            value = " ".join(words(text[:_OPENING_CHARS])[: self.opening_words]) if isinstance(text, str) else ""
        return str(value)[:_LONGEST_VALUE].strip() if isinstance(value, str | int | float) else ""


PLUGIN = Balance
