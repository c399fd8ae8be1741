"""All figures of a run, computed once and shown by every paper."""

from __future__ import annotations

from dataclasses import dataclass

from gen.figures.counts import (
    Grid,
    Line,
    Recovery,
    Step,
    attempts,
    coverage,
    duplicates,
    funnel,
    openings,
    recoveries,
    repeated_openings,
    table,
)
from gen.figures.facts import Scan, Warned, gather
from gen.figures.measures import Cost, Lengths, Novelty, Pairs, Scores, cost, lengths, novelty, pairs, scores
from gen.figures.reading import Reading, reading
from gen.record import RunRecord


@dataclass(frozen=True, slots=True)
class Figures:
    """Every number that a paper prints; `candidates` = `accepted` + `rejected`."""

    candidates: int
    accepted: int
    simulated: bool
    scans: tuple[Scan, ...]
    funnel: tuple[Step, ...]
    coverage: Grid
    table: tuple[Line, ...]
    lengths: Lengths | None
    scores: tuple[Scores, ...]
    novelty: tuple[Novelty, ...]
    cost: Cost
    attempts: tuple[tuple[int, int, int], ...]
    recoveries: tuple[Recovery, ...]
    duplicates: tuple[tuple[str, int, int], ...]
    openings: tuple[tuple[str, int, float], ...]
    repeated_openings: tuple[tuple[str, float], ...]
    pairs: Pairs | None
    reading: Reading
    warned: tuple[Warned, ...] = ()

    @property
    def rejected(self) -> int:
        return self.candidates - self.accepted


def figures_of(record: RunRecord) -> Figures:
    """Goes through the run's outcomes twice; linear in their number."""
    facts = gather(record)
    candidates, gates = facts.candidates, [gate.name for gate in record.gates]
    return Figures(
        candidates=len(candidates),
        accepted=sum(fact.accepted for fact in candidates),
        simulated=facts.simulated,
        scans=facts.scans,
        funnel=funnel(candidates, gates),
        coverage=coverage(candidates, record.sequences),
        table=table(candidates, record.sequences),
        lengths=lengths(candidates),
        scores=scores(candidates, record.gates),
        novelty=novelty(candidates, record.sequences),
        cost=cost(candidates, record.calls),
        attempts=attempts(candidates),
        recoveries=recoveries(candidates),
        duplicates=duplicates(candidates),
        openings=openings(candidates),
        repeated_openings=repeated_openings(candidates),
        pairs=pairs(record.pairs, record.dropped),
        reading=reading(record, candidates),
        warned=facts.warned,
    )
