"""Tags: how hard a sample is, from 1 to 5, and what it is about, for a curriculum, a balanced export or a split by category.

Difficulty is a score like any other; categories are words, so they stand in the provenance's notes: `tags.category` (the one that fits
best) and `tags.categories`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from gen.bounds import check_bounds
from gen.errors import RecipeError
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
from gen.types import Generate, Json, Request, Sample, Score

_LONGEST = 40  # characters of a category's name
_MOST_LISTED = 100


@dataclass(frozen=True)
class Tags:
    """Options of `tags`.

    `model` tags. `categories` are names to choose from, or a mapping of names to what belongs there; without them the model finds its
    own. At most `max_categories` are kept. `with_answer: false` shows the question alone. `tries`, `structured`, `name` as in `rubric`.
    """

    model: str
    categories: tuple[str, ...] | Mapping[str, str] = ()
    max_categories: int = 3
    with_answer: bool = True
    temperature: float = 0.0
    max_tokens: int | None = None
    tries: int = 2
    structured: bool = True
    name: str = "tags"

    def __post_init__(self) -> None:
        check_bounds(self, max_categories=(1, 10), temperature=(0, 2), max_tokens=(16, 1_000_000), tries=(0, 5))
        names = list(self.categories)
        if len({name.strip().casefold() for name in names}) != len(names):
            raise RecipeError("a category stands here twice", key="categories")
        if len(names) > _MOST_LISTED:
            raise RecipeError(f"at most {_MOST_LISTED} categories, got {len(names)}", key="categories")
        for name in names:
            if not name.strip() or len(name) > _LONGEST or not name.isprintable():
                raise RecipeError(f"{name[:60]!r} is no category: use from 1 to {_LONGEST} printable characters", key="categories")

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("judges/tags",)

    @property
    def aspects_scored(self) -> tuple[str, ...]:
        return ("difficulty",)

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with its difficulty as `tags` and `tags.difficulty`, and `tags.category`, `tags.categories` in its provenance's notes;
        without a value and without notes where the opinion stayed unreadable."""
        before, answer = answer_of(sample) or (sample.messages, "")
        system, asked = question_of(before)
        whole = f"{system}\n\n{asked}".strip()
        if not whole:
            return scored(sample, {self.name: Score(None, "no opinion: the conversation has no question")})
        opinion = await self._opinion(sample.id, whole, answer if self.with_answer else "", generate)
        if opinion.value is None:
            return scored(sample, {self.name: Score(None, opinion.problem)}, requests=opinion.requests, simulated=opinion.simulated)
        mark, categories = opinion.value
        score = Score(mark.score, mark.reason)
        return scored(
            sample,
            {self.name: score, f"{self.name}.difficulty": score},
            requests=opinion.requests,
            simulated=opinion.simulated,
            notes={f"{self.name}.category": categories[0], f"{self.name}.categories": categories},
        )

    async def _opinion(self, name: str, asked: str, answer: str, generate: Generate) -> Opinion[tuple[Mark, list[str]]]:
        listed = dict(self.categories) if isinstance(self.categories, Mapping) else dict.fromkeys(self.categories, "")
        mark = frame_mark([asked, answer])
        prompt = load("judges/tags")

        def request(number: int, problem: str) -> Request:
            messages = prompt.render(
                instruction=asked, answer=answer, categories=listed, most=self.max_categories, mark=mark, problem=problem
            )
            schema = _schema(list(listed))
            return question(self, self.model, "score", messages, schema, draw_of_opinion(name, self.name, "score", number))

        read = partial(_read, listed=list(listed), most=self.max_categories)
        return await ask_opinion(generate, request, read, key="difficulty", tries=self.tries)


def _read(value: Json, *, listed: Sequence[str], most: int) -> tuple[Mark, list[str]] | Unreadable:
    """(difficulty, categories) out of {"difficulty": {"reason", "score"}, "categories": ["…", …]}."""
    given = value if isinstance(value, Mapping) else {}
    mark, names = mark_of(given.get("difficulty")), given.get("categories")
    if mark is None:
        return Unreadable(f"difficulty has no score from {LOWEST} to {HIGHEST}")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return Unreadable("'categories' must be a list of names")
    right = {name.strip().casefold(): name for name in listed}
    plain = [" ".join("".join(character if character.isprintable() else " " for character in name[:200]).split()) for name in names]
    found = [right.get(name.casefold(), "") if listed else name.lower() for name in plain]
    if not all(found) or any(len(name) > _LONGEST for name in found):
        return Unreadable(
            "a category is not one of those listed" if listed else f"a category is empty or longer than {_LONGEST} characters"
        )
    return mark, list(dict.fromkeys(found))[:most]


def _schema(listed: Sequence[str]) -> Json:
    name: Json = {"type": "string", "enum": list(listed)} if listed else {"type": "string"}
    difficulty = closed({"reason": {"type": "string"}, "score": {"type": "integer"}})
    return closed({"difficulty": difficulty, "categories": {"type": "array", "items": name}})


PLUGIN = Tags
