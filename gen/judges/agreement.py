"""Agreement: the same question is answered again a few times, and what counts is how often the answers come out as the sample's did.

Wang et al. 2022, "Self-Consistency": where a model reaches one final answer by many ways it is mostly right. For texts without a final
answer the same idea is that of Manakul et al. 2023, "SelfCheckGPT": what is made up comes out differently each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Literal

from gen.bounds import check_bounds
from gen.concurrency import together
from gen.errors import ProviderError, ServiceStopped
from gen.judges._final_answer import final_answer, same_answer
from gen.judges._scored import STEP, closed, listed, question, scored, share
from gen.likeness.rouge import rouge_l
from gen.opinions import Opinion, Unreadable, answer_of, ask_opinion, draw_of_opinion, frame_mark, question_of
from gen.prompts import load
from gen.types import Generate, Json, Message, Request, Response, Sample, Sampling, Score

_MAX_COMPARED = 20_000  # characters of an answer that are compared word by word


@dataclass(frozen=True)
class Agreement:
    """Options of `agreement`.

    `model` answers `n` more times, at `answer_temperature` (the paper's 0.7). `by` says how answers are compared: by their marked final
    `answer`, by `likeness` (ROUGE-L, its mean is the score), by a `model`'s verdict, or `auto`: by the final answer where the sample's has
    one, else by likeness. `verdict_model` gives the verdicts (`model` when left out), at `temperature`. `max_tokens`, `tries`, `structured`
    and `name` as in `rubric`.
    """

    model: str
    n: int = 4
    by: Literal["auto", "answer", "likeness", "model"] = "auto"
    verdict_model: str = ""
    answer_temperature: float = 0.7
    temperature: float = 0.0
    max_tokens: int | None = None
    tries: int = 2
    structured: bool = True
    name: str = "agreement"

    def __post_init__(self) -> None:
        check_bounds(self, n=(2, 20), answer_temperature=(0, 2), temperature=(0, 2), max_tokens=(16, 1_000_000), tries=(0, 5))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.model, *((self.verdict_model,) if self.verdict_model and self.by == "model" else ()))))

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("judges/agreement",) if self.by == "model" else ()

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with the share of further answers that agree with its own, from 0 to 1. Without a value where half of the calls or
        more brought no whole answer, or `by: answer` finds no final answer in the sample."""
        found = answer_of(sample)
        if found is None:
            return scored(sample, {self.name: Score(None, "no opinion: the conversation has no answer")})
        before, own = found
        final = final_answer(own) if self.by in ("auto", "answer") else None
        if final is None and self.by == "answer":
            return scored(sample, {self.name: Score(None, "no opinion: the answer has no marked final answer")})
        replies = [one for one in await together(self._again(sample.id, before, place, generate) for place in range(self.n)) if one]
        whole = [reply.text for reply in replies if reply.finish_reason != "length" and reply.text.strip()]
        requests = [reply.key for reply in replies if reply.key]
        simulated = any(reply.simulated for reply in replies)
        if 2 * len(whole) <= self.n:
            why = f"no opinion: only {len(whole)} of {self.n} further answers came back whole"
            return scored(sample, {self.name: Score(None, why)}, requests=requests, simulated=simulated)
        if self.by == "model":
            verdicts = await self._verdicts(sample.id, before, own, whole, generate)
            score = self._agreed(verdicts.value, "say the same") if verdicts.value is not None else Score(None, verdicts.problem)
            return scored(sample, {self.name: score}, requests=[*requests, *verdicts.requests], simulated=simulated or verdicts.simulated)
        if final is not None:
            others = [final_answer(text) for text in whole]
            score = self._agreed([other is not None and same_answer(final, other) for other in others], f"end in {final[:80]!r}")
        else:
            alike = fmean(rouge_l(own[:_MAX_COMPARED], text[:_MAX_COMPARED]) for text in whole)
            score = Score(round(alike, 4), f"mean ROUGE-L with {len(whole)} further answers")
        return scored(sample, {self.name: score}, requests=requests, simulated=simulated)

    async def _again(self, name: str, before: Sequence[Message], place: int, generate: Generate) -> Response | None:
        """A further answer to the sample's own conversation; None for a call that failed for good."""
        request = Request(
            model=self.model,
            messages=tuple(before),
            sampling=Sampling(temperature=self.answer_temperature, max_tokens=self.max_tokens),
            draw=draw_of_opinion(name, self.name, "answer", place),
            purpose=f"{self.name}.answer",
            step=STEP,
        )
        try:
            return await generate(request)
        except ServiceStopped:
            raise
        except ProviderError:
            return None

    async def _verdicts(
        self, name: str, before: Sequence[Message], own: str, others: Sequence[str], generate: Generate
    ) -> Opinion[list[bool]]:
        system, asked = question_of(before)
        whole = f"{system}\n\n{asked}".strip()
        mark = frame_mark([whole, own, *others])
        prompt = load("judges/agreement")

        def request(number: int, problem: str) -> Request:
            messages = prompt.render(instruction=whole, reference=own, answers=list(others), mark=mark, problem=problem)
            model = self.verdict_model or self.model
            return question(self, model, "verdict", messages, _schema(), draw_of_opinion(name, self.name, "verdict", number))

        return await ask_opinion(generate, request, partial(_read, count=len(others)), key="answers", tries=self.tries)

    def _agreed(self, agrees: Sequence[bool], how: str) -> Score:
        return Score(share(sum(agrees), len(agrees)), f"{sum(agrees)} of {len(agrees)} further answers {how}")


def _read(value: Json, *, count: int) -> list[bool] | Unreadable:
    """Whether each answer agrees, in their order, out of {"answers": [{"number", "reason", "agrees"}, …]}."""
    entries = value.get("answers") if isinstance(value, Mapping) else None
    if not isinstance(entries, list) or len(entries) != count:
        return Unreadable(f"'answers' must be a list of {count} entries, one per answer")
    found: dict[int, bool] = {}
    for place, entry in enumerate(entries, 1):
        given = entry if isinstance(entry, Mapping) else {}
        number, agrees = given.get("number", place), given.get("agrees")
        if not isinstance(agrees, bool):
            return Unreadable("each answer needs `agrees` as true or false")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count or number in found:
            return Unreadable(f"the answers' numbers must be 1 to {count}, each once")
        found[number] = agrees
    return [found[number] for number in range(1, count + 1)]


def _schema() -> Json:
    return listed("answers", closed({"number": {"type": "integer"}, "reason": {"type": "string"}, "agrees": {"type": "boolean"}}))


PLUGIN = Agreement
