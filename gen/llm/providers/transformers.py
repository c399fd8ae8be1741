"""A model in this process, through transformers and PyTorch (the extra `local`): chat, raw prompts and embeddings without a server.

Requests that wait together are answered together, in one thread of its own, so the event loop is never held up. A batch ends early when
enough of its rows are over and others wait; what is not over goes on in the next one. PyTorch is imported in that thread at the first call.
"""

from __future__ import annotations

import array
import asyncio
import base64
import importlib
import json
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gen.errors import ProviderError, RequestRejected, ServiceStopped, Unavailable
from gen.llm.capabilities import capabilities_of, sampling
from gen.llm.local.identity import WITHOUT_TORCH
from gen.llm.local.row import Row, enough
from gen.llm.provider import Endpoint, HeaderSink, Provider
from gen.llm.wire import well_formed
from gen.llm.worded import worded_turns
from gen.recipe import ModelLine
from gen.types import Json, Message, Request, Response, Usage, thaw

_GATHER_SECONDS = 0.002  # requests that are asked together come within one turn of the event loop or two


class Engine(Protocol):
    """A loaded model, as `gen.llm.local.engine` has it; called from one thread."""

    @property
    def context(self) -> int | None: ...

    def prompt(self, text: str) -> list[int]: ...

    def chat(self, messages: Sequence[Message], options: Mapping[str, Json]) -> tuple[list[int], tuple[str, ...]]: ...

    def takes_system(self, options: Mapping[str, Json]) -> bool: ...

    def text(self, ids: Sequence[int]) -> str: ...

    def write(self, rows: Sequence[Row], leave: Callable[[int], bool]) -> None: ...

    def vectors(self, texts: Sequence[str]) -> tuple[list[list[float]], int]: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Job:
    """A request on its way. Its row has no prompt until the thread made one; `failure` is why it never will."""

    request: Request
    line: ModelLine
    row: Row
    answer: asyncio.Future[Response]
    failure: ProviderError | None = None


class TransformersProvider:
    """One loaded model, shared by the lines that name it. `load` opens it, in the thread that will use it."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="local-model")
        self._waiting: deque[_Job] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._places = 1
        self._most: int | None = None  # rows that the memory held, once it did not hold more
        self._closing = False

    async def send(self, request: Request, line: ModelLine) -> Response:
        """The model's answer to a conversation or a raw prompt.

        Raises RequestRejected `context_too_long` or `bad_request`, Unavailable `out_of_memory` or `local_failure`, ServiceStopped
        `model_unusable`.
        """
        chosen = sampling(request, line)
        row = Row(
            prompt=[],
            max_tokens=chosen.max_tokens or 1,
            draw=request.draw,
            temperature=1.0 if chosen.temperature is None else chosen.temperature,
            top_p=1.0 if chosen.top_p is None else chosen.top_p,
            stops=tuple(chosen.stop),
        )
        job = _Job(request, line, row, asyncio.get_running_loop().create_future())
        self._places = max(self._places, line.max_concurrency)
        self._waiting.append(job)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._work())
        try:
            return await job.answer
        finally:
            row.cancelled = True  # nobody waits any more: over, or called off

    async def embed(self, request: Request, line: ModelLine) -> Response:
        """The vectors of the request's texts, the mean of the last hidden states. Raises what `send` raises."""
        texts = [well_formed(message.content) for message in request.messages]
        try:
            vectors, tokens = await asyncio.get_running_loop().run_in_executor(self._thread, self._vectors, texts)
        except MemoryError:
            raise _out_of_memory(line, f"{len(texts)} texts (`capabilities: {{embedding_inputs: …}}` sends fewer)") from None
        return Response(text="\n".join(map(_line_of, vectors)), usage=Usage(tokens), model=line.model)

    async def close(self) -> None:
        """End what is under way after its present step, and give the memory back."""
        self._closing = True
        if self._runner is not None:
            self._runner.cancel()
            with suppress(asyncio.CancelledError):
                await self._runner
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget)
        self._thread.shutdown(wait=False)

    @property
    def _room(self) -> int:
        """How many rows a batch may hold."""
        return min(self._places, self._most or self._places)

    async def _work(self) -> None:
        """Batch after batch, until nobody waits. The first is put together once the model is loaded."""
        loop, batch = asyncio.get_running_loop(), list[_Job]()
        try:
            await loop.run_in_executor(self._thread, self._opened)
            await asyncio.sleep(_GATHER_SECONDS)
            while batch := self._next_batch():
                try:
                    await loop.run_in_executor(self._thread, self._segment, batch)
                except MemoryError:
                    self._take_less(batch)
                self._hand_out(batch)
        except BaseException as error:
            for job in (*batch, *self._waiting):
                _fail(job, error)
            self._waiting.clear()
            if not isinstance(error, ProviderError):
                raise

    def _next_batch(self) -> list[_Job]:
        places, batch = self._room, list[_Job]()
        while self._waiting and len(batch) < places:
            job = self._waiting.popleft()
            if not job.answer.done():
                batch.append(job)
        return batch

    def _hand_out(self, batch: Sequence[_Job]) -> None:
        """Answer what is over; the others go on, before those that came later."""
        for job in batch:
            if job.failure is not None:
                _fail(job, job.failure)
            elif job.row.finish is not None and not job.answer.done():
                self._answer(job)
        self._waiting.extendleft(job for job in reversed(batch) if not job.answer.done())

    def _answer(self, job: _Job) -> None:
        assert self._engine is not None
        job.answer.set_result(
            Response(
                text=well_formed(job.row.reply(self._engine.text)),
                finish_reason=job.row.finish or "unknown",
                usage=Usage(len(job.row.prompt), len(job.row.tokens)),
                model=job.line.model,
            )
        )

    def _take_less(self, batch: Sequence[_Job]) -> None:
        """Half as many rows at a time from now on; one alone that does not fit has failed."""
        if len(batch) == 1:
            tokens = len(batch[0].row.prompt) + batch[0].row.max_tokens
            batch[0].failure = _out_of_memory(batch[0].line, f"a single request of up to {tokens} tokens")
        self._most = max(1, len(batch) // 2)

    # --- in the thread -------------------------------------------------------------------------------------------------------------

    def _segment(self, batch: Sequence[_Job]) -> None:
        engine = self._opened()
        for job in batch:
            if not job.row.prompt:
                try:
                    _prepare(job, engine)
                except ProviderError as error:
                    job.failure = error
        rows = [job.row for job in batch if job.failure is None and not job.row.over]

        def leave(steps: int) -> bool:
            return self._closing or enough(rows, waiting=len(self._waiting), places=self._room, steps=steps)

        if rows and not self._closing:
            try:
                engine.write(rows, leave)
            except ProviderError as error:
                for job in batch:
                    job.failure = job.failure or error

    def _vectors(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        return self._opened().vectors(texts)

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = self._load()
        return self._engine

    def _forget(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def connect(endpoint: Endpoint, _on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`, whose options are those of `gen.llm.local.identity.local_options`."""
    options: dict[str, str] = json.loads(endpoint.options)

    def load() -> Engine:
        try:
            module: Any = importlib.import_module("gen.llm.local.engine")
        except ImportError as error:
            raise ServiceStopped(f"{WITHOUT_TORCH}: {' '.join(str(error).split())[:120]}", reason="model_unusable") from error
        engine: Engine = module.Engine(options["model"], commit=options["commit"], device=options["device"], dtype=options["dtype"])
        return engine

    return TransformersProvider(load)


def _prepare(job: _Job, engine: Engine) -> None:
    """Make the row's prompt. Raises RequestRejected where the model cannot take it."""
    request, line, row = job.request, job.line, job.row
    if request.prompt is not None:
        row.prompt = engine.prompt(well_formed(request.prompt))
    else:
        options, able = thaw(line.local.template_options), capabilities_of(line)
        able = replace(able, system_role=able.system_role and engine.takes_system(options))
        messages = [Message(turn["role"], turn["content"]) for turn in worded_turns(request, able)]
        row.prompt, ends = engine.chat(messages, options)
        row.stops = (*row.stops, *(stop for stop in ends if stop not in row.stops))
    if not row.prompt:
        raise RequestRejected("an empty prompt: there is nothing to go on from", reason="bad_request")
    if engine.context is not None and len(row.prompt) + row.max_tokens > engine.context:
        raise RequestRejected(
            f"a prompt of {len(row.prompt)} tokens and `max_tokens` {row.max_tokens} are more than the model's context of {engine.context}",
            reason="context_too_long",
        )


def _fail(job: _Job, error: BaseException) -> None:
    if not job.answer.done():
        if isinstance(error, asyncio.CancelledError):
            job.answer.cancel()
        else:
            job.answer.set_exception(error)


def _out_of_memory(line: ModelLine, what: str) -> Unavailable:
    return Unavailable(f"'{line.model}' has too little memory for {what}", reason="out_of_memory")


def _line_of(vector: Sequence[float]) -> str:
    """A vector as `gen.llm.embedding` keeps it: little-endian 32-bit floats in base64."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
