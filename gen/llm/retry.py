"""When a failed attempt is made again.

Unavailable: up to seven attempts with full jitter (each wait drawn evenly between 0 and a bound that doubles), or as long as the service
asks. RateLimited: as often as it takes, without spending an attempt, each time after as long as the service asks; only the total is
capped. That the other calls of the endpoint slow down too is admission's business. Everything else is final.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from gen.errors import ProviderError, RateLimited, Unavailable
from gen.llm.clock import Clock

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on. `attempts` and `total_seconds` bound Unavailable, `rate_limited_seconds` all waiting for rate limits; the
    n-th wait is drawn from 0 to `first_wait_seconds` × 2ⁿ, at most `longest_wait_seconds`. `landing_seconds` is how long a client that is
    being closed waits for replies that are on the wire, and so paid for."""

    attempts: int = 7
    total_seconds: float = 900.0
    rate_limited_seconds: float = 1800.0
    first_wait_seconds: float = 0.25
    longest_wait_seconds: float = 30.0
    landing_seconds: float = 10.0


async def retrying(
    attempt: Callable[[], Coroutine[None, None, Result]],
    *,
    patience: Patience,
    clock: Clock,
    rng: random.Random,
    on_retry: Callable[[ProviderError], None],
) -> Result:
    """The first result that `attempt`, an async function, brings. Raises its last error when patience ends, and any final error at once."""
    try:
        return await attempt()  # most calls need no retrying: tenacity costs a tenth of a whole call
    except (Unavailable, RateLimited) as error:
        first: ProviderError | None = error
    state = _State(patience, clock, rng)

    async def next_attempt() -> Result:
        nonlocal first
        if first is not None:
            failed, first = first, None
            raise failed
        return await attempt()

    def before_sleep(call: RetryCallState) -> None:
        error = _error(call)
        if isinstance(error, ProviderError):
            on_retry(error)

    retries = AsyncRetrying(
        sleep=clock.sleep,
        stop=state.stop,
        wait=state.wait,
        retry=retry_if_exception_type((Unavailable, RateLimited)),
        before_sleep=before_sleep,
        reraise=True,
    )
    result: Result = await retries(next_attempt)
    return result


class _State:
    """Counts of one call: failures that spent an attempt, and when it first failed in either way."""

    def __init__(self, patience: Patience, clock: Clock, rng: random.Random) -> None:
        self._patience, self._clock, self._rng = patience, clock, rng
        self._failures = self._refusals = 0
        self._failing_since: float | None = None
        self._limited_since: float | None = None

    def stop(self, call: RetryCallState) -> bool:
        now = self._clock.monotonic()
        if isinstance(_error(call), RateLimited):
            self._refusals += 1
            self._limited_since = now if self._limited_since is None else self._limited_since
            return now - self._limited_since >= self._patience.rate_limited_seconds
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        return self._failures >= self._patience.attempts or now - self._failing_since >= self._patience.total_seconds

    def wait(self, call: RetryCallState) -> float:
        error = _error(call)
        limited = isinstance(error, RateLimited)
        number = self._refusals if limited else self._failures
        bound = min(self._patience.longest_wait_seconds, self._patience.first_wait_seconds * 2.0 ** min(number - 1, 30))
        asked = error.retry_after_seconds if isinstance(error, RateLimited | Unavailable) else None
        if asked is None:
            return self._rng.uniform(0.0, bound)
        longest = self._patience.rate_limited_seconds if limited else self._patience.total_seconds
        return min(asked, longest) * self._rng.uniform(1.0, 1.1)  # not all at the same moment


def _error(call: RetryCallState) -> BaseException | None:
    return call.outcome.exception() if call.outcome is not None else None
