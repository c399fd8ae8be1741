"""Requests and tokens per minute as buckets that fill evenly, and the headers in which the real services report them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Limits:
    """The buckets that a simulator enforces, each None where no limit is set."""

    requests: Bucket | None
    tokens: Bucket | None

    def admit(self, tokens: int) -> tuple[str, float]:
        """Takes one request of `tokens`: ("", 0), or which limit is in the way ("requests", "tokens") and for how many seconds."""
        waits = [
            (name, bucket.wait_for(need))
            for name, bucket, need in (("requests", self.requests, 1), ("tokens", self.tokens, tokens))
            if bucket is not None
        ]
        name, seconds = max(waits, key=lambda wait: wait[1], default=("", 0.0))
        if seconds > 0:
            return name, seconds
        if self.requests is not None:
            self.requests.take(1)
        if self.tokens is not None:
            self.tokens.take(tokens)
        return "", 0.0

    def give_back(self, tokens: int) -> None:
        """Returns tokens that were reserved and not used."""
        if self.tokens is not None:
            self.tokens.take(-tokens)

    def openai_headers(self) -> dict[str, str]:
        """x-ratelimit-limit-…, -remaining-… and -reset-… (a duration such as 120ms) for each limit that is set."""
        headers: dict[str, str] = {}
        for name, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket is not None:
                headers[f"x-ratelimit-limit-{name}"] = f"{bucket.per_minute:.0f}"
                headers[f"x-ratelimit-remaining-{name}"] = str(bucket.remaining)
                headers[f"x-ratelimit-reset-{name}"] = f"{bucket.seconds_to_full * 1000:.0f}ms"
        return headers

    def anthropic_headers(self) -> dict[str, str]:
        """anthropic-ratelimit-…-limit, -remaining and -reset (a point in time as RFC 3339) for each limit that is set."""
        headers: dict[str, str] = {}
        for name, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket is not None:
                reset = datetime.now(UTC) + timedelta(seconds=bucket.seconds_to_full)
                headers[f"anthropic-ratelimit-{name}-limit"] = f"{bucket.per_minute:.0f}"
                headers[f"anthropic-ratelimit-{name}-remaining"] = str(bucket.remaining)
                headers[f"anthropic-ratelimit-{name}-reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers
