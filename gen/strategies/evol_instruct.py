"""Evol-Instruct: an instruction is made harder or turned into a new one, round by round, and answered; failed evolutions are eliminated.

Xu et al. 2023, "WizardLM: Empowering Large Language Models to Follow Complex Instructions": five in-depth operations and one in-breadth,
drawn with equal chances, over four rounds, and an elimination of evolutions that brought nothing (section 3.2). Here each task is one
evolution of one parent: a starting instruction, or a sample of the sequence that was accepted before and has rounds left. An eliminated
evolution is on record with its reason, and its parent stays in the pool.

Reasons: unreadable_rewrite, instruction_too_long, no_gain, evolution_broken, unreadable_verdict, leaked_prompt, evolution_refused,
evolution_empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal, TypeVar, get_args

from gen.answering import MAX_INSTRUCTION_CHARACTERS, Answering, after, ask_instructions, feedback_of, second_attempt
from gen.asking import Asking, Reply
from gen.bounds import check_bounds
from gen.errors import RecipeError
from gen.llm.structured import Unreadable
from gen.patterns.refusals import REFUSED_FROM, refusal_weight
from gen.prompts import load
from gen.replies import parse_json
from gen.second_chance import Feedback, sampling_for
from gen.text import count_words, words
from gen.types import Generate, Json, Malformed, Message, Pool, Response, Sample, Sampling, Task, Turn

Value = TypeVar("Value")

Operation = Literal["add_constraints", "deepen", "concretise", "add_reasoning", "complicate_input", "breadth"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

_ELIMINATED = {"equal": "no_gain", "broken": "evolution_broken"}  # verdict → reason
STARTS_SHOWN = 8  # earlier starting instructions that a new one is to stay away from
REFUSAL_WORDS = 80  # section 3.2: a reply that declines within 80 words could not be given
_NOTED_CHARACTERS = 2_000  # of a starting instruction, kept with each of its descendants
# Section 3.2: words of the evolving prompt in the evolved instruction; those of the paper's prompts and of ours.
_LEAKED = re.compile(
    r"\b(?:given|rewritten|created|evolved) prompts?\b|\b(?:rewritten|evolved) (?:instruction|version|text)s?\b|</?instruction>"
    r"|\bbetween the tags\b",
    re.I,
)
_STOP_WORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being but by can could did do does each for from
    further had has have he her here him his how i if in into is it its itself just may me might more most must my no nor not now of off
    on only or other our out over own same she should so some such than that the their them then there these they this those through to
    too under until up us very was we were what when where which while who why will with would yes you your""".split()
)


@dataclass(frozen=True)
class EvolInstruct:
    """Options of `evol_instruct`.

    `rounds` is how often an instruction is evolved at most, `operations` what may happen to it. `judge_model` says whether an evolution
    gained anything, `answer_model` answers; both are `model` unless named. With topics the starting instructions are written by `model`,
    without they are the recipe's seed tasks. `lag` is as in self_instruct, and the first `lag` tasks of a topic find nothing to evolve but
    new starts: shorter gives more rounds to a small goal.
    """

    model: str
    judge_model: str = ""
    answer_model: str = ""
    rounds: int = 4
    operations: tuple[Operation, ...] = OPERATIONS
    answer_style: str = ""
    system: str = ""
    temperature: float | None = None
    answer_temperature: float | None = None
    max_tokens: int | None = None
    lag: int = 8

    def __post_init__(self) -> None:
        check_bounds(self, rounds=(1, 20), temperature=(0, 2), answer_temperature=(0, 2), max_tokens=(1, 1_000_000), lag=(1, 1000))
        if not self.operations:
            raise RecipeError(f"name at least one of {', '.join(OPERATIONS)}", key="operations")

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in (self.model, self.judge_model, self.answer_model) if name))

    @property
    def prompts(self) -> tuple[str, ...]:
        return tuple(f"evol_instruct/{step}" for step in ("first", *self.operations, "eliminate", "answer"))

    def plan(self, turn: Turn, pool: Pool, rng: Random) -> Mapping[str, Json]:
        """Which parent is evolved and how: an accepted sample with rounds left, as often as keeps the rounds alike, else a new start."""
        if turn.rejected is not None:
            return self._plan_again(turn, turn.rejected.task, turn.rejected.item.provenance.notes, rng)
        operation = rng.choice(self.operations)
        evolved = {parent for sample in pool.samples for parent in sample.provenance.parents}
        ready = [sample for sample in pool.samples if _round(sample) < self.rounds and sample.id not in evolved]
        if rng.random() < 1 - 1 / self.rounds and ready:
            return {"operation": operation, **_evolves(rng.choice(ready))}
        if turn.topic:
            starts = list(dict.fromkeys(str(sample.provenance.notes.get("start", "")) for sample in pool.samples))
            return {"operation": operation, "round": 1, "examples": rng.sample(starts, min(STARTS_SHOWN, len(starts)))}
        seed = rng.choice(pool.sources.seed_tasks)
        return {"operation": operation, "round": 1, "start": seed.instruction, "before": seed.instruction, "seeds": [seed.id]}

    def _plan_again(self, turn: Turn, task: Task, notes: Mapping[str, Json], rng: Random) -> Mapping[str, Json]:
        """Another answer to the same evolution, or another evolution of the same parent, by another operation where there is one."""
        again = second_attempt(turn)
        same = {key: value for key, value in task.inputs.items() if key in ("operation", "round", "evolves", "start", "before", "seeds")}
        if "start" in notes:  # written by the rejected task itself
            same = {"start": notes["start"], "before": notes["start"], **same}
        if "instruction" in again:
            return {**same, **again}
        others = [one for one in self.operations if one != task.inputs["operation"]] or list(self.operations)
        shown = {} if "before" in same else {"examples": task.inputs.get("examples", ())}
        return {**same, **shown, "parent": again["parent"], "feedback": again["feedback"], "operation": rng.choice(others)}

    async def run(self, task: Task, pool: Pool, generate: Generate) -> list[Sample | Malformed]:  # noqa: ARG002
        """One candidate by up to four calls: a start where none is given, the evolution, the judgement, the answer."""
        parents = [task.inputs[key] for key in ("evolves", "parent") if key in task.inputs]
        asking = Asking(task, generate, seeds=tuple(task.inputs.get("seeds", ())), parents=tuple(parents))
        return [await _Evolution(self, asking, feedback_of(task)).candidate()]


@dataclass(slots=True)
class _Evolution:
    """One task under way. `replies` are those received so far; `start` becomes known with the first of them."""

    options: EvolInstruct
    asking: Asking
    feedback: Feedback | None
    start: str = ""
    replies: tuple[Reply, ...] = ()

    async def candidate(self) -> Sample | Malformed:
        """The evolved instruction with its answer, or why there is none; either with its lineage in its notes."""
        inputs = self.asking.task.inputs
        self.start = str(inputs.get("start", ""))
        item = await (self._answered(inputs["instruction"], self.feedback) if "instruction" in inputs else self._evolved())
        item = after(item, self.replies) if isinstance(item, Malformed) else item
        lineage = {"operation": inputs["operation"], "round": inputs["round"], "start": self.start[:_NOTED_CHARACTERS]}
        notes = {name: value for name, value in lineage.items() if value}
        return replace(item, provenance=replace(item.provenance, notes=notes))

    async def _evolved(self) -> Sample | Malformed:
        inputs = self.asking.task.inputs
        before = inputs["before"] if "before" in inputs else await self._first()
        if isinstance(before, Malformed):
            return before
        evolved = await self._rewritten(before)
        if isinstance(evolved, Malformed):
            return evolved
        return await self._eliminated(before, evolved) or await self._answered(evolved, None)

    async def _first(self) -> str | Malformed:
        """A starting instruction of the topic."""
        inputs, prompt = self.asking.task.inputs, load("evol_instruct/first")
        messages = prompt.render(topic=self.asking.task.topic, count=1, examples=inputs.get("examples", ()), feedback=self.feedback)
        sampling = Sampling(temperature=self.options.temperature)
        asked = await ask_instructions(
            self.asking, self.options.model, messages, count=1, part="first", prompt=prompt.ref, sampling=sampling
        )
        if isinstance(asked, Malformed):
            return asked
        self.replies = (*self.replies, *asked.replies)
        (self.start,) = asked.value
        return self.start if len(self.start) <= MAX_INSTRUCTION_CHARACTERS else self._too_long(self.start)

    async def _rewritten(self, before: str) -> str | Malformed:
        prompt = load(f"evol_instruct/{self.asking.task.inputs['operation']}")
        messages = prompt.render(topic=self.asking.task.topic, instruction=before, feedback=self.feedback)
        sampling = sampling_for(Sampling(temperature=self.options.temperature), self.asking.task.attempt)
        evolved = await self._ask(_rewrite_in, self.options.model, messages, "evolve", prompt.ref, sampling, reason="unreadable_rewrite")
        if isinstance(evolved, Malformed):
            return evolved
        return evolved if len(evolved) <= MAX_INSTRUCTION_CHARACTERS else self._too_long(evolved)

    async def _eliminated(self, before: str, evolved: str) -> Malformed | None:
        """Why the evolution goes no further, before its answer is bought; what costs nothing is looked at first."""
        if words(evolved) == words(before):
            return self._malformed("no_gain", evolved, "the words are the same")
        leaked = _LEAKED.search(evolved)
        if leaked and not _LEAKED.search(before):
            return self._malformed("leaked_prompt", evolved, f"it says '{leaked[0].lower()}'")
        prompt = load("evol_instruct/eliminate")
        messages = prompt.render(instruction=before, evolved=evolved)
        judge = self.options.judge_model or self.options.model
        coldly = Sampling(temperature=0.0)
        opinion = await self._ask(_verdict_in, judge, messages, "eliminate", prompt.ref, coldly, reason="unreadable_verdict")
        if isinstance(opinion, Malformed):
            return opinion if opinion.gate == "provider" else replace(opinion, text=evolved)
        verdict, why = opinion
        return None if verdict == "better" else self._malformed(_ELIMINATED[verdict], evolved, why or f"the verdict is '{verdict}'")

    async def _answered(self, instruction: str, feedback: Feedback | None) -> Sample | Malformed:
        options = self.options
        answering = Answering(
            model=options.answer_model or options.model,
            prompt="evol_instruct/answer",
            system=options.system,
            style=options.answer_style,
            sampling=Sampling(temperature=options.answer_temperature, max_tokens=options.max_tokens),
        )
        item = await answering.answer(self.asking, 0, instruction, step=3, before=self.replies, feedback=feedback)
        if isinstance(item, Malformed):
            return item
        answer = item.last("assistant")
        if all(word in _STOP_WORDS for word in words(answer)):
            return self._failed(item, instruction, "evolution_empty", "the answer has no word of content")
        if refusal_weight(answer) >= REFUSED_FROM and count_words(answer) < REFUSAL_WORDS:
            return self._failed(item, instruction, "evolution_refused", f"declined in {count_words(answer)} words, below {REFUSAL_WORDS}")
        return item

    async def _ask(
        self,
        read: Callable[[Response], Value | Unreadable],
        model: str,
        messages: Sequence[Message],
        part: str,
        prompt: str,
        sampling: Sampling,
        *,
        reason: str,
    ) -> Value | Malformed:
        """What was read out of a reply; all replies are remembered. The step is how many replies the candidate needs before it."""
        step = ("first", "evolve", "eliminate").index(part)
        asked = await self.asking.ask_for(read, model, messages, part=part, step=step, reason=reason, prompt=prompt, sampling=sampling)
        if isinstance(asked, Malformed):
            return asked
        self.replies = (*self.replies, *asked.replies)
        return asked.value

    def _too_long(self, text: str) -> Malformed:
        return self._malformed("instruction_too_long", text, f"{len(text)} characters, at most {MAX_INSTRUCTION_CHARACTERS}")

    def _malformed(self, reason: str, text: str, detail: str) -> Malformed:
        return self.asking.malformed(0, reason, text=text, detail=detail, replies=self.replies)

    def _failed(self, item: Sample, instruction: str, reason: str, detail: str) -> Malformed:
        """An elimination by the answer: the record names the answer's call as well."""
        return Malformed(id=item.id, reason=reason, text=instruction, detail=detail, provenance=item.provenance)


def _rewrite_in(response: Response) -> str | Unreadable:
    value = parse_json(response.text)
    evolved = value.get("instruction") if isinstance(value, dict) else None
    if not isinstance(evolved, str) or not evolved.strip():
        return Unreadable('it is no JSON object with an "instruction"')
    return evolved.strip()


def _verdict_in(response: Response) -> tuple[str, str] | Unreadable:
    """(verdict, why) of the elimination."""
    value = parse_json(response.text)
    opinion: Mapping[str, Any] = value if isinstance(value, dict) else {}
    verdict, why = str(opinion.get("verdict", "")).strip().lower(), " ".join(str(opinion.get("reason", "")).split())[:300]
    if verdict not in ("better", *_ELIMINATED):
        return Unreadable('its "verdict" is none of better, equal and broken')
    return verdict, why


def _round(sample: Sample) -> int:
    return int(sample.provenance.notes.get("round", 0))


def _evolves(parent: Sample) -> dict[str, Json]:
    """The inputs of one more round on `parent`."""
    return {
        "round": _round(parent) + 1,
        "evolves": parent.id,
        "start": parent.provenance.notes.get("start", ""),
        "before": parent.first("user"),
        "seeds": parent.provenance.seeds,
    }


PLUGIN = EvolInstruct
