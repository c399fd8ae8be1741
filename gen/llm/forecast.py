"""What a call will take from an endpoint's limits, before its reply tells."""

from __future__ import annotations

from typing import Literal

from gen.llm.limits import Kind
from gen.types import Usage

# By kind of limit; `asked` is what a service counts as `tokens` that charges a request at admission for what may be written. OpenAI's guide
# to rate limits: the larger of `max_tokens` and an estimate of the prompt from its characters, about four a token; nothing is returned.
Amounts = dict[Kind | Literal["asked"], float]


class Forecast:
    """What a model's calls will take from token limits: prompt bytes per token and tokens per reply, learned from replies so far."""

    # English prose has about four bytes per token; the first replies correct it.
    _FIRST_BYTES_PER_TOKEN = 4.0
    _WEIGHT = 0.1  # of each new reply in the running mean: the last twenty or so count

    def __init__(self) -> None:
        self._bytes_per_token = self._FIRST_BYTES_PER_TOKEN
        self._output: float | None = None

    def amounts(self, size: int, max_tokens: int) -> Amounts:
        """For a prompt of `size` bytes. Before the first reply the output is taken to be half of `max_tokens`."""
        output = max_tokens / 2 if self._output is None else min(self._output, max_tokens)
        return taken(size / self._bytes_per_token, output, asked=max(max_tokens, size / self._FIRST_BYTES_PER_TOKEN))

    def learn(self, size: int, usage: Usage) -> None:
        """A reply's true counts."""
        if usage.input_tokens and size:
            self._bytes_per_token += self._WEIGHT * (size / usage.input_tokens - self._bytes_per_token)
        if usage.output_tokens:
            self._output = (
                float(usage.output_tokens) if self._output is None else self._output + self._WEIGHT * (usage.output_tokens - self._output)
            )


def taken(input_tokens: float, output_tokens: float, *, asked: float = 0.0) -> Amounts:
    """The amounts of one request by kind."""
    return {
        "requests": 1.0,
        "tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "asked": asked,
    }
