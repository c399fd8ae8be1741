"""Doubles that tests share: a model that is a function, and gates of one line."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gen.errors import ProviderError
from gen.types import Request, Response, Sample, Usage, Verdict, digest, kept, rejected


@dataclass
class FakeModel:
    """Answers every request at once or after a random wait; `answer` maps a request to a text or an error."""

    answer: Callable[[Request], str | ProviderError]
    jitter_seconds: float = 0.0
    requests: list[Request] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(random.random() * self.jitter_seconds)
        finally:
            self.in_flight -= 1
        text = self.answer(request)
        if isinstance(text, ProviderError):
            raise text
        return Response(text=text, usage=Usage(10, 5), cost=0.001, model="fake", key=request_name(request))


def request_name(request: Request) -> str:
    """A stable name for a request: what the cache key is in a run."""
    return digest([request.model, request.messages, request.prompt, request.sampling, request.draw])


def instructions_and_answers(request: Request) -> str:
    """Lists of instructions as JSON for a prompt that asks for them, a short answer to anything else."""
    name = request_name(request)
    if request.purpose.endswith("instruct"):
        count = 5 if "exactly 5" in request.messages[-1].content else 1
        return json.dumps({"instructions": [f"{words(name, place)} number {place} {words(place, name)}" for place in range(count)]})
    return f"The answer {name} has several words and ends with a full stop."


def words(*parts: object) -> str:
    """Four words that occur nowhere else."""
    return " ".join(digest([*parts, place], length=6) for place in range(4))


@dataclass(frozen=True)
class RejectsWhen:
    """A gate that rejects where `test` says so."""

    test: Callable[[Sample], bool]
    name: str = "picky"

    def check(self, sample: Sample) -> Verdict:
        return rejected(self.name, "picked", "by the test") if self.test(sample) else kept(self.name)


@dataclass(frozen=True)
class SameLast:
    """A gate with memory: rejects a sample whose reply ends in the same character as an accepted one's in the same topic."""

    seen: set[str] = field(default_factory=set)

    def check(self, sample: Sample) -> Verdict:
        return rejected("same", "seen") if self._mark(sample) in self.seen else kept("same")

    def remember(self, sample: Sample) -> None:
        self.seen.add(self._mark(sample))

    def _mark(self, sample: Sample) -> str:
        return digest(sample.last("user"), length=2)
