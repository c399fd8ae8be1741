from __future__ import annotations

import random
from typing import Any

import pytest

from gen.errors import ProviderError, RateLimited, RequestRejected, ServiceStopped, Unavailable
from gen.llm.retry import Patience, retrying
from gen.types import Response

PATIENCE = Patience()


async def run(outcomes: list[Any], time: Any, patience: Patience = PATIENCE) -> tuple[Response, list[ProviderError]]:
    retries: list[ProviderError] = []

    async def attempt() -> Response:
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return Response(text=outcome)

    reply = await retrying(attempt, patience=patience, clock=time.clock, rng=random.Random(1), on_retry=retries.append)
    return reply, retries


async def test_twelve_429s_spend_no_attempt(time: Any) -> None:
    reply, retries = await run([RateLimited("slow", retry_after_seconds=1.0)] * 12 + ["done"], time)
    assert (reply.text, len(retries)) == ("done", 12)
    assert all(1.0 <= slept <= 1.1 for slept in time.slept)


async def test_unavailable_gives_up_after_seven_attempts(time: Any) -> None:
    with pytest.raises(Unavailable, match="down"):
        await run([Unavailable("down")], time)
    assert len(time.slept) == 6


async def test_429s_between_failures_spend_no_attempt(time: Any) -> None:
    outcomes = [Unavailable("down"), RateLimited("slow")] * 5 + ["done"]
    reply, _ = await run(outcomes, time)
    assert reply.text == "done"


async def test_waits_are_drawn_below_a_doubling_bound(time: Any) -> None:
    with pytest.raises(Unavailable):
        await run([Unavailable("down")], time)
    assert all(slept <= 0.25 * 2**number for number, slept in enumerate(time.slept))
    assert len(set(time.slept)) == 6


async def test_retry_after_of_a_503_is_obeyed(time: Any) -> None:
    await run([Unavailable("down", retry_after_seconds=7.0), "done"], time)
    assert 7.0 <= time.slept[0] <= 7.7


@pytest.mark.parametrize("error", [RequestRejected("no"), ServiceStopped("no key")], ids=["rejected", "stopped"])
async def test_final_errors_are_not_retried(error: ProviderError, time: Any) -> None:
    with pytest.raises(type(error)):
        await run([error], time)
    assert time.slept == []


async def test_waiting_for_rate_limits_ends_after_its_cap(time: Any) -> None:
    with pytest.raises(RateLimited):
        await run([RateLimited("slow", retry_after_seconds=10.0)], time, Patience(rate_limited_seconds=60.0))
    assert sum(time.slept) <= 70.0
