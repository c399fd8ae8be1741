"""Which value of a gate's threshold would have been best on labelled items, and how good it can be expected to be on others.

A value chosen on the items it is measured on looks better than it is. So its figures come from cross-validation: the items are dealt into
five folds, each as mixed as the whole; the value is chosen on four and measured on the fifth (Stone 1974, "Cross-validatory choice and
assessment of statistical predictions").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from gen import plugins
from gen.errors import RecipeError
from gen.evaluation.counts import Confusion, confusion
from gen.evaluation.labelled import Item
from gen.evaluation.measure import Candidate, concerning, decide

FOLDS = 5
MIN_ITEMS = 10  # of the bad and of the good items each: two a fold
Rule = Literal["best_f1", "few_false_positives"]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value of a gate's option. `chosen_on` are the counts on the very items it was chosen on, `expected` those of cross-validation,
    `present` those of the value in force (`current`)."""

    gate: str
    option: str
    rule: Rule
    current: Any
    value: Any
    chosen_on: Confusion
    expected: Confusion
    present: Confusion


@dataclass(frozen=True, slots=True)
class _Tried:
    """One value of an option and, per item, whether the gate rejected it."""

    value: Any
    rejects: tuple[bool, ...]


def tunable(gate: Candidate) -> dict[str, tuple[Any, ...]]:
    """The options of a gate that have a threshold to choose, with the values to try: the gate's class says so in `thresholds`. Options
    that are not set are tried only where none of them is."""
    declared: Mapping[str, tuple[Any, ...]] = getattr(plugins.find("gates", gate.name), "thresholds", {})
    built = gate.build()
    current = {option: getattr(built, option) for option in declared}
    in_use = {option for option, value in current.items() if value is not None} or set(declared)
    return {option: _with(values, current[option]) for option, values in declared.items() if option in in_use}


def suggestions(items: Sequence[Item], gate: Candidate, *, most_false_positives: float, seed: int = 0) -> Iterator[Suggestion]:
    """For each option with a threshold the value of the best F1, and the one of the best recall with at most `most_false_positives` of the
    good items rejected. Nothing where fewer than MIN_ITEMS good or bad items concern the gate, and no value that finds none of the bad."""
    concerned = [item for item, concerns in zip(items, concerning(items, gate.name), strict=True) if concerns]
    now = [(item, reason) for item, reason in zip(concerned, decide(concerned, [gate])[gate.name], strict=True) if reason is not None]
    asked, bad = [item for item, _ in now], [not item.keep for item, _ in now]
    if min(sum(bad), len(bad) - sum(bad)) < MIN_ITEMS:
        return
    folds = _folds(bad, seed)
    for option, values in tunable(gate).items():
        tried = list(_try(asked, gate, option, values))
        current = getattr(gate.build(), option)
        if len(tried) < 2:
            continue
        for rule, best in _rules(bad, current, most_false_positives):
            everything = range(len(bad))
            chosen = best(tried, everything)
            chosen_on = confusion(zip(bad, chosen.rejects, strict=True))
            if not chosen_on.true_positives:
                continue
            held_out = (_counts(bad, best(tried, [at for at in everything if folds[at] != fold]), folds, fold) for fold in range(FOLDS))
            yield Suggestion(
                gate=gate.name,
                option=option,
                rule=rule,
                current=current,
                value=chosen.value,
                chosen_on=chosen_on,
                expected=sum(held_out, Confusion()),
                present=confusion((not item.keep, bool(reason)) for item, reason in now),
            )


_Best = Callable[[Sequence[_Tried], Sequence[int]], _Tried]


def _rules(bad: Sequence[bool], current: Any, most: float) -> Iterator[tuple[Rule, _Best]]:
    """How the better value is told on some of the items; among equals the nearest to the one in force."""

    def near(one: _Tried) -> float:
        return -abs(float(one.value) - float(current)) if current is not None else 0.0

    def counted(one: _Tried, places: Sequence[int]) -> Confusion:
        return confusion((bad[at], one.rejects[at]) for at in places)

    def by_f1(tried: Sequence[_Tried], places: Sequence[int]) -> _Tried:
        return max(tried, key=lambda one: (_value(counted(one, places).f1), near(one)))

    def by_recall(tried: Sequence[_Tried], places: Sequence[int]) -> _Tried:
        def rank(one: _Tried) -> tuple[bool, float, float]:
            counts = counted(one, places)
            wrong = _value(counts.false_positive_rate)
            within = wrong <= most
            return within, _value(counts.recall) if within else -wrong, near(one)

        return max(tried, key=rank)

    yield "best_f1", by_f1
    yield "few_false_positives", by_recall


def _value(share: Any) -> float:
    return share.value if share is not None else 0.0


def _counts(bad: Sequence[bool], chosen: _Tried, folds: Sequence[int], fold: int) -> Confusion:
    return confusion((bad[at], chosen.rejects[at]) for at in range(len(bad)) if folds[at] == fold)


def _try(items: Sequence[Item], gate: Candidate, option: str, values: Sequence[Any]) -> Iterator[_Tried]:
    """What the gate says with each value; a value that the gate's other options forbid is passed over."""
    for value in values:
        candidate = Candidate(gate.name, {**gate.options, option: value})
        try:
            candidate.build()
        except RecipeError:
            continue
        yield _Tried(value, tuple(bool(reason) for reason in decide(items, [candidate])[gate.name]))


def _folds(bad: Sequence[bool], seed: int) -> list[int]:
    """A fold for each item: the bad and the good ones are shuffled and dealt out apart, so that every fold is as mixed as the whole."""
    rng, folds = Random(f"{seed}/folds"), [0] * len(bad)
    for side in (True, False):
        places = [at for at, is_bad in enumerate(bad) if is_bad == side]
        rng.shuffle(places)
        for number, at in enumerate(places):
            folds[at] = number % FOLDS
    return folds


def _with(values: Sequence[Any], current: Any) -> tuple[Any, ...]:
    return tuple(sorted({*values, *(() if current is None else (current,))}))
