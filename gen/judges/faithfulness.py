"""Faithfulness: which of an answer's statements its source supports, for answers that shall rest on a given text and nothing else.

After Es et al. 2023, "RAGAS": the share of statements that the context supports, true or not in the world outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from gen.bounds import check_bounds
from gen.judges._scored import closed, listed, question, scored, share
from gen.opinions import MAX_REASON, Opinion, Unreadable, answer_of, ask_opinion, draw_of_opinion, frame_mark, question_of
from gen.prompts import load
from gen.text import count_words
from gen.types import Generate, Json, Request, Sample, Score

NOTES = ("document", "chunk", "context", "source", "passage")  # where a strategy keeps the text that an answer was written from
_LEAST_WORDS = 60  # a question shorter than this brings no text of its own along (ours; a short paragraph)
_MAX_SOURCE = 40_000  # characters of a source that are shown: about 10,000 tokens
_MAX_STATEMENT = 300


@dataclass(frozen=True, slots=True)
class _Statement:
    text: str
    supported: bool
    reason: str


@dataclass(frozen=True)
class Faithfulness:
    """Options of `faithfulness`.

    `model` checks. `source` says where the source text is: in the provenance's notes (`notes`: one of document, chunk, context, source,
    passage, or the key that `note` names), in what was asked (`question`), or in the first of the two that has it (`auto`; a question of
    fewer than 60 words has none). `max_statements` of an answer are checked. `tries`, `structured`, `name` as in `rubric`.
    """

    model: str
    source: Literal["auto", "notes", "question"] = "auto"
    note: str = ""
    max_statements: int = 20
    temperature: float = 0.0
    max_tokens: int | None = None
    tries: int = 2
    structured: bool = True
    name: str = "faithfulness"

    def __post_init__(self) -> None:
        check_bounds(self, max_statements=(1, 100), temperature=(0, 2), max_tokens=(16, 1_000_000), tries=(0, 5))

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("judges/faithfulness",)

    @property
    def aspects_scored(self) -> tuple[str, ...]:
        return ("unsupported",)

    async def score(self, sample: Sample, generate: Generate) -> Sample:
        """The sample with the share of supported statements (1 for an answer that states nothing) and how many are not
        (`faithfulness.unsupported`); those stand in the provenance's notes with the reason. Without a value where there is no source."""
        found = answer_of(sample)
        if found is None:
            return scored(sample, {self.name: Score(None, "no opinion: the conversation has no answer")})
        before, answer = found
        system, asked = question_of(before)
        own = self._noted(sample) if self.source != "question" else ""
        source = own or (self._asked(f"{system}\n\n{asked}".strip()) if self.source != "notes" else "")
        if not source:
            return scored(sample, {self.name: Score(None, "no opinion: the sample has no source text")})
        opinion = await self._opinion(sample.id, source, asked if own else "", answer, generate)
        if opinion.value is None:
            return scored(sample, {self.name: Score(None, opinion.problem)}, requests=opinion.requests, simulated=opinion.simulated)
        lost = [one for one in opinion.value if not one.supported]
        notes = {self.name: [{"statement": one.text, "reason": one.reason} for one in lost]} if lost else {}
        scores = self._scores(opinion.value, lost)
        return scored(sample, scores, requests=opinion.requests, simulated=opinion.simulated, notes=notes)

    def _noted(self, sample: Sample) -> str:
        notes = sample.provenance.notes
        texts = [notes.get(key) for key in ((self.note,) if self.note else NOTES)]
        texts += [text.get("text") for text in texts if isinstance(text, Mapping)]
        return next((text for text in texts if isinstance(text, str) and text.strip()), "")[:_MAX_SOURCE]

    def _asked(self, text: str) -> str:
        return text[:_MAX_SOURCE] if self.source == "question" or count_words(text[:_MAX_SOURCE]) >= _LEAST_WORDS else ""

    async def _opinion(self, name: str, source: str, asked: str, answer: str, generate: Generate) -> Opinion[list[_Statement]]:
        mark = frame_mark([source, asked, answer])
        prompt = load("judges/faithfulness")

        def request(number: int, problem: str) -> Request:
            messages = prompt.render(source=source, instruction=asked, answer=answer, most=self.max_statements, mark=mark, problem=problem)
            return question(self, self.model, "score", messages, _schema(), draw_of_opinion(name, self.name, "score", number))

        return await ask_opinion(generate, request, partial(_read, most=self.max_statements), key="statements", tries=self.tries)

    def _scores(self, statements: list[_Statement], lost: list[_Statement]) -> dict[str, Score]:
        first = f"{lost[0].text} ({lost[0].reason})"[:MAX_REASON] if lost else ""
        count = {f"{self.name}.unsupported": Score(float(len(lost)), first)}
        if not statements:
            return {self.name: Score(1.0, "the answer states nothing that could be checked"), **count}
        supported = len(statements) - len(lost)
        return {self.name: Score(share(supported, len(statements)), f"{supported} of {len(statements)} statements supported"), **count}


def _read(value: Json, *, most: int) -> list[_Statement] | Unreadable:
    """The statements out of {"statements": [{"statement", "reason", "supported"}, …]}."""
    entries = value.get("statements") if isinstance(value, Mapping) else None
    if not isinstance(entries, list):
        return Unreadable("'statements' must be a list")
    found = []
    for entry in entries[:most]:
        given = entry if isinstance(entry, Mapping) else {}
        text, supported, reason = given.get("statement"), given.get("supported"), given.get("reason")
        if not isinstance(text, str) or not text.strip() or not isinstance(supported, bool):
            return Unreadable("each statement needs its text and `supported` as true or false")
        found.append(_Statement(" ".join(text.split())[:_MAX_STATEMENT], supported, " ".join(str(reason or "").split())[:MAX_REASON]))
    return found


def _schema() -> Json:
    return listed("statements", closed({"statement": {"type": "string"}, "reason": {"type": "string"}, "supported": {"type": "boolean"}}))


PLUGIN = Faithfulness
