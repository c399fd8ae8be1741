"""Best of n: several replies to one prompt, compared by a judge in one look; the best against the worst.

Two answers are told apart more surely side by side than by two separate numbers, and the judge sees them in an order drawn by chance, so
that no place in the list is favoured (Wang et al. 2023, "Large Language Models are not Fair Evaluators"). Pairs whose scores are equal or
closer than a margin are dropped: a trainer would learn the judge's noise from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal, TypeVar

from gen.bounds import check_bounds
from gen.concurrency import together
from gen.errors import ProviderError, RecipeError, ServiceStopped
from gen.opinions import Opinion, answer_of, draw_of_opinion
from gen.prompts import load
from gen.types import Dropped, Generate, Message, Outcome, Preference, Provenance, Request, Response, Sample, Sampling, digest

SOURCE = "best_of_n"
_WINDOW = 256  # samples under way at once: enough to fill every slot, and few prompts in memory
_AT_ONCE = 10  # answers in one prompt; beyond that judges lose track of which is which

Made = TypeVar("Made")


@dataclass(frozen=True)
class BestOfN:
    """Options of `best_of_n`.

    `judge` is the rubric judge whose model compares. Of the `n` replies to each accepted sample's prompt one is the accepted reply itself
    with `reuse`. `rejected` is the worst, or the `closest` that is still `minimum_margin` below the best (a harder pair). With `both_ways`
    the judge is asked a second time in the reverse order and the scores are averaged, which cancels a liking for the first or last place.
    `answer_style` is put to the answering model only. `name` is the recipe's label. A sample's own system prompt is kept.
    """

    model: str
    judge: str = "rubric"
    n: int = 4
    minimum_margin: float = 1.0
    rejected: Literal["worst", "closest"] = "worst"
    reuse: bool = True
    both_ways: bool = False
    temperature: float | None = None
    max_tokens: int | None = None
    answer_style: str = ""
    name: str = SOURCE

    def __post_init__(self) -> None:
        check_bounds(self, n=(2, _AT_ONCE), temperature=(0, 2), max_tokens=(1, 1_000_000))
        if not 0 < self.minimum_margin <= 4:
            raise RecipeError(f"must be above 0 and at most 4 (scores go from 1 to 5), got {self.minimum_margin:g}", key="minimum_margin")

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("pairs/answer",)

    async def make(self, outcomes: Sequence[Outcome], generate: Generate, judge: Any) -> list[Preference | Dropped]:
        """One pair per accepted sample, or why there is none: `equal`, `tie`, `below_margin`, `no_score`, `provider` (fewer than two
        replies), `no_answer` (the sample has none to reply to)."""
        accepted = [outcome.item for outcome in outcomes if outcome.accepted and isinstance(outcome.item, Sample)]
        made: list[Preference | Dropped | None] = [None] * len(accepted)
        waiting = iter(enumerate(accepted))

        async def work() -> None:
            for place, sample in waiting:
                made[place] = await self._pair(sample, generate, judge)

        await together(work() for _ in range(min(_WINDOW, len(accepted))))
        return [one for one in made if one is not None]

    async def _pair(self, sample: Sample, generate: Generate, judge: Any) -> Preference | Dropped:
        found = answer_of(sample)
        if found is None or not found[0] or found[0][-1].role != "user":
            return self._dropped(sample, "no_answer", "the sample is no question with an answer")
        prompt, answer = found
        replies = await together(self._reply(sample, prompt, number, generate) for number in range(self.n - self.reuse))
        given = [reply for reply in replies if isinstance(reply, Response)]
        if self.reuse:
            own = Response(answer, finish_reason=sample.provenance.finish_reason or "unknown")  # type: ignore[arg-type]
            given.insert(0, replace(own, simulated=sample.provenance.simulated))
        given = [reply for reply in given if reply.text.strip()]
        if len(given) < 2:
            failures = sorted({reply.reason for reply in replies if isinstance(reply, ProviderError)})
            return self._dropped(sample, "provider", f"{len(given)} of {self.n} replies: {', '.join(failures) or 'the others are empty'}")
        distinct: dict[str, Response] = {}
        for reply in given:
            distinct.setdefault(reply.text.strip(), reply)
        if len(distinct) < 2:
            return self._dropped(sample, "equal", f"all {len(given)} replies say the same")
        opinion = await self._compare(sample, prompt, list(distinct), generate, judge)
        return self._decide(sample, prompt, list(distinct.values()), opinion)

    async def _reply(self, sample: Sample, prompt: Sequence[Message], number: int, generate: Generate) -> Response | ProviderError:
        system = next((message.content for message in prompt if message.role == "system"), "")
        asked = load("pairs/answer").render(
            topic=sample.provenance.topic, instruction=prompt[-1].content, system=system, answer_style=self.answer_style
        )
        before = [message for message in prompt[:-1] if message.role != "system"]
        request = Request(
            model=self.model,
            messages=(*asked[:-1], *before, asked[-1]),
            sampling=Sampling(temperature=self.temperature, max_tokens=self.max_tokens),
            draw=draw_of_opinion(sample.id, self.name, "answer", number),
            purpose=f"{self.name}.answer",
        )
        try:
            return await generate(request)
        except ServiceStopped:
            raise
        except ProviderError as error:
            return error

    async def _compare(
        self, sample: Sample, prompt: Sequence[Message], answers: Sequence[str], generate: Generate, judge: Any
    ) -> Opinion[tuple[float, ...]]:
        """A score for each answer, averaged over both orders where both are asked for."""
        order = list(range(len(answers)))
        Random(digest([sample.id, self.name, "order"])).shuffle(order)
        first = await self._in_order(order, sample, prompt, answers, generate, judge)
        if not self.both_ways or first.value is None:
            return first
        second = await self._in_order(order[::-1], sample, prompt, answers, generate, judge)
        both = replace(second, requests=(*first.requests, *second.requests), simulated=first.simulated or second.simulated)
        if second.value is None:
            return both
        return replace(both, value=tuple((one + other) / 2 for one, other in zip(first.value, second.value, strict=True)))

    async def _in_order(
        self, order: Sequence[int], sample: Sample, prompt: Sequence[Message], answers: Sequence[str], generate: Generate, judge: Any
    ) -> Opinion[tuple[float, ...]]:
        shown = [answers[place] for place in order]
        opinion: Opinion[tuple[float, ...]] = await judge.compare(prompt, shown, generate, about=[sample.id, self.name])
        if opinion.value is None:
            return opinion
        scores = dict(zip(order, opinion.value, strict=True))
        return replace(opinion, value=tuple(scores[place] for place in range(len(answers))))

    def _decide(
        self, sample: Sample, prompt: tuple[Message, ...], replies: Sequence[Response], opinion: Opinion[tuple[float, ...]]
    ) -> Preference | Dropped:
        if opinion.value is None:
            return self._dropped(sample, "no_score", opinion.problem)
        ranked = sorted(zip(opinion.value, replies, strict=True), key=lambda pair: -pair[0])
        (high, best), (low, worst) = ranked[0], ranked[-1]
        if high == low:
            return self._dropped(sample, "tie", f"all {len(ranked)} replies got {high:g}")
        if _margin(high, low) < self.minimum_margin:
            return self._dropped(sample, "below_margin", f"{high:g} − {low:g} = {_margin(high, low):g}, minimum {self.minimum_margin:g}")
        if self.rejected == "closest":
            low, worst = next(pair for pair in ranked if _margin(high, pair[0]) >= self.minimum_margin)
        return Preference(
            id=digest([self.name, sample.id]),
            prompt=prompt,
            chosen=(Message("assistant", best.text.strip()),),
            rejected=(Message("assistant", worst.text.strip()),),
            chosen_score=high,
            rejected_score=low,
            margin=_margin(high, low),
            source=SOURCE,
            sample=sample.id,
            provenance=self._provenance(sample, replies, best, opinion),
        )

    def _provenance(self, sample: Sample, replies: Sequence[Response], best: Response, opinion: Opinion[tuple[float, ...]]) -> Provenance:
        """Where the chosen side comes from; `requests` are those of all replies and opinions."""
        keys = [reply.key for reply in replies if reply.key]
        return replace(
            sample.provenance,
            parents=(sample.id,),
            model=self.model if best.key else sample.provenance.model,
            prompts=(load("pairs/answer").ref,) if best.key else sample.provenance.prompts,
            requests=(*keys, *opinion.requests),
            finish_reason=best.finish_reason,
            simulated=sample.provenance.simulated or opinion.simulated or any(reply.simulated for reply in replies),
            notes={"maker": self.name, "judge": self.judge, "scores": sorted(opinion.value or (), reverse=True)},
        )

    def _dropped(self, sample: Sample, reason: str, detail: str) -> Dropped:
        return Dropped(digest([self.name, sample.id]), SOURCE, sample.id, reason, detail)


def _margin(high: float, low: float) -> float:
    """Rounded, because 4.3 − 3.3 is a little less than 1 in binary."""
    return round(high - low, 4)


PLUGIN = BestOfN
