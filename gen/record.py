"""A run as its papers need it: what was asked, by which models, and what came of it. Built from the ledger and the recipe, read by the
data card, the quality report, the report page and the folder's README."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gen.card import CardFields
from gen.containers import WRITTEN
from gen.conversation import Skipped
from gen.types import Call, Dropped, Outcome, Preference, SequenceEnd, Session

# What judges keep beside their aspects, on scales of their own (counts, a distance): a gate may name one, none pulls the whole score, and
# none is an opinion that could favour anything.
BESIDE = frozenset({"spread", "supported", "refuted", "not_found", "unsupported"})


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model of the recipe: its name there, the provider and the provider's id."""

    name: str
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate of the recipe with its options as they were in force (thresholds, a `judge` and its `minimum`)."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str) -> Any:
        """The option's value; None when the gate has none of that name."""
        return dict(self.options).get(name)


@dataclass(frozen=True, slots=True)
class Export:
    """One export as written: `rows` per split in order, `columns` as the exporter declares them and the rows use them, what its format
    could not hold, and the container of its files."""

    format: str
    folder: str
    rows: Mapping[str, int]
    columns: Mapping[str, Any]
    skipped: tuple[Skipped, ...] = ()
    container: str = "jsonl"

    def file(self, split: str) -> str:
        """A split's file, or its folder in Arrow, relative to the run's folder."""
        return f"{self.folder}/{split}{WRITTEN[self.container]}"


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed set: `too_long` samples were left out; `tokens` fill `rows` of `max_length`, `loss_tokens` of them are trained on.
    `median`, `p95` and `longest` are tokens of a packed sample under the template, 0 where nobody looked."""

    folder: str
    tokenizer: str
    max_length: int
    samples: int
    too_long: int
    rows: int
    tokens: int
    loss_tokens: int
    median: int = 0
    p95: int = 0
    longest: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything about one run. `outcomes` gives all candidates in plan order each time it is called, so a long run is never held in
    memory; `date` is the day of writing; `goal` the number asked for, 0 without one; `split_by` names the unit that stays together;
    `leaks` is what a check of the splits found, None without one; `trainers` are the commands that start a training on it; `reviewed`
    counts samples that a person judged as (good, all)."""

    name: str
    recipe_hash: str
    seed: int
    goal: int
    version: str
    date: str
    models: tuple[ModelLine, ...]
    prompts: tuple[str, ...]
    gates: tuple[GateLine, ...]
    sequences: tuple[SequenceEnd, ...]
    calls: tuple[Call, ...]
    sessions: tuple[Session, ...]
    outcomes: Callable[[], Iterable[Outcome]]
    card: CardFields = CardFields()
    split_by: str = "family"
    leaks: int | None = None
    exports: tuple[Export, ...] = ()
    pairs: tuple[Preference, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    packed: Packed | None = None
    trainers: tuple[str, ...] = ()
    reviewed: tuple[int, int] | None = None
