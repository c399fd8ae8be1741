"""Decides what happens to a request: admission, faults and latency, then the text. No sockets here; `server` puts it on the wire."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, replace
from random import Random

from gen.simulator.limits import Bucket, Limits, openai_charge
from gen.simulator.options import LIMITS, SimulatorOptions
from gen.simulator.text import Written, stream, write_chat, write_completion
from gen.simulator.tokens import count_tokens, cut
from gen.simulator.wire import Ask, Problem, invalid

_UNSAID_OUTPUT = 256  # tokens that OpenAI's way of counting takes for a reply whose request names no limit
_WIRE_FAULTS = ("reset", "truncated_body", "invalid_json")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reply as it leaves the model: cut at `max_tokens` and `stop`. `finish` is "stop" or "length"."""

    text: str
    finish: str
    ended_by: str | None
    tokens: int
    flaw: str = ""


class Service:
    """The simulated service behind all routes: its options, its limits, and how often each request was asked. `waited_seconds` is the
    sum of all latencies so far: what the same requests would take one after the other."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.limits = Limits(
            {
                name.removesuffix("_per_minute"): Bucket(per_minute, options.burst_seconds, time.monotonic)
                for name in LIMITS
                if (per_minute := getattr(options, name)) is not None
            }
        )
        self.waited_seconds = 0.0
        self._attempts: Counter[str] = Counter()
        self._counting = bool(options.rate_limit_first or any(options.faults.values()) or options.jitter_ms)

    def refusal_to_serve(self, key: str | None, model: str) -> Problem | None:
        """What is wrong with the key or the model's name, None when nothing is."""
        options = self.options
        if options.api_key is not None and key != options.api_key:
            return Problem(401, "invalid_request_error", "Incorrect API key provided.", code="invalid_api_key")
        if options.models and model not in options.models:
            return Problem(
                404, "invalid_request_error", f"The model '{model[:100]}' does not exist.", code="model_not_found", param="model"
            )
        return None

    def unanswerable(self, ask: Ask) -> Problem | None:
        """Why a request can never be answered, None when it can."""
        return self._never(ask.text, count_tokens(ask.text), ask.max_tokens)

    async def admit(self, key: str, text: str, max_tokens: int | None, *, asked: bool) -> tuple[Problem | None, str]:
        """Whether a request may be answered now: (what is in the way, the wire fault to come).

        Waits for the latency. Requests that can never be answered come first, then limits, then faults. `asked` says that tokens are
        counted as asked for, OpenAI's way.
        """
        tokens = count_tokens(text)
        if problem := self._never(text, tokens, max_tokens):
            return problem, ""
        attempt = self._attempt(key)
        if attempt <= self.options.rate_limit_first:
            return _too_many("requests", self.options.retry_after_seconds), ""
        charge = openai_charge(text, max_tokens if max_tokens is not None else _UNSAID_OUTPUT) if asked else tokens
        name, seconds = self.limits.admit(charge, tokens)
        if seconds > 0:
            return _too_many(name, seconds), ""
        luck = stream(self.options, key, f"wire {attempt}") if self._counting else Random(0)
        fault = self._fault(luck)
        await self._wait(luck, hang=fault == "hang")
        return self._failure(fault), fault if fault in _WIRE_FAULTS else ""

    def speak(self, ask: Ask) -> list[Spoken]:
        """The replies to a request: `n` of them, for each prompt where there are several."""
        spoken: list[Spoken] = []
        for place in range(ask.n * max(1, len(ask.prompts))):
            key = ask.key if place == 0 else f"{ask.key}#{place}"
            if ask.prompts:
                written = write_completion(self.options, ask.prompts[place // ask.n], key=key)
            else:
                written = write_chat(self.options, ask.messages, key=key, schema=ask.schema, json_mode=ask.json_mode, model=ask.model)
            spoken.append(_spoken(written, ask))
        return spoken

    def _never(self, text: str, tokens: int, max_tokens: int | None) -> Problem | None:
        limit, forbidden = self.options.context_tokens, self.options.reject_containing
        if tokens + (max_tokens or 0) > limit:
            message = f"This model's maximum context length is {limit} tokens. However, your messages and the completion need "
            return invalid(f"{message}{tokens + (max_tokens or 0)} tokens.", param="messages", code="context_length_exceeded")
        if forbidden is not None and forbidden in text:
            return invalid("The request was rejected by the simulator's option reject_containing.", code="content_policy_violation")
        return None

    def _attempt(self, key: str) -> int:
        if not self._counting:
            return 1
        self._attempts[key] += 1
        return self._attempts[key]

    def _fault(self, luck: Random) -> str:
        point = luck.random()
        for name, rate in sorted(self.options.faults.items()):
            point -= rate
            if point < 0:
                return name
        return ""

    async def _wait(self, luck: Random, *, hang: bool) -> None:
        milliseconds = self.options.latency_ms
        if self.options.jitter_ms:
            milliseconds += self.options.jitter_ms * luck.lognormvariate(0, self.options.jitter_sigma)
        seconds = milliseconds / 1000 + (self.options.hang_seconds if hang else 0)
        if seconds > 0:
            self.waited_seconds += seconds
            await asyncio.sleep(seconds)

    def _failure(self, fault: str) -> Problem | None:
        if fault == "rate_limit":
            return _too_many("requests", self.options.retry_after_seconds)
        if fault == "server_error":
            return Problem(500, "server_error", "The server had an error while processing your request.")
        if fault == "overloaded":
            return Problem(529, "overloaded_error", "The service is overloaded.", code="overloaded")
        return None


def _too_many(name: str, seconds: float) -> Problem:
    message = f"Rate limit reached for {name}. Please try again in {seconds:.3f}s."
    return Problem(429, name, message, code="rate_limit_exceeded", retry_after_seconds=seconds)


def _spoken(written: Written, ask: Ask) -> Spoken:
    text, finish, ended_by = cut(written.text, ask.max_tokens, ask.stop)
    spoken = Spoken(text, finish, ended_by, count_tokens(text), written.flaw)
    return replace(spoken, finish="length") if written.cut_off and ended_by is None else spoken
