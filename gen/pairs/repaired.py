"""Repaired answers: what a gate rejected against what was accepted in its place, for not one call more.

When an answer fails a gate it is asked for again with the reason (up to `attempts` times); where the second one passes, both sides of a
preference pair lie in the ledger already. Only answers to the very same prompt are set against each other, and only where the objection was
to the answer: a duplicate's reply is no worse than another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gen.opinions import answer_of
from gen.second_chance import change_for, worth_another
from gen.types import Dropped, Generate, Message, Outcome, Preference, Sample, Verdict, digest

SOURCE = "repaired"
_PRIVATE = frozenset({"pii", "secrets"})  # with what `second_chance` never asks for again: not to be written, not even as a bad example


@dataclass(frozen=True)
class Repaired:
    """Has no options but `name`, the recipe's label. Pairs have no scores: a gate's word is not a number."""

    name: str = SOURCE

    async def make(self, outcomes: Sequence[Outcome], _generate: Generate, _judge: Any) -> list[Preference | Dropped]:
        """One pair per accepted sample that descends from a rejected one, or why there is none: `other_prompt`, `about_the_prompt` (a
        duplicate, say), `rejected_unsafe` (personal data, a secret, harm), `no_answer`."""
        rejected = {outcome.item.id: outcome for outcome in outcomes if not outcome.accepted and isinstance(outcome.item, Sample)}
        return [
            self._pair(outcome.item, rejected[parent])
            for outcome in outcomes
            if outcome.accepted and isinstance(outcome.item, Sample)
            for parent in dict.fromkeys(outcome.item.provenance.parents)
            if parent in rejected
        ]

    def _pair(self, sample: Sample, parent: Outcome) -> Preference | Dropped:
        name = digest([self.name, sample.id, parent.item.id])
        assert isinstance(parent.item, Sample)
        good, bad = answer_of(sample), answer_of(parent.item)
        failed = [verdict for verdict in parent.verdicts if not verdict.keep]
        fate = failed[0]
        if good is None or bad is None:
            return Dropped(name, SOURCE, sample.id, "no_answer", "one side has no answer")
        if good[0] != bad[0]:
            return Dropped(name, SOURCE, sample.id, "other_prompt", f"{fate.gate}/{fate.reason} was followed by another instruction")
        if unsafe := next((verdict for verdict in failed if _is_unsafe(verdict)), None):
            return Dropped(name, SOURCE, sample.id, "rejected_unsafe", f"{unsafe.gate}/{unsafe.reason}")
        if change_for(parent, 0) != "new_answer" or fate.gate == "goal":
            return Dropped(name, SOURCE, sample.id, "about_the_prompt", f"{fate.gate}/{fate.reason}")
        provenance = sample.provenance
        return Preference(
            id=name,
            prompt=good[0],
            chosen=(Message("assistant", good[1]),),
            rejected=(Message("assistant", bad[1]),),
            chosen_score=None,
            rejected_score=None,
            margin=None,
            source=SOURCE,
            sample=sample.id,
            provenance=replace(
                provenance,
                parents=(sample.id, parent.item.id),
                simulated=provenance.simulated or parent.item.provenance.simulated,
                notes={"maker": self.name, "rejected_by": f"{fate.gate}/{fate.reason}"},
            ),
        )


def _is_unsafe(verdict: Verdict) -> bool:
    return verdict.gate in _PRIVATE or (verdict.gate != "goal" and not worth_another(verdict))


PLUGIN = Repaired
