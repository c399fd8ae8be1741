"""Choose which rejected candidates of a run are asked for again, and say what became of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gen.errors import InputError
from gen.ledger import Ledger
from gen.plugins import suggest
from gen.second_chance import may_ask_again


@dataclass(frozen=True, slots=True)
class Recovered:
    """What asking again brought for the candidates of one reason (`gate/reason`)."""

    fate: str
    asked: int
    accepted: int


@dataclass(frozen=True, slots=True)
class _Fates:
    """Rejected ids with their fates, accepted ids, the ids that another candidate was made from, and those rejected as `unsafe` or, good
    as they are, as `surplus`."""

    rejected: dict[str, str]
    accepted: set[str]
    parents: set[str]
    unsafe: set[str]
    surplus: set[str]


def choose(
    ledger: Ledger,
    *,
    gates: Collection[str] = (),
    reasons: Collection[str] = (),
    ids: Collection[str] = (),
    include_unsafe: bool = False,
) -> dict[str, str]:
    """Candidate id → `gate/reason` of those to ask for again.

    Candidates named by `ids` are all taken; else every rejected one whose gate is in `gates` and whose reason is in `reasons` (all where
    empty), without those that were asked for again already, whose last attempt stands for them. What was rejected in review counts as
    rejected by the gate `review`. What is unsafe comes only with `include_unsafe`, what was surplus never: a larger goal takes it.
    Raises InputError for a name that occurs nowhere in the run, and for an id that must not be asked for again.
    """
    fates = _fates(ledger)
    rejected, accepted, parents = fates.rejected, fates.accepted, fates.parents
    _check("--gate", gates, {fate.split("/")[0] for fate in rejected.values()})
    _check("--reason", reasons, {fate.split("/")[1] for fate in rejected.values()})
    for name in ids:
        if name in accepted:
            raise InputError(f"--ids {name}: that candidate was accepted; only rejected ones are asked for again")
        if name not in rejected:
            raise InputError(f"--ids {name}: the run has no candidate of that id; ids stand in its rejected.jsonl")
        if name in fates.surplus:
            raise InputError(f"--ids {name}: that candidate was good but beyond the goal: set a larger goal in the recipe and run again")
        if name in fates.unsafe and not include_unsafe:
            raise InputError(f"--ids {name}: rejected as unsafe ({rejected[name]}); --include-unsafe asks for it again all the same")
    if ids:
        return {name: rejected[name] for name in ids}
    unmendable = fates.surplus if include_unsafe else fates.surplus | fates.unsafe
    return {
        name: fate
        for name, fate in rejected.items()
        if name not in parents
        and name not in unmendable
        and (not gates or fate.split("/")[0] in gates)
        and (not reasons or fate.split("/")[1] in reasons)
    }


def recovered(ledger: Ledger, chosen: dict[str, str]) -> list[Recovered]:
    """Per reason, how many of the `chosen` have an accepted descendant now; the most frequent reason first."""
    accepted_from: set[str] = set()
    parents: dict[str, tuple[str, ...]] = {}
    for outcome in ledger.outcomes():
        parents[outcome.item.id] = outcome.item.provenance.parents
        if outcome.accepted:
            waiting = list(outcome.item.provenance.parents)
            while waiting:
                name = waiting.pop()
                if name not in accepted_from:
                    accepted_from.add(name)
                    waiting += parents.get(name, ())
    fates = sorted(set(chosen.values()), key=lambda fate: (-list(chosen.values()).count(fate), fate))
    members = {fate: [name for name, its in chosen.items() if its == fate] for fate in fates}
    return [Recovered(fate, len(names), sum(name in accepted_from for name in names)) for fate, names in members.items()]


def unsafe_among(ledger: Ledger, chosen: Collection[str]) -> set[str]:
    """Those of the `chosen` that were rejected as unsafe."""
    return _fates(ledger).unsafe & set(chosen)


def _fates(ledger: Ledger) -> _Fates:
    fates = _Fates({}, set(), set(), set(), set())
    for outcome in ledger.outcomes():
        name, failure = outcome.item.id, outcome.failure
        fates.parents.update(outcome.item.provenance.parents)
        if failure is None:
            fates.accepted.add(name)
            continue
        fates.rejected[name] = f"{failure.gate}/{failure.reason}"
        if "goal/surplus" in outcome.reasons:
            fates.surplus.add(name)
        elif not may_ask_again(outcome):
            fates.unsafe.add(name)
    return fates


def _check(option: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"{option} {name}: nothing was rejected so; {suggest(name, sorted(known))}")
