from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from gen.errors import RateLimited
from gen.llm.forecast import Forecast
from gen.llm.rates import Admission
from gen.recipe import ModelLine
from gen.types import Usage

Line = Callable[..., ModelLine]
AMOUNTS = Forecast().amounts(400, 100)


async def test_later_steps_go_first_and_within_a_step_the_first_come(time: Any, line: Line) -> None:
    admission = Admission({"m": line(max_concurrency=1)}, time.clock)
    order: list[str] = []

    async def call(name: str, step: int) -> None:
        seat = admission.seat("m", step, AMOUNTS)
        await admission.enter(seat)
        order.append(name)
        await asyncio.sleep(0)
        admission.leave(seat, usage=Usage(1, 1))

    async with asyncio.TaskGroup() as group:
        for name, step in (("a0", 0), ("b0", 0), ("c1", 1), ("d2", 2), ("e1", 1)):
            group.create_task(call(name, step))
    assert order == ["a0", "d2", "c1", "e1", "b0"]


async def test_lines_that_share_an_endpoint_keep_their_own_concurrency(time: Any, line: Line) -> None:
    admission = Admission({"a": line(max_concurrency=1), "b": line(max_concurrency=2)}, time.clock)
    running = {"a": 0, "b": 0}
    most = {"a": 0, "b": 0}

    async def call(name: str) -> None:
        seat = admission.seat(name, 0, AMOUNTS)
        await admission.enter(seat)
        running[name] += 1
        most[name] = max(most[name], running[name])
        await asyncio.sleep(0)
        running[name] -= 1
        admission.leave(seat, usage=Usage(1, 1))

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(call("ab"[number % 2]))
    assert most == {"a": 1, "b": 2}


async def test_lines_that_share_an_endpoint_share_its_rate(time: Any, line: Line) -> None:
    admission = Admission({"a": line(requests_per_minute=600), "b": line(requests_per_minute=600)}, time.clock)
    began = time.now

    async def call(name: str) -> None:
        seat = admission.seat(name, 0, AMOUNTS)
        await admission.enter(seat)
        admission.leave(seat, usage=Usage(1, 1))

    async with asyncio.TaskGroup() as group:
        for number in range(102):
            group.create_task(call("ab"[number % 2]))
    assert 9.9 <= time.now - began <= 10.3


async def test_a_thousand_waiters_are_paced_by_one_task(time: Any, line: Line) -> None:
    admission = Admission({"m": line(requests_per_minute=6000, max_concurrency=1000)}, time.clock)

    async def call() -> None:
        seat = admission.seat("m", 0, AMOUNTS)
        await admission.enter(seat)
        admission.leave(seat, usage=Usage(1, 1))

    async with asyncio.TaskGroup() as group:
        for _ in range(1000):
            group.create_task(call())
    assert len(time.slept) <= 1100


async def test_a_cancelled_waiter_leaves_its_place_to_the_next(time: Any, line: Line) -> None:
    admission = Admission({"m": line(max_concurrency=1)}, time.clock)
    first, second, third = (admission.seat("m", 0, AMOUNTS) for _ in range(3))
    await admission.enter(first)
    waiting = asyncio.create_task(admission.enter(second))
    last = asyncio.create_task(admission.enter(third))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    admission.leave(first, usage=Usage(1, 1))
    await last
    assert admission.in_flight == 1


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_gives_the_slot_back(time: Any, line: Line) -> None:
    admission = Admission({"m": line(max_concurrency=1)}, time.clock)
    first, second = admission.seat("m", 0, AMOUNTS), admission.seat("m", 0, AMOUNTS)
    await admission.enter(first)
    waiting = asyncio.create_task(admission.enter(second))
    await asyncio.sleep(0)
    admission.leave(first, usage=Usage(1, 1))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert admission.in_flight == 0


async def test_a_refused_call_keeps_its_place(time: Any, line: Line) -> None:
    admission = Admission({"m": line(max_concurrency=1)}, time.clock)
    refused, other = admission.seat("m", 0, AMOUNTS), admission.seat("m", 0, AMOUNTS)
    await admission.enter(refused)
    waiting = asyncio.create_task(admission.enter(other))
    await asyncio.sleep(0)
    again = asyncio.create_task(_after_leaving(admission, refused))
    await asyncio.sleep(0)
    await waiting
    admission.leave(other, usage=Usage(1, 1))
    await again
    assert refused.order < other.order


async def _after_leaving(admission: Admission, seat: Any) -> None:
    admission.leave(seat, error=RateLimited("slow", retry_after_seconds=0.0))
    await admission.enter(seat)


async def test_a_retry_after_of_twenty_seconds_is_waited_for_by_all(time: Any, line: Line) -> None:
    admission = Admission({"m": line()}, time.clock)
    seat = admission.seat("m", 0, AMOUNTS)
    await admission.enter(seat)
    admission.leave(seat, error=RateLimited("slow", retry_after_seconds=20.0))
    began = time.now
    await admission.enter(admission.seat("m", 0, AMOUNTS))
    assert time.now - began == 20.0


async def test_headers_set_the_pace_where_the_recipe_says_nothing(time: Any, line: Line) -> None:
    admission = Admission({"m": line(max_concurrency=500)}, time.clock)
    admission.heard({"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "60s"})
    began = time.now
    for _ in range(52):
        seat = admission.seat("m", 0, AMOUNTS)
        await admission.enter(seat)
        admission.leave(seat, usage=Usage(1, 1))
    assert 4.5 <= time.now - began <= 5.5


def test_the_forecast_learns_from_replies() -> None:
    forecast = Forecast()
    for _ in range(100):
        forecast.learn(1000, Usage(500, 20))
    amounts = forecast.amounts(1000, 1024)
    assert round(amounts["input_tokens"]) == 500
    assert round(amounts["output_tokens"]) == 20


async def test_earlier_steps_do_not_starve_behind_a_chain_that_feeds_later_ones(time: Any, line: Line) -> None:
    admission = Admission({"m": line(requests_per_minute=6000, max_concurrency=4)}, time.clock)
    finished: list[int] = []

    async def chain(number: int) -> None:
        for step in range(3):
            seat = admission.seat("m", step, AMOUNTS)
            await admission.enter(seat)
            await asyncio.sleep(0)
            admission.leave(seat, usage=Usage(1, 1))
        finished.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(chain(number))
    assert sorted(finished) == list(range(100))
    assert all(abs(place - number) <= 8 for place, number in enumerate(finished))


async def test_waiters_leave_one_after_the_other_when_a_retry_after_ends(time: Any, line: Line) -> None:
    admission = Admission({"m": line(requests_per_minute=600, max_concurrency=64)}, time.clock)
    left: list[float] = []

    async def refused_then_served() -> None:
        seat = admission.seat("m", 0, AMOUNTS)
        await admission.enter(seat)
        admission.leave(seat, error=RateLimited("slow", retry_after_seconds=5.0))
        await admission.enter(seat)
        left.append(time.now)
        admission.leave(seat, usage=Usage(1, 1))

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(refused_then_served())
    gaps = [later - earlier for earlier, later in itertools.pairwise(left)]
    assert sum(gap < 0.09 for gap in gaps) <= 2


async def test_lines_count_tokens_as_their_service_does(time: Any, line: Line) -> None:
    """OpenAI takes what is asked for and returns nothing."""
    admission = Admission({"m": line(tokens_per_minute=60_000, max_concurrency=64)}, time.clock)
    began = time.now
    for _ in range(11):
        seat = admission.seat("m", 0, Forecast().amounts(400, 1000))
        await admission.enter(seat)
        admission.leave(seat, usage=Usage(10, 10))
    assert 9.0 <= time.now - began <= 11.0
