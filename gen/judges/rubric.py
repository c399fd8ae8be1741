"""A rubric: a model gives each aspect of an answer a number from 1 to 5, and a reason.

One call per sample and model, as JSON, at temperature 0 (Zheng et al. 2023, "Judging LLM-as-a-Judge": single-answer grading with a written
reason before the number). The judged texts stand in frames that they cannot end, and the prompt says that they are data. Comparing several
answers at once, for preference pairs, tells finer differences apart than grading each alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from gen.bounds import check_bounds
from gen.concurrency import together
from gen.errors import RecipeError
from gen.judges._panel import Combine, is_quorum, joined, together_as, widest
from gen.judges._scored import closed, question, scored
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
from gen.types import Generate, Json, Message, Request, Sample, Score

USUAL = ("accuracy", "completeness", "format", "harm")
SHIPPED = (*USUAL, "reasoning")  # the aspects whose levels prompts/judges/rubric.jinja spells out
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_MODELS = 9


@dataclass(frozen=True)
class Rubric:
    """Options of `rubric`.

    `model` is the one that judges, `models` are several, whose numbers become one by `combine` (mean, median or minimum). `aspects` are
    names out of accuracy, completeness, format, harm and reasoning, or a mapping of names to what each asks ("tone: is it polite?"),
    where an empty text keeps the shipped wording. `tries` is how often an unreadable opinion is asked for again. `structured: false`
    sends no JSON schema, for servers that refuse one. `name` is the recipe's label, under which the scores are kept.
    """

    model: str = ""
    models: tuple[str, ...] = ()
    combine: Combine = "mean"
    aspects: tuple[str, ...] | Mapping[str, str] = USUAL
    temperature: float = 0.0
    max_tokens: int | None = None
    tries: int = 2
    structured: bool = True
    name: str = "rubric"

    def __post_init__(self) -> None:
        check_bounds(self, temperature=(0, 2), max_tokens=(16, 1_000_000), tries=(0, 5))
        object.__setattr__(self, "models", self._named_models())
        if not self.aspects:
            raise RecipeError(f"name at least one aspect, e.g. {', '.join(SHIPPED)}", key="aspects")
        for aspect, asks in self.asked.items():
            if not _NAME.fullmatch(aspect) or aspect in ("score", "reason", "spread"):
                problem = f"'{aspect[:60]}' is no name of an aspect: use a-z, 0-9 and '_', not 'score', 'reason' or 'spread'"
                raise RecipeError(problem, key="aspects")
            if not asks.strip() and aspect not in SHIPPED:
                raise RecipeError(
                    f"say what '{aspect}' asks, as in {{{aspect}: \"is it …?\"}}, or choose from {', '.join(SHIPPED)}", key="aspects"
                )
        if len(self.asked) != len(self.aspects):
            raise RecipeError("an aspect stands here twice", key="aspects")

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("judges/rubric", "judges/best_of_n")

    @property
    def asked(self) -> dict[str, str]:
        """Aspect → what it asks, empty for the shipped wording."""
        return dict(self.aspects) if isinstance(self.aspects, Mapping) else dict.fromkeys(self.aspects, "")

    @property
    def aspects_scored(self) -> tuple[str, ...]:
        """What a gate may name beside the whole score."""
        return (*self.asked, *(("spread",) if len(self.models) > 1 else ()))

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with a score per aspect (`rubric.accuracy`) and their mean (`rubric`); without a readable opinion of more than half of
        the models the mean alone is there, with no value and the reason. Several models also give `rubric.spread`, and their own numbers
        stand in the provenance's notes."""
        found = answer_of(sample)
        if found is None:
            return scored(sample, {self.name: Score(None, "no opinion: the conversation has no answer")})
        opinions = await together(self._opinion(model, sample.id, *found, generate) for model in self.models)
        return scored(
            sample,
            self._scores(dict(zip(self.models, opinions, strict=True))),
            requests=[key for opinion in opinions for key in opinion.requests],
            simulated=any(opinion.simulated for opinion in opinions),
            notes=self._notes(opinions),
        )

    async def compare(
        self, messages: Sequence[Message], answers: Sequence[str], generate: Generate, *, about: Json
    ) -> Opinion[tuple[float, ...]]:
        """A number from 1 to 5 for each of `answers` to `messages`, in their order, from one prompt. Shuffle them first: judges tend to
        favour a place in a list. `about` names what is compared: with it the request is the same on every run."""
        system, instruction = question_of(messages)
        mark = frame_mark([system, instruction, *answers])
        prompt = load("judges/best_of_n")

        async def one(model: str) -> Opinion[tuple[float, ...]]:
            def request(number: int, problem: str) -> Request:
                asked = prompt.render(instruction=instruction, answers=list(answers), system=system, mark=mark, problem=problem)
                return question(self, model, "compare", asked, _comparison_schema(), draw_of_opinion(about, self.name, "compare", number))

            return await ask_opinion(generate, request, partial(_read_comparison, count=len(answers)), key="answers", tries=self.tries)

        return self._compared(await together(one(model) for model in self.models))

    def _named_models(self) -> tuple[str, ...]:
        """The models out of `model` or `models`. Raises RecipeError."""
        if bool(self.model) == bool(self.models):
            raise RecipeError("name one `model`, or several as `models: [critic, second]`", key="models" if self.models else "model")
        names = self.models or (self.model,)
        if len(set(names)) != len(names):
            raise RecipeError("a model stands here twice: it would only repeat itself", key="models")
        if len(names) > _MOST_MODELS:
            raise RecipeError(f"at most {_MOST_MODELS} models, got {len(names)}", key="models")
        return names

    def _compared(self, opinions: Sequence[Opinion[tuple[float, ...]]]) -> Opinion[tuple[float, ...]]:
        """The panel's numbers for answers compared."""
        if len(opinions) == 1:
            return opinions[0]
        read = [opinion.value for opinion in opinions if opinion.value is not None]
        return Opinion(
            tuple(together_as(numbers, self.combine) for numbers in zip(*read, strict=True))
            if is_quorum(len(read), len(opinions))
            else None,
            next((opinion.problem for opinion in opinions if opinion.value is None), ""),
            tuple(key for opinion in opinions for key in opinion.requests),
            any(opinion.simulated for opinion in opinions),
        )

    async def _opinion(self, model: str, name: str, before: Sequence[Message], answer: str, generate: Generate) -> Opinion[dict[str, Mark]]:
        system, instruction = question_of(before)
        mark = frame_mark([system, instruction, answer])
        prompt = load("judges/rubric")

        def request(number: int, problem: str) -> Request:
            asked = prompt.render(instruction=instruction, answer=answer, system=system, aspects=self.asked, mark=mark, problem=problem)
            return question(
                self, model, "score", asked, _rubric_schema(list(self.asked)), draw_of_opinion(name, self.name, "score", number)
            )

        read = partial(_read_rubric, aspects=list(self.asked))
        return await ask_opinion(generate, request, read, key=next(iter(self.asked)), tries=self.tries)

    def _scores(self, opinions: Mapping[str, Opinion[dict[str, Mark]]]) -> dict[str, Score]:
        read = {model: opinion.value for model, opinion in opinions.items() if opinion.value is not None}
        failed = [(model, opinion.problem) for model, opinion in opinions.items() if opinion.value is None]
        if not is_quorum(len(read), len(opinions)):
            model, problem = failed[0]
            return {
                self.name: Score(None, problem if len(opinions) == 1 else f"{len(read)} of {len(opinions)} opinions; {model}: {problem}")
            }
        if len(opinions) == 1:
            (marks,) = read.values()
        else:
            marks = {aspect: joined({model: one[aspect] for model, one in read.items()}, self.combine) for aspect in self.asked}
        mean = sum(mark.score for mark in marks.values()) / len(marks)
        each = {f"{self.name}.{aspect}": Score(mark.score, mark.reason) for aspect, mark in marks.items()}
        told = f"mean of {', '.join(marks)}" + (f"; {self.combine} of {', '.join(read)}" if len(opinions) > 1 else "")
        told += "".join(f"; {model}: {problem}" for model, problem in failed)
        spread = {f"{self.name}.spread": Score(*widest(read))} if len(opinions) > 1 else {}
        return {self.name: Score(round(mean, 4), told), **each, **spread}

    def _notes(self, opinions: Sequence[Opinion[dict[str, Mark]]]) -> dict[str, Json]:
        """Each model's own numbers, for a panel alone: a single model's are the scores."""
        if len(opinions) == 1:
            return {}
        own = {
            model: {aspect: mark.score for aspect, mark in opinion.value.items()}
            for model, opinion in zip(self.models, opinions, strict=True)
            if opinion.value is not None
        }
        return {self.name: own} if own else {}


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
    return closed({aspect: closed({"reason": {"type": "string"}, "score": {"type": "integer"}}) for aspect in aspects})


def _comparison_schema() -> Json:
    entry = closed({"number": {"type": "integer"}, "reason": {"type": "string"}, "score": {"type": "number"}})
    return closed({"answers": {"type": "array", "items": entry}, "best": {"type": "integer"}})


PLUGIN = Rubric
