"""Requests and tokens per minute as buckets that fill evenly, and the headers in which the real services report them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta


class Bucket:
    """`per_minute` units refill evenly; at most `burst_seconds` worth of them wait to be taken. A need above the whole bucket is granted
    when the bucket is full and leaves a debt, so that a large request is late instead of impossible."""

    def __init__(self, per_minute: float, burst_seconds: float, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._capacity = max(1.0, per_minute / 60 * burst_seconds)
        self._level = self._capacity
        self._clock = clock
        self._then = clock()

    def wait_for(self, need: float) -> float:
        """Seconds until `need` can be taken, 0 when it can be now; takes nothing."""
        self._refill()
        missing = min(need, self._capacity) - self._level
        return max(0.0, missing * 60 / self.per_minute)

    def take(self, need: float) -> None:
        """Takes `need`; a negative one gives back."""
        self._refill()
        self._level = min(self._capacity, self._level - need)

    @property
    def remaining(self) -> int:
        self._refill()
        return max(0, int(self._level))

    @property
    def seconds_to_full(self) -> float:
        self._refill()
        return (self._capacity - self._level) * 60 / self.per_minute

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._then) * self.per_minute / 60)
        self._then = now


class Limits:
    """The buckets that a simulator enforces, by what they count: `requests`, `tokens`, `input_tokens`, `output_tokens`.

    Tokens are counted as the two services say they do. On OpenAI's routes `tokens` are charged at admission and never returned: the larger
    of `max_tokens` and an estimate of the prompt from its characters. On Anthropic's `max_tokens` plays no part: input counts at admission,
    output when it has been written, and what overdraws a bucket holds up the requests after it. `input_tokens` and `output_tokens` count
    like Anthropic's on both.
    """

    def __init__(self, buckets: Mapping[str, Bucket]) -> None:
        self._buckets = dict(buckets)

    def admit(self, tokens: int, input_tokens: int) -> tuple[str, float]:
        """Takes one request of `tokens`: ("", 0), or which limit is in the way and for how many seconds."""
        needs = {"requests": 1, "tokens": tokens, "input_tokens": input_tokens, "output_tokens": 0}
        # An output bucket takes nothing yet, but must not be empty.
        waits = [(name, bucket.wait_for(max(1, needs[name]))) for name, bucket in self._buckets.items()]
        name, seconds = max(waits, key=lambda wait: wait[1], default=("", 0.0))
        if seconds > 0:
            return name, seconds
        for name, bucket in self._buckets.items():
            bucket.take(needs[name])
        return "", 0.0

    def wrote(self, output_tokens: int, *, asked: bool) -> None:
        """Counts what a reply holds; not among `tokens` where they were charged as asked for."""
        for name in ("output_tokens",) if asked else ("output_tokens", "tokens"):
            if name in self._buckets:
                self._buckets[name].take(output_tokens)

    def openai_headers(self) -> dict[str, str]:
        """x-ratelimit-limit-…, -remaining-… and -reset-… (a duration such as 120ms) for requests and tokens where they are limited."""
        headers: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            if name in ("requests", "tokens"):
                headers[f"x-ratelimit-limit-{name}"] = f"{bucket.per_minute:.0f}"
                headers[f"x-ratelimit-remaining-{name}"] = str(bucket.remaining)
                headers[f"x-ratelimit-reset-{name}"] = f"{bucket.seconds_to_full * 1000:.0f}ms"
        return headers

    def anthropic_headers(self) -> dict[str, str]:
        """anthropic-ratelimit-…-limit, -remaining and -reset (a point in time as RFC 3339) for each limit that is set."""
        headers: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            dashed = name.replace("_", "-")
            reset = datetime.now(UTC) + timedelta(seconds=bucket.seconds_to_full)
            headers[f"anthropic-ratelimit-{dashed}-limit"] = f"{bucket.per_minute:.0f}"
            headers[f"anthropic-ratelimit-{dashed}-remaining"] = str(bucket.remaining)
            headers[f"anthropic-ratelimit-{dashed}-reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers


def openai_charge(text: str, max_tokens: int) -> int:
    """What OpenAI takes from `tokens` for a request, as its guide to rate limits describes it: the larger of `max_tokens` and a quarter of
    the prompt's characters."""
    return max(max_tokens, len(text) // 4)
