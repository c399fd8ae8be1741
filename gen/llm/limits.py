"""Read what a reply's headers say about rate limits: pure functions from headers to numbers.

Known families: `retry-after` (seconds or an HTTP date), `retry-after-ms`; OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`
with durations such as `6m0s` or `120ms`; Anthropic's `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-…` with RFC 3339
dates. In both the reset says when the allowance will be full again, so `(limit − remaining) / reset` is the refill per second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Kind = Literal["requests", "tokens", "input_tokens", "output_tokens"]
KINDS: tuple[Kind, ...] = ("requests", "tokens", "input_tokens", "output_tokens")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)")
_MAX_HEADER = 64  # characters; longer values are no number of ours


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit as a reply states it: `limit` and `remaining` in requests or tokens, `reset_seconds` until the budget is full again."""

    kind: Kind
    limit: float
    remaining: float
    reset_seconds: float | None

    @property
    def per_second(self) -> float | None:
        """The refill rate, None where the reply says too little to know it. Never more than the limit spread over a minute: some services
        name a limit per minute and the reset of a smaller bucket; those that name one per day tell by the reset."""
        used = self.limit - self.remaining
        if self.reset_seconds is None or self.reset_seconds <= 0 or used <= 0:
            return None
        return min(used / self.reset_seconds, self.limit / 60)


def limits(headers: Mapping[str, str], wall: float) -> list[Limit]:
    """Every limit that the headers state completely; `wall` is the time now in seconds since 1970."""
    return list(_limits(headers, wall))


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds to wait as the reply asks, None when it does not. Without a `retry-after` the reset of a limit with nothing left counts.

    >>> retry_after({"retry-after-ms": "250", "retry-after": "1"}, 0.0)
    0.25
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    seconds = _number(asked)
    if seconds is None and asked:
        seconds = _until(asked, wall)
    if seconds is not None:
        return seconds
    exhausted = [limit.reset_seconds for limit in _limits(headers, wall) if limit.remaining < 1 and limit.reset_seconds is not None]
    return max(exhausted, default=None)


def duration(text: str) -> float | None:
    """Seconds in `1h2m3.5s`, `120ms` or a plain number; None for anything else.

    >>> duration("6m0s"), duration("120ms"), duration("2"), duration("soon")
    (360.0, 0.12, 2.0, None)
    """
    plain = _number(text)
    if plain is not None:
        return plain
    text = text.strip().lower()[:_MAX_HEADER]
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _limits(headers: Mapping[str, str], wall: float) -> Iterator[Limit]:
    for kind in KINDS:
        dashed = kind.replace("_", "-")
        for limit_name, remaining_name, reset_name in (
            (f"x-ratelimit-limit-{dashed}", f"x-ratelimit-remaining-{dashed}", f"x-ratelimit-reset-{dashed}"),
            (
                f"anthropic-ratelimit-{dashed}-limit",
                f"anthropic-ratelimit-{dashed}-remaining",
                f"anthropic-ratelimit-{dashed}-reset",
            ),
        ):
            limit, remaining = _number(headers.get(limit_name)), _number(headers.get(remaining_name))
            if limit is None or remaining is None or limit <= 0:
                continue
            reset = headers.get(reset_name)
            seconds = None if not reset else duration(reset)
            if seconds is None and reset:
                seconds = _until(reset, wall)
            yield Limit(kind, limit, remaining, seconds)


def _number(text: str | None) -> float | None:
    if not text or len(text) > _MAX_HEADER:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(text: str, wall: float) -> float | None:
    """Seconds from now to an HTTP or RFC 3339 date; a date in the past is 0."""
    text = text.strip()[:_MAX_HEADER]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
    if moment.tzinfo is None:
        return None
    return max(0.0, moment.timestamp() - wall)
