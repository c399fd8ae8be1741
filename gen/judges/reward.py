"""A reward model as a judge: one number for how good the last answer is, on the model's own scale.

Two kinds of servers are known. Behind a chat endpoint (NVIDIA NIM, and what answers like it) the conversation goes out as a chat and the
reply's text holds `reward:-6.41`, or several attributes as `helpfulness:1.6,correctness:1.5,…`. On vLLM the model line has `provider:
vllm_reward`. Rewards compare answers to one question; a threshold over many questions holds for one reward model only and should be found
by looking.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gen.errors import RecipeError
from gen.judges._scored import STEP, ask_endpoint, scored
from gen.opinions import answer_of
from gen.types import Generate, Message, Request, Sample, Sampling, Score

_PAIR = re.compile(r"\b([A-Za-z][A-Za-z_]{0,39})\s{0,3}:\s{0,3}([-+]?\d{1,6}(?:\.\d{1,12})?(?:[eE][-+]?\d{1,3})?)(?![\d.])")
_ATTRIBUTE = re.compile(r"[a-z][a-z_]{0,39}")
_MAX_TOKENS = 64  # five attributes take about 40


@dataclass(frozen=True)
class Reward:
    """Options of `reward`.

    `model` is the reward model's line. `attribute` names the number that counts where the model gives several (Nemotron's helpfulness).
    `with_system: true` sends the system prompt too, for models whose chat template takes one. `name` is the recipe's label.
    """

    model: str
    attribute: str = "helpfulness"
    with_system: bool = False
    name: str = "reward"

    def __post_init__(self) -> None:
        if not _ATTRIBUTE.fullmatch(self.attribute):
            raise RecipeError(f"'{self.attribute[:60]}' is no name of an attribute: use a-z and '_'", key="attribute")

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    @property
    def asks(self) -> Mapping[str, tuple[str, ...]]:
        return {self.model: ("reward", "chat")}

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with the reward as `reward`, and each attribute as `reward.correctness` where the model gives several. Without a value
        where the reply holds none."""
        found = answer_of(sample)
        if found is None or not found[1].strip():
            return scored(sample, {self.name: Score(None, "no opinion: the conversation has no answer")})
        before, answer = found
        shown = [message for message in before if message.content.strip() and (self.with_system or message.role != "system")]
        request = Request(
            model=self.model,
            messages=(*shown, Message("assistant", answer)),
            sampling=Sampling(max_tokens=_MAX_TOKENS),
            purpose=f"{self.name}.score",
            step=STEP,
        )
        told = await ask_endpoint(generate, request)
        scores = {self.name: Score(None, told.problem)} if told.problem else self._scores(read_rewards(told.text))
        return scored(sample, scores, requests=told.requests, simulated=told.simulated)

    def _scores(self, rewards: Mapping[str, float]) -> dict[str, Score]:
        if not rewards:
            return {self.name: Score(None, "unreadable opinion: the reply holds no 'reward:NUMBER'")}
        chosen = next((name for name in ("reward", self.attribute) if name in rewards), next(iter(rewards)) if len(rewards) == 1 else None)
        if chosen is None:
            names = ", ".join(rewards)
            return {self.name: Score(None, f"unreadable opinion: no '{self.attribute}' among {names} (option `attribute`)")}
        each = {f"{self.name}.{name}": Score(value) for name, value in rewards.items()} if len(rewards) > 1 else {}
        return {self.name: Score(rewards[chosen], "" if chosen == "reward" else chosen), **each}


def read_rewards(text: str) -> dict[str, float]:
    """The numbers of a reward model's reply by their lower-case names, at most 20; empty for a text that holds anything else beside them.

    >>> read_rewards("reward:-6.40625"), read_rewards("helpfulness:1.6,correctness:1.5"), read_rewards("A fine answer, score: 5")
    ({'reward': -6.40625}, {'helpfulness': 1.6, 'correctness': 1.5}, {})
    """
    head = text[:2000]
    if _PAIR.sub("", head).strip(" ,;\n\t{}\"'"):
        return {}
    pairs = [(name.lower(), round(float(number), 6)) for name, number in _PAIR.findall(head)]
    return {name: value for name, value in pairs[:20] if math.isfinite(value)}


PLUGIN = Reward
