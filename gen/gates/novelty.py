"""The gate against sameness: an instruction must differ in its words from every accepted one of its topic."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from gen.bounds import to_try
from gen.likeness.rouge import coded, nearest_coded
from gen.turns import On, part
from gen.types import Sample, Verdict, kept, rejected

_READ = 20_000  # characters; comparing takes time for the product of two lengths


@dataclass(frozen=True)
class Novelty:
    """Rejects an instruction whose ROUGE-L with an accepted one is `threshold` or more: `not_novel`, the detail names the nearest.

    0.7 is the bound of Self-Instruct (Wang et al. 2023, section 2.2). `within` says which accepted instructions count: those of the
    sample's topic, or all. Unlike the near-duplicate gate it also rejects the same sentence with another number: it keeps a set
    diverse rather than free of repeats. `on` says what is compared: the instruction (all user turns), the reply or both, the first
    20,000 characters.

    >>> from gen.types import Message
    >>> gate = Novelty()
    >>> gate.remember(Sample("s-1", (Message("user", "Write a short poem about rain."),)))
    >>> gate.check(Sample("s-2", (Message("user", "Write a short poem about snow."),))).detail
    'ROUGE-L 0.83 with s-1, must be below 0.7'
    """

    threshold: float = 0.7
    within: Literal["topic", "all"] = "topic"
    on: On = "instruction"
    _pools: dict[str, tuple[list[str], list[str]]] = field(
        init=False, repr=False, compare=False, default_factory=lambda: defaultdict(lambda: ([], []))
    )

    thresholds = to_try(threshold=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95))

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is a ROUGE-L, more than 0 and at most 1, got {self.threshold}")

    def check(self, sample: Sample) -> Verdict:
        ids, instructions = self._pools.get(self._pool_of(sample), ([], []))
        position, value = nearest_coded(self._coded(sample), instructions, at_least=self.threshold)
        if position < 0:
            return kept("novelty")
        return rejected("novelty", "not_novel", f"ROUGE-L {value:.2f} with {ids[position]}, must be below {self.threshold:g}")

    def remember(self, sample: Sample) -> None:
        ids, instructions = self._pools[self._pool_of(sample)]
        ids.append(sample.id)
        instructions.append(self._coded(sample))

    def _coded(self, sample: Sample) -> str:
        return coded(part(sample, self.on)[:_READ])

    def _pool_of(self, sample: Sample) -> str:
        return sample.provenance.topic if self.within == "topic" else ""


PLUGIN = Novelty
