"""Figures that count candidates: funnel, coverage, the table per topic and strategy, attempts, duplicates, opening words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gen.figures.facts import DUPLICATE_GATES, Fact
from gen.types import SequenceEnd

SURPLUS = "goal"  # samples that were good and came after the last one asked for
# Fates decided before any gate of the recipe, and after all of them.
_BEFORE, _AFTER = ("provider", "parse", "novelty"), (SURPLUS,)
MOST_ROWS, _EMPTIEST, _FULLEST = 40, 20, 10


@dataclass(frozen=True, slots=True)
class Step:
    """One gate of the funnel: of `entered` candidates `rejected` ended here, by `reasons` in falling order."""

    gate: str
    entered: int
    rejected: int
    reasons: tuple[tuple[str, int], ...]

    @property
    def kept(self) -> int:
        return self.entered - self.rejected


@dataclass(frozen=True, slots=True)
class Grid:
    """`accepted` and `asked` per (topic, strategy); `wanted` are the pairs that a sequence of the run worked on."""

    topics: tuple[str, ...]
    strategies: tuple[str, ...]
    accepted: dict[tuple[str, str], int]
    asked: dict[tuple[str, str], int]
    wanted: frozenset[tuple[str, str]]

    @property
    def empty(self) -> tuple[tuple[str, str], ...]:
        """The pairs asked for that have no accepted sample."""
        return tuple(pair for pair in sorted(self.wanted) if not self.accepted.get(pair))


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table per topic and strategy. `goal` is 0 where the run had none; `stop` as the ledger has it."""

    topic: str
    strategy: str
    candidates: int
    accepted: int
    goal: int
    median_prompt_words: int
    median_reply_words: int
    stop: str
    detail: str

    @property
    def yielded(self) -> float:
        return self.accepted / max(1, self.candidates)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What asking again brought for one reason, and what it cost: `cost` in USD, None where a reply has no known price."""

    fate: str
    asked_again: int
    accepted: int
    calls: int = 0
    cost: float | None = 0.0

    @property
    def per_accepted(self) -> float | None:
        """USD per candidate that was recovered; None where that is unknown or none was."""
        return self.cost / self.accepted if self.cost is not None and self.accepted else None


def funnel(candidates: Sequence[Fact], gates: Sequence[str]) -> tuple[Step, ...]:
    """Every candidate once, at the gate that decided its fate: calls that failed and replies that could not be read first, then the
    recipe's gates in their order, then any other. Gates that nothing could reach are listed as well."""
    fates: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fact in candidates:
        if not fact.accepted:
            fates[fact.gate][fact.reason] += 1
    first = [gate for gate in _BEFORE if gate in fates and gate not in gates]
    others = sorted(set(fates) - set(gates) - set(first) - set(_AFTER))
    steps, left = [], len(candidates)
    for gate in dict.fromkeys((*first, *gates, *others, *(gate for gate in _AFTER if gate in fates))):
        reasons = tuple(sorted(fates[gate].items(), key=lambda item: (-item[1], item[0])))
        steps.append(Step(gate, left, sum(count for _, count in reasons), reasons))
        left = steps[-1].kept
    return tuple(steps)


def coverage(candidates: Sequence[Fact], sequences: Sequence[SequenceEnd]) -> Grid:
    """Accepted and asked per topic and strategy, topics and strategies in the order in which the run took them."""
    asked = Counter((fact.topic, fact.strategy) for fact in candidates)
    accepted = Counter((fact.topic, fact.strategy) for fact in candidates if fact.accepted)
    wanted = [(end.topic, end.strategy) for end in sequences] or list(asked)
    every = dict.fromkeys([*wanted, *asked])
    topics, strategies = tuple(dict.fromkeys(topic for topic, _ in every)), tuple(dict.fromkeys(name for _, name in every))
    return Grid(topics, strategies, dict(accepted), dict(asked), frozenset(wanted))


def shown_topics(grid: Grid) -> tuple[str, ...]:
    """The topics that a plot has room for: all of up to 40, else the 20 emptiest and the 10 fullest in their order."""
    if len(grid.topics) <= MOST_ROWS:
        return grid.topics
    total = {topic: sum(grid.accepted.get((topic, strategy), 0) for strategy in grid.strategies) for topic in grid.topics}
    by_count = sorted(grid.topics, key=lambda topic: total[topic])
    chosen = {*by_count[:_EMPTIEST], *by_count[-_FULLEST:]}
    return tuple(topic for topic in grid.topics if topic in chosen)


def table(candidates: Sequence[Fact], sequences: Sequence[SequenceEnd]) -> tuple[Line, ...]:
    """One line per topic and strategy, in the run's order."""
    grid = coverage(candidates, sequences)
    ends = {(end.topic, end.strategy): end for end in sequences}
    prompts: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    replies: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for fact in candidates:
        if fact.accepted:
            prompts[fact.topic, fact.strategy].append(fact.prompt_words)
            replies[fact.topic, fact.strategy].append(fact.reply_words)
    lines = []
    for topic in grid.topics:
        for strategy in grid.strategies:
            pair, end = (topic, strategy), ends.get((topic, strategy))
            if pair not in grid.asked and end is None:
                continue
            lines.append(
                Line(
                    *pair,
                    candidates=grid.asked.get(pair, 0),
                    accepted=grid.accepted.get(pair, 0),
                    goal=end.goal if end else 0,
                    median_prompt_words=middle(prompts[pair]),
                    median_reply_words=middle(replies[pair]),
                    stop=end.stop if end else "",
                    detail=end.detail if end else "",
                )
            )
    return tuple(lines)


def attempts(candidates: Sequence[Fact]) -> tuple[tuple[int, int, int], ...]:
    """(attempt, candidates, accepted), attempts counted from 1."""
    tried = Counter(fact.attempt for fact in candidates)
    kept = Counter(fact.attempt for fact in candidates if fact.accepted)
    return tuple((attempt, tried[attempt], kept[attempt]) for attempt in sorted(tried))


def recoveries(candidates: Sequence[Fact]) -> tuple[Recovery, ...]:
    """For each reason that candidates were asked again for, how many of the new ones were accepted; most asked first."""
    again: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in candidates:
        if fact.again:
            again[fact.again].append(fact)
    found = [
        Recovery(
            fate=fate,
            asked_again=len(facts),
            accepted=sum(fact.accepted for fact in facts),
            calls=sum(fact.calls for fact in facts),
            cost=None if any(fact.cost is None for fact in facts) else sum(fact.cost or 0.0 for fact in facts),
        )
        for fate, facts in again.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.asked_again, one.fate)))


def duplicates(candidates: Sequence[Fact]) -> tuple[tuple[str, int, int], ...]:
    """(topic, candidates, rejected as a duplicate by any gate), worst share first; topics without one are left out."""
    asked = Counter(fact.topic for fact in candidates)
    repeated = Counter(fact.topic for fact in candidates if fact.gate in DUPLICATE_GATES)
    return tuple(
        (topic, asked[topic], repeated[topic]) for topic in sorted(repeated, key=lambda name: (-repeated[name] / asked[name], name))
    )


def families(candidates: Sequence[Fact]) -> list[list[int]]:
    """Places of candidates that repeat an accepted one, it first, the largest families first."""
    place = {fact.id: at for at, fact in enumerate(candidates) if fact.accepted}
    found: defaultdict[str, list[int]] = defaultdict(list)
    for at, fact in enumerate(candidates):
        if fact.repeats in place:
            found[fact.repeats].append(at)
    return sorted(([place[name], *repeats] for name, repeats in found.items()), key=lambda family: (-len(family), family[0]))


def openings(candidates: Sequence[Fact], most: int = 15) -> tuple[tuple[str, int, float], ...]:
    """The commonest first three words of accepted prompts: (words, count, share of all accepted)."""
    found = Counter(fact.opening for fact in candidates if fact.accepted and fact.opening)
    total = sum(fact.accepted for fact in candidates) or 1
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple((opening, count, count / total) for opening, count in ranked[:most])


def repeated_openings(candidates: Sequence[Fact], *, least: int = 10) -> tuple[tuple[str, float], ...]:
    """(topic, share of its accepted prompts that begin with one of its three commonest openings) for topics with at least `least`."""
    by_topic: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fact in candidates:
        if fact.accepted:
            by_topic[fact.topic][fact.opening] += 1
    shares = [
        (topic, sum(count for _, count in found.most_common(3)) / found.total())
        for topic, found in by_topic.items()
        if found.total() >= least
    ]
    return tuple(sorted(shares, key=lambda item: (-item[1], item[0])))


def middle(values: Sequence[int]) -> int:
    """The lower median; 0 of nothing."""
    return sorted(values)[(len(values) - 1) // 2] if values else 0
