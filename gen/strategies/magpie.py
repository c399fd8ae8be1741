"""Magpie: the model gets nothing but its own chat format up to the user's turn, and writes the instruction itself.

Xu et al. 2024, "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing": an aligned model, asked to go on
where a user would begin, writes what users ask; then it answers. A system prompt before the opened turn turns it to a domain (section
2.2), and the turns after the first are made the same way. Needs a server that takes raw prompts, and the model's own tokenizer. The pool
is never read: equal prompts are different draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from gen.answering import MAX_INSTRUCTION_CHARACTERS, after, feedback_of, second_attempt
from gen.asking import Asking, Reply
from gen.bounds import check_bounds
from gen.errors import InputError, RecipeError
from gen.prompts import load
from gen.second_chance import sampling_for
from gen.templates.raw_prompt import RawPrompts, open_raw_prompts
from gen.types import EMPTY, Generate, Json, Malformed, Message, Pool, Sample, Sampling, Sources, Task, Turn


@dataclass(frozen=True)
class Magpie:
    """Options of `magpie`.

    `tokenizer` is the model's own: a folder, a name on the Hub, or `shipped` for ChatML; `template_options` go to its chat template
    (`{enable_thinking: false}`). The topic and `audience` steer by a system prompt that only the user's turns see; `system` is the samples'
    system message, which the answers see. `turns` counts exchanges; temperature 1.0 and top_p 1.0 for instructions are the paper's.
    """

    model: str
    tokenizer: str
    audience: str = ""
    system: str = ""
    turns: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    answer_temperature: float | None = None
    max_instruction_tokens: int = 512
    max_tokens: int | None = None
    template_options: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    needs_raw_prompt: ClassVar[bool] = True
    _raw: RawPrompts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_bounds(self, turns=(1, 10), temperature=(0, 2), top_p=(0.01, 1), answer_temperature=(0, 2))
        check_bounds(self, max_instruction_tokens=(8, 100_000), max_tokens=(1, 1_000_000))
        try:
            object.__setattr__(self, "_raw", open_raw_prompts(self.tokenizer, self.template_options))
        except InputError as error:
            raise RecipeError(str(error), key="tokenizer") from error
        for key in ("audience", "system"):
            self._check_no_control(getattr(self, key), key, key)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    @property
    def prompts(self) -> tuple[str, ...]:
        return ("magpie/system",)

    def check_sources(self, sources: Sources) -> None:
        """Raises RecipeError where topics, `audience` or `system` would need a system role that the chat template lacks, or where a
        topic holds a control token: in a raw prompt it would end the turn."""
        wants = [what for what, given in (("topics", sources.topics), ("audience", self.audience), ("system", self.system)) if given]
        if wants and not self._raw.takes_system:
            raise RecipeError(
                f"the chat template of '{self.tokenizer}' has no system role, which {' and '.join(wants)} would need: leave them out",
                key="tokenizer",
            )
        for topic in sources.topics:
            self._check_no_control(topic, f"the topic {topic[:60]!r}", "")

    def plan(self, turn: Turn, pool: Pool, rng: Random) -> Mapping[str, Json]:  # noqa: ARG002
        """Nothing but the draw, which the task's seed is. Where another answer is wanted, the conversation up to it."""
        again = second_attempt(turn)
        if "instruction" in again and turn.rejected is not None and isinstance(turn.rejected.item, Sample):
            spoken = [[one.role, one.content] for one in turn.rejected.item.messages if one.role != "system"]
            return {"parent": again["parent"], "feedback": again["feedback"], "conversation": spoken[:-1]}
        return {key: again[key] for key in ("parent", "feedback") if key in again}  # a raw prompt has no place for advice

    async def run(self, task: Task, pool: Pool, generate: Generate) -> list[Sample | Malformed]:  # noqa: ARG002
        """Two calls per exchange, one candidate."""
        parent = task.inputs.get("parent")
        asking = Asking(task, generate, parents=(parent,) if parent else ())
        conversation = [Message(role, content) for role, content in task.inputs.get("conversation", ())]
        replies: list[Reply] = []
        while len(conversation) < 2 * self.turns:
            whose = "assistant" if len(conversation) % 2 else "user"
            said = await (self._answer if whose == "assistant" else self._instruction)(asking, conversation)
            if isinstance(said, Malformed):
                return [after(said, replies)]
            conversation.append(Message(whose, self._raw.spoken(said.response.text)))
            replies.append(said)
        return [asking.sample(0, [*self._own, *conversation], replies, notes={"tokenizer": self.tokenizer})]

    def _check_no_control(self, text: str, what: str, key: str) -> None:
        leak = self._raw.leak(text)
        if leak:
            raise RecipeError(
                f"{what} holds the control token {leak!r}, which a raw prompt would take for the end of a turn: drop it", key=key
            )

    @property
    def _own(self) -> tuple[Message, ...]:
        return (Message("system", self.system),) if self.system else ()

    async def _instruction(self, asking: Asking, conversation: Sequence[Message]) -> Reply | Malformed:
        prompt = load("magpie/system")
        steering = prompt.render(topic=asking.task.topic, audience=self.audience)
        base = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_instruction_tokens, stop=self._raw.stops)
        reply = await asking.ask(
            self.model,
            raw=self._raw.user_turn((*steering, *conversation)),
            part="instruct",
            step=len(conversation),
            prompt=prompt.ref if steering else "",
            sampling=sampling_for(base, asking.task.attempt),
        )
        if isinstance(reply, Malformed):
            return reply
        text = self._raw.spoken(reply.response.text)
        if reply.response.finish_reason == "length":
            return _unfit(asking, reply, "instruction_cut_off", f"no end within {self.max_instruction_tokens} tokens")
        if len(text) > MAX_INSTRUCTION_CHARACTERS:
            return _unfit(asking, reply, "instruction_too_long", f"{len(text)} characters, at most {MAX_INSTRUCTION_CHARACTERS}")
        return self._fault(asking, reply, "empty_instruction") or reply

    async def _answer(self, asking: Asking, conversation: Sequence[Message]) -> Reply | Malformed:
        feedback = feedback_of(asking.task) if "conversation" in asking.task.inputs else None
        base = Sampling(temperature=self.answer_temperature, max_tokens=self.max_tokens, stop=self._raw.stops)
        reply = await asking.ask(
            self.model,
            raw=self._raw.assistant_turn((*self._own, *conversation)),
            part="answer",
            step=len(conversation),
            sampling=sampling_for(base, asking.task.attempt, feedback.reason) if feedback else base,
        )
        if isinstance(reply, Malformed):
            return reply
        goes_on = len(conversation) + 1 < 2 * self.turns
        if goes_on and reply.response.finish_reason == "length":  # of the last answer the truncation gate decides
            return _unfit(asking, reply, "answer_cut_off", f"answer {len(conversation) // 2 + 1} of {self.turns}")
        return self._fault(asking, reply, "empty_answer") or reply

    def _fault(self, asking: Asking, reply: Reply, when_empty: str) -> Malformed | None:
        text = self._raw.spoken(reply.response.text)
        if not text:
            return _unfit(asking, reply, when_empty, f"finish reason {reply.response.finish_reason}")
        leak = self._raw.leak(text)
        return _unfit(asking, reply, "leaked_template", f"it holds the control token {leak!r}") if leak else None


def _unfit(asking: Asking, reply: Reply, reason: str, detail: str) -> Malformed:
    return asking.malformed(0, reason, text=reply.response.text, detail=detail, replies=[reply])


PLUGIN = Magpie
