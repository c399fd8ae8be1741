"""Ask gates about labelled items and count how often they are right, per gate and per reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gen import plugins
from gen.evaluation.counts import Confusion, confusion
from gen.evaluation.labelled import Item
from gen.types import Outcome

WHOLE = "(all gates)"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gate to be measured: its name and the options it is built with."""

    name: str
    options: Mapping[str, Any]

    def build(self, **changes: Any) -> Any:
        """A fresh gate. Raises RecipeError for an option that it does not take."""
        return plugins.build("gates", self.name, {**self.options, **changes})


@dataclass(frozen=True, slots=True)
class Figures:
    """What a gate, or one of its reasons, decided on the items that concern it.

    `false_positives` and `false_negatives` are ids. Bad items that are labelled as another gate's are left out (`others`), for rejecting
    them as well is neither right nor wrong. `attributed` is whether the labels say which gate (for a reason: which reason) they mean:
    where they don't, recall counts every bad item, also those that are another gate's business."""

    name: str
    counts: Confusion
    false_positives: tuple[str, ...] = ()
    false_negatives: tuple[str, ...] = ()
    others: int = 0
    attributed: bool = True
    reasons: tuple[Figures, ...] = ()


Decisions = Mapping[str, Sequence[str | None]]  # gate → per item the reason it gave, "" for kept, None where it was not asked


def decide(items: Sequence[Item], gates: Sequence[Candidate], *, told: Callable[[int], None] = lambda _: None) -> Decisions:
    """Every gate's decision on every item. A gate with a memory is asked about the pairs, each with a memory of its first half alone;
    where there are no pairs, about the items in their order, and it remembers what no gate rejects, as in a run. Gates without a memory
    are not asked about pairs."""
    pairs = any(item.before is not None for item in items)
    built = [gate.build() for gate in gates]
    found: dict[str, list[str | None]] = {gate.name: [] for gate in gates}
    for place, item in enumerate(items):
        for gate, one in zip(gates, built, strict=True):
            found[gate.name].append(_reason(gate, one, item, pairs=pairs))
        if item.before is None and all(not reasons[-1] for reasons in found.values()):
            _remember(item, built)
        told(place + 1)
    return found


def decided(items: Iterable[Item], outcomes: Mapping[str, Outcome], gates: Iterable[str]) -> Decisions:
    """The decisions that a run has on record: a gate in `warn` mode counts as rejecting."""
    verdicts = [{verdict.gate: verdict.reason for verdict in outcomes[item.id].verdicts} for item in items]
    return {gate: [one.get(gate) for one in verdicts] for gate in gates}


def figures(items: Sequence[Item], decisions: Decisions) -> list[Figures]:
    """All gates together, then each gate with its reasons. A gate that was asked about nothing is left out."""
    together = [next((reason for reason in reasons if reason), _kept(reasons)) for reasons in zip(*decisions.values(), strict=True)]
    whole = replace(_of(WHOLE, items, together, gate=""), reasons=(), attributed=True)
    asked = [name for name, reasons in decisions.items() if any(reason is not None for reason in reasons)]
    return [whole, *(_of(name, items, decisions[name], gate=name) for name in asked)]


def concerning(items: Sequence[Item], gate: str) -> list[bool]:
    """Which items say something about a gate: all that ought to be kept, and the bad ones that are labelled as its own; where no bad item
    is, those that are labelled as no gate's."""
    own = any(not item.keep and item.gate == gate for item in items)
    return [item.keep or not gate or (item.gate == gate if own else not item.gate) for item in items]


def _reason(gate: Candidate, built: Any, item: Item, *, pairs: bool) -> str | None:
    memory = hasattr(built, "remember")
    if item.before is None:
        if memory and pairs:
            return None
        return str(built.check(item.sample).reason)
    if not memory:
        return None
    fresh = gate.build()
    fresh.remember(item.before)
    return str(fresh.check(item.sample).reason)


def _remember(item: Item, built: Sequence[Any]) -> None:
    for one in built:
        if hasattr(one, "remember"):
            one.remember(item.sample)


def _kept(reasons: Iterable[str | None]) -> str | None:
    return "" if any(reason is not None for reason in reasons) else None


def _of(name: str, items: Sequence[Item], reasons: Sequence[str | None], *, gate: str) -> Figures:
    concerned = concerning(items, gate)
    own = [(item, reason) for item, reason, concerns in zip(items, reasons, concerned, strict=True) if concerns and reason is not None]
    told = sorted({reason for _, reason in own if reason})
    return Figures(
        name=name,
        counts=confusion((not item.keep, bool(reason)) for item, reason in own),
        false_positives=tuple(item.id for item, reason in own if item.keep and reason),
        false_negatives=tuple(item.id for item, reason in own if not item.keep and not reason),
        others=sum(not concerns for concerns in concerned),
        attributed=any(item.gate == gate for item, _ in own if not item.keep),
        reasons=tuple(_of_reason(name, reason, own) for reason in told),
    )


def _of_reason(gate: str, reason: str, own: Sequence[tuple[Item, str]]) -> Figures:
    """One reason of a gate: bad items that the gate rejects for another reason don't concern it, unless they are labelled as this one."""
    named = any(item.reason == reason for item, _ in own if not item.keep)
    mine = [(item, said) for item, said in own if item.keep or item.reason == reason or said == reason]
    return Figures(
        name=f"{gate}/{reason}",
        counts=confusion((not item.keep, said == reason) for item, said in mine),
        false_positives=tuple(item.id for item, said in mine if item.keep and said == reason),
        false_negatives=tuple(item.id for item, said in mine if not item.keep and said != reason),
        others=len(own) - len(mine),
        attributed=named,
    )
