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


def choose(ledger: Ledger, *, gates: Collection[str] = (), reasons: Collection[str] = (), ids: Collection[str] = ()) -> dict[str, str]:
    """Candidate id → `gate/reason` of those to ask for again.

    Candidates named by `ids` are all taken; else every rejected one whose gate is in `gates` and whose reason is in `reasons` (all where
    empty), without those that asking again cannot mend (unsafe, surplus) and those that were asked for again already, whose last attempt
    stands for them. Raises InputError for a name that occurs nowhere in the run.
    """
    rejected, accepted, parents = _fates(ledger)
    _check("--gate", gates, {fate.split("/")[0] for fate in rejected.values()})
    _check("--reason", reasons, {fate.split("/")[1] for fate in rejected.values()})
    for name in ids:
        if name in accepted:
            raise InputError(f"--ids {name}: that candidate was accepted; only rejected ones are asked for again")
        if name not in rejected:
            raise InputError(f"--ids {name}: the run has no candidate of that id; ids stand in its rejected.jsonl")
    if ids:
        return {name: rejected[name] for name in ids}
    unmendable = {outcome.item.id for outcome in ledger.outcomes() if not may_ask_again(outcome)}
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


def _fates(ledger: Ledger) -> tuple[dict[str, str], set[str], set[str]]:
    """Rejected ids with their fates, accepted ids, and the ids that another candidate was made from."""
    rejected: dict[str, str] = {}
    accepted: set[str] = set()
    parents: set[str] = set()
    for outcome in ledger.outcomes():
        parents |= set(outcome.item.provenance.parents)
        failure = outcome.failure
        if failure is None:
            accepted.add(outcome.item.id)
        else:
            rejected[outcome.item.id] = f"{failure.gate}/{failure.reason}"
    return rejected, accepted, parents


def _check(option: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"{option} {name}: nothing was rejected so; {suggest(name, sorted(known))}")
