"""A rubric: a model gives each aspect of an answer a number from 1 to 5, and a reason.

One call per sample, as JSON, at temperature 0 (Zheng et al. 2023, "Judging LLM-as-a-Judge": single-answer grading with a written reason
before the number). The judged texts stand in frames that they cannot end, and the prompt says that they are data. Comparing several
answers at once, for preference pairs, tells finer differences apart than grading each alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gen.bounds import check_bounds
from gen.errors import RecipeError
from gen.opinions import (
    HIGHEST,
    LOWEST,
    Mark,
    Opinion,
    Unreadable,
    answer_of,
    ask_opinion,
    draw_of_opinion,
    frame_mark,
    mark_of,
    question_of,
)
from gen.prompts import load
from gen.types import Generate, Json, Message, Request, Sample, Sampling, Score, canonical_json, freeze

SHIPPED = ("accuracy", "completeness", "format", "harm")  # the aspects whose levels prompts/judges/rubric.jinja spells out
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_STEP = 90  # after all steps of a strategy: a sample that only waits for its opinion goes first


@dataclass(frozen=True)
class Rubric:
    """Options of `rubric`.

    `aspects` are names out of accuracy, completeness, format and harm, or a mapping of names to what each asks ("tone: is it polite?"),
    where an empty text keeps the shipped wording. `tries` is how often an unreadable opinion is asked for again. `structured: false` sends
    no JSON schema, for servers that refuse one. `name` is the recipe's label, under which the scores are kept.
    """

    model: str
    aspects: tuple[str, ...] | Mapping[str, str] = SHIPPED
    temperature: float = 0.0
    max_tokens: int | None = None
    tries: int = 2
    structured: bool = True
    name: str = "rubric"

    def __post_init__(self) -> None:
        check_bounds(self, temperature=(0, 2), max_tokens=(16, 1_000_000), tries=(0, 5))
        if not self.aspects:
            raise RecipeError(f"name at least one aspect, e.g. {', '.join(SHIPPED)}", key="aspects")
        for aspect, asks in self.asked.items():
            if not _NAME.fullmatch(aspect) or aspect in ("score", "reason"):
                raise RecipeError(f"'{aspect[:60]}' is no name of an aspect: use a-z, 0-9 and '_', not 'score' or 'reason'", key="aspects")
            if not asks.strip() and aspect not in SHIPPED:
                raise RecipeError(
                    f"say what '{aspect}' asks, as in {{{aspect}: \"is it …?\"}}, or choose from {', '.join(SHIPPED)}", key="aspects"
                )
        if len(self.asked) != len(self.aspects):
            raise RecipeError("an aspect stands here twice", key="aspects")

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("judges/rubric", "judges/best_of_n")

    @property
    def asked(self) -> dict[str, str]:
        """Aspect → what it asks, empty for the shipped wording."""
        return dict(self.aspects) if isinstance(self.aspects, Mapping) else dict.fromkeys(self.aspects, "")

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with a score per aspect (`rubric.accuracy`) and their mean (`rubric`); without a readable opinion the mean alone is
        there, with no value and the reason. The opinions' requests join the sample's, so that their cost is accounted for."""
        found = answer_of(sample)
        if found is None:
            return replace(sample, scores=freeze({**sample.scores, self.name: Score(None, "no opinion: the conversation has no answer")}))
        opinion = await self._opinion(sample.id, *found, generate)
        return replace(
            sample,
            scores=freeze({**sample.scores, **self._scores(opinion)}),
            provenance=replace(
                sample.provenance,
                requests=(*sample.provenance.requests, *opinion.requests),
                simulated=sample.provenance.simulated or opinion.simulated,
            ),
        )

    async def compare(
        self, messages: Sequence[Message], answers: Sequence[str], generate: Generate, *, about: Json
    ) -> Opinion[tuple[float, ...]]:
        """A number from 1 to 5 for each of `answers` to `messages`, in their order, from one prompt. Shuffle them first: judges tend to
        favour a place in a list. `about` names what is compared: with it the request is the same on every run."""
        system, instruction = question_of(messages)
        mark = frame_mark([system, instruction, *answers])
        prompt = load("judges/best_of_n")

        def request(number: int, problem: str) -> Request:
            asked = prompt.render(instruction=instruction, answers=list(answers), system=system, mark=mark, problem=problem)
            return self._request(asked, _comparison_schema(), "compare", draw_of_opinion(about, self.name, "compare", number))

        return await ask_opinion(generate, request, partial(_read_comparison, count=len(answers)), key="answers", tries=self.tries)

    async def _opinion(self, name: str, before: Sequence[Message], answer: str, generate: Generate) -> Opinion[dict[str, Mark]]:
        system, instruction = question_of(before)
        mark = frame_mark([system, instruction, answer])
        prompt = load("judges/rubric")

        def request(number: int, problem: str) -> Request:
            asked = prompt.render(instruction=instruction, answer=answer, system=system, aspects=self.asked, mark=mark, problem=problem)
            return self._request(asked, _rubric_schema(list(self.asked)), "score", draw_of_opinion(name, self.name, "score", number))

        read = partial(_read_rubric, aspects=list(self.asked))
        return await ask_opinion(generate, request, read, key=next(iter(self.asked)), tries=self.tries)

    def _request(self, messages: tuple[Message, ...], schema: Json, part: str, draw: int) -> Request:
        return Request(
            model=self.model,
            messages=messages,
            sampling=Sampling(temperature=self.temperature, max_tokens=self.max_tokens),
            response_schema=canonical_json(schema) if self.structured else None,
            draw=draw,
            purpose=f"{self.name}.{part}",
            step=_STEP,
        )

    def _scores(self, opinion: Opinion[dict[str, Mark]]) -> dict[str, Score]:
        if opinion.value is None:
            return {self.name: Score(None, opinion.problem)}
        marks = opinion.value
        mean = sum(mark.score for mark in marks.values()) / len(marks)
        each = {f"{self.name}.{aspect}": Score(mark.score, mark.reason) for aspect, mark in marks.items()}
        return {self.name: Score(round(mean, 4), f"mean of {', '.join(marks)}"), **each}


def _read_rubric(value: Json, *, aspects: Sequence[str]) -> dict[str, Mark] | Unreadable:
    """The marks out of {"accuracy": {"reason", "score"}, …}, also where one more object stands around them."""
    given = _by_lower_name(value)
    if len(given) == 1 and not given.keys() & set(aspects):
        (inner,) = given.values()
        given = _by_lower_name(inner)
    marks: dict[str, Mark] = {}
    for aspect in aspects:
        if aspect not in given:
            return Unreadable(f"the aspect {aspect} is missing")
        mark = mark_of(given[aspect])
        if mark is None:
            return Unreadable(f"{aspect} has no score from {LOWEST} to {HIGHEST}")
        marks[aspect] = mark
    return marks


def _by_lower_name(value: Json) -> dict[str, Json]:
    return {str(name).strip().lower(): item for name, item in value.items()} if isinstance(value, Mapping) else {}


def _read_comparison(value: Json, *, count: int) -> tuple[float, ...] | Unreadable:
    """The scores in the order shown out of {"answers": [{"number", "reason", "score"}, …], "best": N}."""
    entries = value.get("answers") if isinstance(value, Mapping) else None
    if not isinstance(entries, list) or len(entries) != count:
        return Unreadable(f"'answers' must be a list of {count} entries, one per answer")
    scores: dict[int, float] = {}
    for place, entry in enumerate(entries, 1):
        number = entry.get("number", place) if isinstance(entry, Mapping) else place
        mark = mark_of(entry)
        if mark is None:
            return Unreadable(f"an answer has no score from {LOWEST} to {HIGHEST}")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count or number in scores:
            return Unreadable(f"the answers' numbers must be 1 to {count}, each once")
        scores[number] = mark.score
    best = value.get("best", 0)
    if isinstance(best, int) and best in scores and scores[best] < max(scores.values()):
        return Unreadable("'best' names an answer that has not the highest score")
    return tuple(scores[number] for number in range(1, count + 1))


def _rubric_schema(aspects: Sequence[str]) -> Json:
    """No bounds on the numbers: some services refuse them in a schema, and they are checked on arrival anyway."""
    return _object({aspect: _object({"reason": {"type": "string"}, "score": {"type": "integer"}}) for aspect in aspects})


def _comparison_schema() -> Json:
    entry = _object({"number": {"type": "integer"}, "reason": {"type": "string"}, "score": {"type": "number"}})
    return _object({"answers": {"type": "array", "items": entry}, "best": {"type": "integer"}})


def _object(properties: dict[str, Json]) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


PLUGIN = Rubric
