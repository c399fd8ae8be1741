"""A moderations endpoint as a judge: how likely each category of harm is in a sample, from 0 to 1.

It sees what words alone cannot (the `safety` gate's limit); a score gate with a `maximum` decides. All turns but the system prompt are
looked at, each on its own, and each category keeps its highest value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gen.judges._scored import STEP, ask_endpoint, scored
from gen.replies import parse_json
from gen.types import Generate, Request, Sample, Score


@dataclass(frozen=True)
class Moderation:
    """Options of `moderation`.

    `model` is a line whose model is one for the moderations endpoint (`omni-moderation-latest`). Scores are kept as `moderation.hate` and
    so on, the highest of them as `moderation` with its category as the reason. `name` is the recipe's label.
    """

    model: str
    name: str = "moderation"

    needs_moderation: ClassVar[bool] = True

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with a score per category and the highest; with no value and the reason where the endpoint gave none."""
        texts = tuple(message for message in sample.messages if message.role != "system" and message.content.strip())
        if not texts:
            return scored(sample, {self.name: Score(None, "no opinion: the conversation is empty")})
        told = await ask_endpoint(generate, Request(model=self.model, messages=texts, purpose=f"{self.name}.score", step=STEP))
        scores = {self.name: Score(None, told.problem)} if told.problem else self._scores(told.text)
        return scored(sample, scores, requests=told.requests, simulated=told.simulated)

    def _scores(self, text: str) -> dict[str, Score]:
        found = parse_json(text)
        values = {category: value for category, value in found.items() if _is_share(value)} if isinstance(found, Mapping) else {}
        if not values:
            return {self.name: Score(None, "unreadable opinion: the reply holds no category with a score from 0 to 1")}
        worst = max(sorted(values), key=lambda category: values[category])
        each = {f"{self.name}.{category}": Score(round(float(values[category]), 4)) for category in sorted(values)}
        return {self.name: Score(round(float(values[worst]), 4), worst), **each}


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1


PLUGIN = Moderation
