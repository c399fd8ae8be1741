"""Answer instructions, and plan a second attempt: what every strategy has in common that asks for instructions first and answers then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gen.asking import Answered, Asking, Reply
from gen.llm.structured import Unreadable
from gen.prompts import load
from gen.replies import parse_list
from gen.second_chance import Feedback, change_for, feedback_for, sampling_for
from gen.types import EMPTY, Json, Malformed, Message, Response, Sample, Sampling, Task, Turn

MAX_INSTRUCTION_CHARACTERS = 8_000  # some 1,300 words: a longer "instruction" is a model that would not stop
_AVOID_CHARACTERS = 1_000  # of a rejected instruction, shown so that the next one stays away from it


@dataclass(frozen=True, slots=True)
class Answering:
    """How instructions are answered: by which `model`, with which `prompt` ("self_instruct/answer"). `system` becomes the samples' system
    message; `style` is put to the answering model only."""

    model: str
    prompt: str
    system: str = ""
    style: str = ""
    sampling: Sampling = Sampling()

    async def answer(
        self,
        asking: Asking,
        place: int,
        instruction: str,
        *,
        step: int = 1,
        before: Sequence[Reply] = (),
        feedback: Feedback | None = None,
        notes: Mapping[str, Json] = EMPTY,
        more: Mapping[str, Any] = EMPTY,
    ) -> Sample | Malformed:
        """The candidate at `place`: `instruction` with its answer. `before` are the replies that led to the instruction, `more` the
        prompt's variables besides topic, instruction, system, answer_style and feedback."""
        prompt = load(self.prompt)
        messages = prompt.render(
            topic=asking.task.topic,
            instruction=instruction,
            system=self.system,
            answer_style=self.style,
            feedback=feedback,
            **more,
        )
        sampling = sampling_for(self.sampling, asking.task.attempt if feedback else 0, feedback.reason if feedback else "")
        reply = await asking.ask(self.model, messages, part="answer", step=step, position=place, prompt=prompt.ref, sampling=sampling)
        if isinstance(reply, Malformed):
            return after(reply, before)
        turns = [Message("user", instruction), Message("assistant", reply.response.text.strip())]
        whole = [Message("system", self.system), *turns] if self.system else turns
        return asking.sample(place, whole, [*before, reply], notes=notes)


async def ask_instructions(
    asking: Asking, model: str, messages: Sequence[Message], *, count: int, part: str, prompt: str, sampling: Sampling, step: int = 0
) -> Answered[list[str]] | Malformed:
    """Up to `count` instructions in a list reply, corrected by the model where it holds none; a Malformed `unreadable_list` at last."""

    def read(response: Response) -> list[str] | Unreadable:
        return parse_list(response.text)[:count] or Unreadable("it holds no list of instructions")

    return await asking.ask_for(read, model, messages, part=part, step=step, reason="unreadable_list", prompt=prompt, sampling=sampling)


def after(failed: Malformed, replies: Sequence[Reply]) -> Malformed:
    """The same failure with the replies that led to it on record, so that their cost is accounted for."""
    known = failed.provenance
    requests = dict.fromkeys([*(reply.response.key for reply in replies if reply.response.key), *known.requests])
    prompts = dict.fromkeys([*(reply.prompt for reply in replies if reply.prompt), *known.prompts])
    simulated = known.simulated or any(reply.response.simulated for reply in replies)
    return replace(failed, provenance=replace(known, requests=tuple(requests), prompts=tuple(prompts), simulated=simulated))


def second_attempt(turn: Turn) -> dict[str, Json]:
    """The inputs of a task that shall do better than `turn.rejected`: `parent` (its id), `feedback`, and either `instruction`, where only
    another answer is wanted, or `avoid`, the instruction to stay away from. Empty on a first attempt."""
    if turn.rejected is None:
        return {}
    item, feedback = turn.rejected.item, feedback_for(turn.rejected)
    told = {"gate": feedback.gate, "reason": feedback.reason, "detail": feedback.detail, "advice": feedback.advice}
    instruction = item.first("user") if isinstance(item, Sample) else item.text
    if change_for(turn.rejected, turn.attempt) == "new_answer":
        return {"parent": item.id, "feedback": told, "instruction": instruction}
    return {"parent": item.id, "feedback": told, "avoid": instruction[:_AVOID_CHARACTERS]}


def feedback_of(task: Task) -> Feedback | None:
    """Why the candidate that this task does again was rejected; None on a first attempt."""
    told: Any = task.inputs.get("feedback")
    return Feedback(**told) if told else None
