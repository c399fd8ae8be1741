"""Ask a model on behalf of one task, and keep the provenance of what came back.

A strategy's `run` makes one `Asking`, calls `ask` for each reply it needs and turns replies into samples with `sample`. A call that
failed for good comes back as a Malformed, a value with its reason, so one bad request costs one candidate and never the task; an
error that ends the whole run (invalid key, budget) passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gen.errors import ProviderError, ServiceStopped
from gen.llm.structured import Unreadable, ask_structured
from gen.types import EMPTY, Generate, Json, Malformed, Message, Provenance, Request, Response, Sample, Sampling, Task, digest

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Reply:
    """A response together with the prompt (`name@hash`, empty for none) and the recipe's model that it came from."""

    response: Response
    model: str
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Answered(Generic[Value]):
    """What was read out of a reply, and all replies that led there: the last one is the one that was read."""

    value: Value
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """`task` is what is being worked on, `generate` the way to a model, `seeds` and `parents` what every sample of it descends from."""

    task: Task
    generate: Generate
    seeds: tuple[str, ...] = ()
    parents: tuple[str, ...] = field(default=())

    async def ask(
        self,
        model: str,
        messages: Sequence[Message] = (),
        *,
        part: str,
        step: int,
        position: int = 0,
        prompt: str = "",
        raw: str | None = None,
        sampling: Sampling | None = None,
        schema: str | None = None,
    ) -> Reply | Malformed:
        """One reply. `part` names the step for accounting ("answer"); `position` is the candidate's place within the task: with `part` it
        decides the request's draw, so that equal prompts of one task are different draws, the same ones on every run."""
        request = self._request(model, messages, part=part, step=step, position=position, raw=raw, sampling=sampling, schema=schema)
        try:
            return Reply(await self.generate(request), model, prompt)
        except ServiceStopped:
            raise
        except ProviderError as error:
            return self.malformed(position, error.reason, detail=str(error), gate="provider", model=model)

    async def ask_for(
        self,
        read: Callable[[Response], Value | Unreadable],
        model: str,
        messages: Sequence[Message],
        *,
        part: str,
        step: int,
        reason: str,
        position: int = 0,
        prompt: str = "",
        sampling: Sampling | None = None,
        schema: str | None = None,
    ) -> Answered[Value] | Malformed:
        """What `read` makes of the reply; a reply that it cannot read is corrected by the model (`gen.llm.structured`). A Malformed with
        `reason`, the last text and every reply on record where nothing helped."""
        request = self._request(model, messages, part=part, step=step, position=position, sampling=sampling, schema=schema)
        said = await ask_structured(self.generate, request, read)
        replies = tuple(Reply(response, model, prompt) for response in said.replies)
        if said.value is not None:
            return Answered(said.value, replies)
        if said.error is not None:
            error = said.error
            return self.malformed(position, error.reason, detail=str(error), gate="provider", replies=replies, model=model)
        last = said.replies[-1]
        detail = f"{said.problem}; finish reason {last.finish_reason}"
        return self.malformed(position, reason, text=last.text, detail=detail, replies=replies)

    def _request(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        part: str,
        step: int,
        position: int,
        raw: str | None = None,
        sampling: Sampling | None,
        schema: str | None,
    ) -> Request:
        return Request(
            model=model,
            messages=tuple(messages) if raw is None else (),
            prompt=raw,
            sampling=sampling or Sampling(),
            response_schema=schema,
            draw=draw_of(self.task.seed, part, position),
            purpose=f"{self.task.strategy}.{part}",
            step=step,
        )

    def sample(
        self,
        position: int,
        messages: Sequence[Message],
        replies: Sequence[Reply],
        *,
        seeds: Sequence[str] = (),
        parents: Sequence[str] = (),
        notes: Mapping[str, Json] = EMPTY,
    ) -> Sample:
        """The candidate at `position`, made from `replies` in the order asked; the last one became the assistant's turn."""
        return Sample(
            id=candidate_id(self.task, position),
            messages=tuple(messages),
            provenance=self._provenance(replies, seeds=seeds, parents=parents, notes=notes),
        )

    def malformed(
        self,
        position: int,
        reason: str,
        *,
        text: str = "",
        detail: str = "",
        gate: str = "parse",
        replies: Sequence[Reply] = (),
        model: str = "",
    ) -> Malformed:
        """The candidate at `position` that never became a sample."""
        provenance = self._provenance(replies, model=model)
        return Malformed(
            id=candidate_id(self.task, position),
            reason=reason,
            text=text,
            detail=detail,
            gate=gate,  # type: ignore[arg-type]
            provenance=provenance,
        )

    def _provenance(
        self,
        replies: Sequence[Reply],
        *,
        seeds: Sequence[str] = (),
        parents: Sequence[str] = (),
        notes: Mapping[str, Json] = EMPTY,
        model: str = "",
    ) -> Provenance:
        last = replies[-1] if replies else None
        return Provenance(
            task=self.task.id,
            strategy=self.task.strategy,
            topic=self.task.topic,
            attempt=self.task.attempt,
            parents=(*self.parents, *parents),
            seeds=(*self.seeds, *seeds),
            model=last.model if last else model,
            prompts=tuple(dict.fromkeys(reply.prompt for reply in replies if reply.prompt)),
            requests=tuple(reply.response.key for reply in replies if reply.response.key),
            finish_reason=last.response.finish_reason if last else "",
            simulated=any(reply.response.simulated for reply in replies),
            notes=notes,
        )


def candidate_id(task: Task, position: int) -> str:
    """The id of the candidate at `position` of a task: two equal texts still have two ids."""
    return digest([task.id, position])


def draw_of(seed: int, part: str, position: int) -> int:
    """A request's draw in 0 … 2³¹ − 1 (the range that every API's `seed` takes), from the task's seed and the reply's place."""
    return int(digest([seed, part, position], length=8), 16) & 0x7FFFFFFF
