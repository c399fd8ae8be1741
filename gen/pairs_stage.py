"""Preference pairs of a run: every maker of the recipe over the ledger's outcomes, then one guard for all of them.

The guard drops, with its reason, a pair whose sides are equal or nearly so (no preference can be learned from it) and one whose chosen
answer a gate without memory would reject (a trainer would be taught what the training set keeps out).
"""

from __future__ import annotations

from gen.ledger import Ledger
from gen.parts import Parts
from gen.pipeline import NamedGate
from gen.rouge import rouge_l
from gen.text import normalise
from gen.types import Dropped, Generate, Preference, Sample

NEAR_EQUAL = 0.95  # ROUGE-L of the two answers from which on their difference is a matter of a word or two


async def make_pairs(parts: Parts, ledger: Ledger, generate: Generate) -> None:
    """Make the recipe's pairs and write them, with the record of those dropped, to the ledger."""
    outcomes = list(ledger.outcomes())
    gates = [one for one in parts.gates if not one.remembers and not one.scores]
    pairs: list[Preference] = []
    dropped: list[Dropped] = []
    for maker in parts.pairs.values():
        for made in await maker.make(outcomes, generate, parts.judges.get(getattr(maker, "judge", ""))):
            one = made if isinstance(made, Dropped) else guard(made, gates)
            (pairs if isinstance(one, Preference) else dropped).append(one)  # type: ignore[arg-type]
    ledger.write_pairs(pairs, dropped)


def guard(pair: Preference, gates: list[NamedGate]) -> Preference | Dropped:
    """The pair, or why it is none: `equal`, `near_equal`, `chosen_rejected`."""
    chosen, rejected = (" ".join(message.content for message in side) for side in (pair.chosen, pair.rejected))
    if normalise(chosen).split() == normalise(rejected).split():
        return Dropped(pair.id, pair.source, pair.sample, "equal", "both sides say the same")
    likeness = rouge_l(chosen, rejected)
    if likeness >= NEAR_EQUAL:
        return Dropped(pair.id, pair.source, pair.sample, "near_equal", f"ROUGE-L {likeness:.2f} ≥ {NEAR_EQUAL}")
    sample = Sample(pair.sample, (*pair.prompt, *pair.chosen), provenance=pair.provenance)
    for gate in gates:
        verdict = gate.check(sample)
        if not verdict.keep or verdict.replacement is not None:
            return Dropped(pair.id, pair.source, pair.sample, "chosen_rejected", f"{verdict.gate}/{verdict.reason}")
    return pair
