"""Personas: one person asks out of their own need, another answers.

Ge et al. 2024, "Scaling Synthetic Data Creation with 1,000,000,000 Personas": one topic seen by many people gives many different
instructions. The personas are taken in turn, each topic in an order of its own, so that none asks twice before all have asked. The pool
is never read: what keeps two instructions apart is who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from random import Random
from typing import Any, ClassVar, Literal

from gen.answering import MAX_INSTRUCTION_CHARACTERS, Answering, ask_instructions, feedback_of, second_attempt
from gen.asking import Answered, Asking, Reply
from gen.bounds import check_bounds
from gen.concurrency import together
from gen.prompts import load
from gen.second_chance import Feedback, sampling_for
from gen.types import Generate, Json, Malformed, Persona, Pool, Sample, Sampling, Task, Turn, digest

Level = Literal["", "beginner", "practitioner", "expert"]


@dataclass(frozen=True)
class PersonaStrategy:
    """Options of `persona`.

    `ask_level` makes everybody ask as a beginner, practitioner or expert, whatever level their persona has; `answer_level` is the level the
    answer is pitched at, else the asker's; `answer_persona` is who answers ("a senior tax adviser"), else an expert assistant.
    `answer_model`, `system` and `answer_style` are those of self_instruct.
    """

    model: str
    answer_model: str = ""
    ask_level: Level = ""
    answer_level: Level = ""
    answer_persona: str = ""
    answer_style: str = ""
    system: str = ""
    questions_per_persona: int = 1
    temperature: float | None = None
    answer_temperature: float | None = None
    max_tokens: int | None = None
    needs_personas: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_bounds(self, questions_per_persona=(1, 20), temperature=(0, 2), answer_temperature=(0, 2), max_tokens=(1, 1_000_000))

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model, self.answer_model) if self.answer_model else (self.model,)

    @property
    def samples_per_task(self) -> int:
        return self.questions_per_persona

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("persona/ask", "persona/answer")

    def plan(self, turn: Turn, pool: Pool, rng: Random) -> Mapping[str, Json]:  # noqa: ARG002
        """Whose turn it is to ask. A second attempt has the same index, so the same person asks again."""
        persona = in_turn(turn, pool.sources.personas)
        again = second_attempt(turn)
        who = {"persona": persona.persona, "level": self.ask_level or persona.level, "seeds": [persona.id]}
        if "instruction" in again:
            return {**who, **again}
        return {**who, **again, "count": 1 if again else self.questions_per_persona}

    async def run(self, task: Task, pool: Pool, generate: Generate) -> list[Sample | Malformed]:  # noqa: ARG002
        """One call for the requests, then one answer for each: `count` candidates, fewer when the list came back shorter."""
        parent = task.inputs.get("parent")
        asking = Asking(task, generate, seeds=tuple(task.inputs["seeds"]), parents=(parent,) if parent else ())
        feedback = feedback_of(task)
        if "instruction" in task.inputs:
            return [await self._answer(asking, 0, task.inputs["instruction"], feedback=feedback)]
        asked = await self._requests(asking, feedback)
        if isinstance(asked, Malformed):
            return [asked]
        return await together(self._answer(asking, place, request, before=asked.replies) for place, request in enumerate(asked.value))

    async def _requests(self, asking: Asking, feedback: Feedback | None) -> Answered[list[str]] | Malformed:
        inputs = asking.task.inputs
        prompt = load("persona/ask")
        messages = prompt.render(
            topic=asking.task.topic,
            persona=inputs["persona"],
            level=inputs["level"],
            count=inputs["count"],
            avoid=inputs.get("avoid", ""),
            feedback=feedback,
        )
        sampling = sampling_for(Sampling(temperature=self.temperature), asking.task.attempt)
        return await ask_instructions(asking, self.model, messages, count=inputs["count"], part="ask", prompt=prompt.ref, sampling=sampling)

    async def _answer(
        self, asking: Asking, place: int, request: str, *, before: tuple[Reply, ...] = (), feedback: Feedback | None = None
    ) -> Sample | Malformed:
        if len(request) > MAX_INSTRUCTION_CHARACTERS:
            detail = f"{len(request)} characters, at most {MAX_INSTRUCTION_CHARACTERS}"
            return asking.malformed(place, "instruction_too_long", text=request, detail=detail, replies=before)
        answering = Answering(
            model=self.answer_model or self.model,
            prompt="persona/answer",
            system=self.system,
            style=self.answer_style,
            sampling=Sampling(temperature=self.answer_temperature, max_tokens=self.max_tokens),
        )
        level = self.answer_level or asking.task.inputs["level"]
        more = {"level": level, "persona": self.answer_persona}
        return await answering.answer(
            asking, place, request, before=before, feedback=feedback, notes=self._notes(asking.task, level), more=more
        )

    def _notes(self, task: Task, answer_level: str) -> dict[str, Any]:
        """Who asked and who answered, empty fields left out."""
        notes = {
            "persona": task.inputs["persona"],
            "ask_level": task.inputs["level"],
            "answer_level": answer_level,
            "answer_persona": self.answer_persona,
        }
        return {name: value for name, value in notes.items() if value}


def in_turn(turn: Turn, personas: tuple[Persona, ...]) -> Persona:
    """The persona of the task `turn.index`: a walk over the list in steps that share no divisor with its length, so that every persona
    comes up once in each `len(personas)` tasks. Step and start depend on the strategy's title and the topic alone."""
    count = len(personas)
    start, step = (int(digest([turn.strategy, turn.topic, what], length=12), 16) % count for what in ("start", "step"))
    while gcd(step, count) != 1:
        step += 1
    return personas[(start + turn.index * step) % count]


PLUGIN = PersonaStrategy
