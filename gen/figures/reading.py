"""What only reading shows: random samples to inspect, an example of every rejection, and the languages of the replies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gen.figures.counts import families
from gen.figures.facts import Fact
from gen.language import detect
from gen.record import RunRecord
from gen.types import Outcome, Sample

ACCEPTED_TO_READ, REJECTED_TO_READ = 8, 4  # twelve in all: what a person will really read
_EXAMPLES = 2  # per reason
_REASONS = 30
_FAMILIES, _MEMBERS = 5, 5  # of those that repeat each other
_LANGUAGES_OF = 2_000  # replies looked at, spread over the run: half a second


@dataclass(frozen=True, slots=True)
class Reading:
    """Whole outcomes: `samples` were drawn at random, stratified by topic and strategy (accepted) or by reason (rejected); `examples`
    are (gate/reason, outcomes) in falling order of frequency; `languages` are (code, count) of `looked_at` accepted replies;
    `families` are (candidates, the first of them) that are like one accepted sample, which stands first, the largest families first."""

    samples: tuple[Outcome, ...]
    examples: tuple[tuple[str, tuple[Outcome, ...]], ...]
    languages: tuple[tuple[str, int], ...]
    looked_at: int
    families: tuple[tuple[int, tuple[Outcome, ...]], ...] = ()


def reading(record: RunRecord, candidates: Sequence[Fact]) -> Reading:
    """The texts to read; the same ones for the same run and seed. Goes through the outcomes once."""
    rng = Random(f"{record.seed}/reading")
    accepted = [at for at, fact in enumerate(candidates) if fact.accepted]
    by_stratum: defaultdict[str, list[int]] = defaultdict(list)
    by_reason: defaultdict[str, list[int]] = defaultdict(list)
    for at, fact in enumerate(candidates):
        if fact.accepted:
            by_stratum[f"{fact.topic}/{fact.strategy}"].append(at)
        else:
            by_reason[f"{fact.gate}/{fact.reason}"].append(at)
    common = sorted(by_reason, key=lambda reason: (-len(by_reason[reason]), reason))[:_REASONS]
    drawn = [*_stratified(by_stratum, ACCEPTED_TO_READ, rng), *_stratified(by_reason, REJECTED_TO_READ, rng)]
    shown = {reason: rng.sample(by_reason[reason], min(_EXAMPLES, len(by_reason[reason]))) for reason in common}
    spoken = set(accepted[:: max(1, -(-len(accepted) // _LANGUAGES_OF))])
    alike = families(candidates)[:_FAMILIES]
    repeated = (at for family in alike for at in family[:_MEMBERS])
    held, languages = _outcomes_at(record, {*drawn, *(at for places in shown.values() for at in places), *repeated}, spoken)
    return Reading(
        samples=tuple(held[at] for at in drawn),
        examples=tuple((reason, tuple(held[at] for at in sorted(shown[reason]))) for reason in common),
        languages=tuple(sorted(languages.items(), key=lambda item: (-item[1], item[0]))),
        looked_at=languages.total(),
        families=tuple((len(family), tuple(held[at] for at in family[:_MEMBERS])) for family in alike),
    )


def _outcomes_at(record: RunRecord, wanted: set[int], spoken: set[int]) -> tuple[dict[int, Outcome], Counter[str]]:
    held: dict[int, Outcome] = {}
    languages: Counter[str] = Counter()
    for at, outcome in enumerate(record.outcomes()):
        if at in wanted:
            held[at] = outcome
        if at in spoken and isinstance(outcome.item, Sample):
            languages[detect(outcome.item.last("assistant"))[0]] += 1
    return held, languages


def _stratified(strata: dict[str, list[int]], count: int, rng: Random) -> list[int]:
    """One of each stratum in a random order, then a second one of each, until there are enough."""
    shuffled = [rng.sample(places, len(places)) for _, places in sorted(strata.items())]
    rng.shuffle(shuffled)
    drawn: list[int] = []
    for turn in range(max(map(len, shuffled), default=0)):
        drawn += [places[turn] for places in shuffled if turn < len(places)]
        if len(drawn) >= count:
            break
    return sorted(drawn[:count])
