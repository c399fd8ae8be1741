"""Self-Instruct: new instructions from worked examples, then an answer to each.

Wang et al. 2023, "Self-Instruct: Aligning Language Models with Self-Generated Instructions": a pool that begins with seed tasks, 6 of them
and 2 of the model's own in context (section 2.2), several new instructions per call, and only those kept whose ROUGE-L against the pool
is below 0.7 (section 2.2, filtering). With a topic the instructions are about it; without one they may be about anything. Novelty is
looked at before an answer is bought, against the pool as it stood when the task was planned; the `novelty` and `near_dup` gates look
again, against everything accepted by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from gen.answering import MAX_INSTRUCTION_CHARACTERS, Answering, ask_instructions, feedback_of, second_attempt
from gen.asking import Answered, Asking
from gen.bounds import check_bounds
from gen.concurrency import together
from gen.likeness.rouge import nearest
from gen.prompts import load
from gen.second_chance import Feedback, sampling_for
from gen.types import Generate, Json, Malformed, Pool, Sample, Sampling, SeedTask, Task, Turn


@dataclass(frozen=True)
class SelfInstruct:
    """Options of `self_instruct`.

    `answer_model` answers when it is not `model`; `system` becomes the samples' system message; `answer_style` is put to the answering
    model only ("in 3 to 5 sentences"); `examples` counts seeds plus the model's own in context. `lag` is how many tasks of a topic may
    be under way before the pool must have seen their outcomes: longer fills more slots with few topics.
    """

    model: str
    answer_model: str = ""
    audience: str = ""
    answer_style: str = ""
    system: str = ""
    instructions_per_call: int = 5
    seed_examples: int = 6
    own_examples: int = 2
    novelty: float = 0.7
    temperature: float | None = None
    answer_temperature: float | None = None
    max_tokens: int | None = None
    lag: int = 16

    def __post_init__(self) -> None:
        check_bounds(self, instructions_per_call=(1, 20), seed_examples=(0, 30), own_examples=(0, 30), lag=(1, 1000), novelty=(0.05, 1.0))

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model, self.answer_model) if self.answer_model else (self.model,)

    @property
    def samples_per_task(self) -> int:
        return self.instructions_per_call

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("self_instruct/instruct", "self_instruct/answer")

    def plan(self, turn: Turn, pool: Pool, rng: Random) -> Mapping[str, Json]:
        """What to ask: examples drawn from the seeds and the pool, or the rejected candidate to do better than."""
        examples = self._examples(pool, rng)
        shown: dict[str, Json] = {"examples": [item.instruction for item in examples], "seeds": [item.id for item in examples]}
        again = second_attempt(turn)
        if "instruction" in again:
            return again
        return {**shown, **again, "count": 1 if again else self.instructions_per_call}

    async def run(self, task: Task, pool: Pool, generate: Generate) -> list[Sample | Malformed]:
        """One call for instructions, then one answer for each that is new: `count` candidates, fewer when the list came back shorter."""
        parent = task.inputs.get("parent")
        asking = Asking(task, generate, seeds=tuple(task.inputs.get("seeds", ())), parents=(parent,) if parent else ())
        feedback = feedback_of(task)
        if "instruction" in task.inputs:
            return [await self._answering.answer(asking, 0, task.inputs["instruction"], feedback=feedback)]
        asked = await self._instructions(asking, feedback)
        if isinstance(asked, Malformed):
            return [asked]
        instructions = asked.value
        stale = self._stale(instructions, pool)
        fresh = {place: instruction for place, instruction in enumerate(instructions) if place not in stale}
        answers = await together(
            self._answering.answer(asking, place, instruction, before=asked.replies) for place, instruction in fresh.items()
        )
        answered = dict(zip(fresh, answers, strict=True))
        return [
            answered.get(place)
            or asking.malformed(place, "not_novel", text=instruction, detail=stale[place], gate="novelty", replies=asked.replies)
            for place, instruction in enumerate(instructions)
        ]

    async def _instructions(self, asking: Asking, feedback: Feedback | None) -> Answered[list[str]] | Malformed:
        inputs = asking.task.inputs
        prompt = load("self_instruct/instruct")
        messages = prompt.render(
            topic=asking.task.topic,
            audience=self.audience,
            count=inputs["count"],
            examples=inputs["examples"],
            avoid=inputs.get("avoid", ""),
            feedback=feedback,
        )
        sampling = sampling_for(Sampling(temperature=self.temperature), asking.task.attempt)
        return await ask_instructions(
            asking, self.model, messages, count=inputs["count"], part="instruct", prompt=prompt.ref, sampling=sampling
        )

    @property
    def _answering(self) -> Answering:
        return Answering(
            model=self.answer_model or self.model,
            prompt="self_instruct/answer",
            system=self.system,
            style=self.answer_style,
            sampling=Sampling(temperature=self.answer_temperature, max_tokens=self.max_tokens),
        )

    def _examples(self, pool: Pool, rng: Random) -> list[SeedTask]:
        """`seed_examples` seeds and `own_examples` of the sequence's own, more seeds where it has too few, in random order."""
        own = rng.sample(range(len(pool.samples)), min(self.own_examples, len(pool.samples)))
        wanted = self.seed_examples + self.own_examples - len(own)
        seeds = rng.sample(pool.sources.seed_tasks, min(wanted, len(pool.sources.seed_tasks)))
        mixed = [*seeds, *(SeedTask(id=pool.samples[place].id, instruction=pool.samples[place].first("user")) for place in own)]
        rng.shuffle(mixed)
        return mixed

    def _stale(self, instructions: list[str], pool: Pool) -> dict[int, str]:
        """Place → why, for the instructions that are too close to the pool or to an earlier one of the same reply."""
        known = [*(seed.instruction for seed in pool.sources.seed_tasks), *(sample.first("user") for sample in pool.samples)]
        stale: dict[int, str] = {}
        for place, instruction in enumerate(instructions):
            if len(instruction) > MAX_INSTRUCTION_CHARACTERS:
                stale[place] = f"{len(instruction)} characters, at most {MAX_INSTRUCTION_CHARACTERS}"
                continue
            if known:
                which, value = nearest(instruction, known)
                if value >= self.novelty:
                    stale[place] = f"ROUGE-L {value:.2f} ≥ {self.novelty:g} against pool item {which}"
                    continue
            known.append(instruction)
        return stale


PLUGIN = SelfInstruct
