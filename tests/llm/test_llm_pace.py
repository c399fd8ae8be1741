from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque

import pytest

from gen.llm.forecast import Amounts
from gen.llm.limits import Limit
from gen.llm.pace import Pace
from gen.llm.slots import Slots

ONE: Amounts = {"requests": 1.0, "tokens": 100.0, "input_tokens": 60.0, "output_tokens": 40.0, "asked": 100.0}


def leave(pace: Pace, seconds: float, start: float = 0.0) -> list[float]:
    """When requests leave if they always want to."""
    now, times = start, []
    while now < start + seconds:
        wait = pace.wait(ONE, now)
        if wait > 0:
            now += wait
            continue
        pace.take(ONE, now)
        times.append(now)
    return times


def test_a_stated_rate_is_used_to_the_full_and_never_passed() -> None:
    times = leave(Pace({"requests": 6000}, 0.0), 20.0)
    assert 0.98 * 2000 <= len(times) <= 2000 + 20


def test_requests_leave_evenly() -> None:
    times = [at for at in leave(Pace({"requests": 600}, 0.0), 20.0) if at > 1.0]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) < 0.102


def test_tokens_bound_the_rate_too() -> None:
    times = leave(Pace({"requests": 6000, "tokens": 60_000}, 0.0), 10.0)
    assert 95 <= len(times) <= 105


def test_a_request_larger_than_the_bucket_leaves_all_the_same() -> None:
    pace = Pace({"output_tokens": 60}, 0.0)
    assert len(leave(pace, 81.0)) >= 2


def test_tokens_that_were_not_needed_are_given_back() -> None:
    pace = Pace({"tokens": 6000}, 0.0)
    pace.take(ONE, 0.0)
    assert pace.wait(ONE, 0.0) > 0
    pace.settle(ONE, {**ONE, "tokens": 5.0})
    assert pace.wait({**ONE, "tokens": 5.0}, 0.0) == 0


def test_a_long_retry_after_pauses_everybody() -> None:
    pace = Pace({}, 0.0)
    pace.limited(1, 10.0, 10.0, 20.0)
    assert pace.wait(ONE, 10.0) == 20.0


def test_a_short_retry_after_of_one_request_pauses_nobody_else() -> None:
    pace = Pace({}, 0.0)
    for _ in range(20):
        pace.served(8.9, 9.0)
    pace.limited(21, 10.0, 10.0, 0.05)
    assert pace.wait(ONE, 10.0) == 0


def test_a_low_allowance_in_the_headers_sets_the_pace() -> None:
    pace = Pace({}, 0.0)
    pace.heard([Limit("requests", 600.0, 590.0, 1.0)], 0.0)
    assert pace.wait(ONE, 0.0) == 0
    pace.heard([Limit("requests", 600.0, 30.0, 57.0)], 0.0)
    assert 95 <= len(leave(pace, 10.0)) <= 110


def test_a_stated_limit_that_is_too_high_is_corrected() -> None:
    pace, now, level, at, served, refused = Pace({"requests": 18_000}, 0.0), 0.0, 100.0, 0.0, 0, 0
    while now < 60.0:
        wait = pace.wait(ONE, now)
        if wait > 0:
            now += wait
            continue
        number = pace.take(ONE, now)
        level, at = min(100.0, level + (now - at) * 100.0), now
        if level >= 1:
            level, served = level - 1, served + 1
            pace.served(now, now)
        else:
            refused += 1
            pace.limited(number, now, now, 0.01)
    assert served >= 0.98 * 6000
    assert refused <= 0.01 * served


def test_headers_above_the_stated_limit_change_nothing() -> None:
    pace = Pace({"tokens": 6000}, 0.0)
    pace.heard([Limit("tokens", 60_000.0, 60_000.0, 0.0)], 0.0)
    assert 9 <= len(leave(pace, 10.0)) <= 12


def test_headers_that_show_tokens_left_speed_a_cautious_estimate_up() -> None:
    """The service counts a quarter of what is estimated, and says so by what remains."""
    pace, now, left, at, sent = Pace({}, 0.0), 0.0, 1000.0, 0.0, 0
    while now < 60.0:
        left, at = min(1000.0, left + (now - at) * 1000.0), now
        pace.heard([Limit("tokens", 60_000.0, left, (1000.0 - left) / 1000.0 + 0.001)], now)
        wait = pace.wait(ONE, now)
        if wait > 0:
            now += min(wait, 0.05)
            continue
        pace.take(ONE, now)
        left, sent = left - 25.0, sent + (now >= 30.0)
    assert sent >= 0.95 * 30 * 40


def fill(slots: Slots, replies: int, now: float, latency: float) -> float:
    """`replies` come in at a full house."""
    for _ in range(replies):
        now += latency / slots.limit
        slots.succeeded(now - latency, now, slots.limit)
    return now


def test_a_known_rate_ends_the_slow_start() -> None:
    slots = Slots(500)
    slots.open()
    assert slots.limit == 500


def test_slots_double_each_round_at_first() -> None:
    slots = Slots(1000)
    fill(slots, 32, 0.0, 1.0)
    assert slots.limit == 64


def test_an_overloaded_service_takes_slots_once_per_episode() -> None:
    slots = Slots(100)
    now = fill(slots, 100, 0.0, 1.0)
    for _ in range(40):
        slots.overloaded(now - 0.5, now)
    assert slots.limit == 70
    slots.overloaded(now - 0.1, now + 1)
    assert slots.limit == 70


def test_slots_come_back_one_per_round_after_an_overload() -> None:
    slots = Slots(100)
    now = fill(slots, 100, 0.0, 1.0)
    for _ in range(6):
        slots.overloaded(now, now)
    before = slots.limit
    fill(slots, 3 * before, now, 1.0)
    assert before < slots.limit <= before + 3


def test_a_single_failure_takes_no_slot() -> None:
    slots = Slots(100)
    now = fill(slots, 100, 0.0, 1.0)
    slots.overloaded(now, now)
    assert slots.limit == 100


def test_latency_that_buys_nothing_takes_slots() -> None:
    slots = Slots(64)
    now = fill(slots, 300, 0.0, 0.2)
    for _ in range(300):
        now += 0.01
        slots.succeeded(now - 2.0, now, slots.limit)
    assert slots.limit < 64


def test_slots_that_are_not_used_do_not_grow() -> None:
    slots = Slots(100)
    for number in range(50):
        slots.succeeded(float(number), number + 0.5, 3)
    assert slots.limit == 32


@pytest.mark.parametrize("servers", [10, 40, 100])
def test_a_saturated_server_that_refuses_nobody_is_kept_busy_without_a_queue_as_long_as_allowed(servers: int) -> None:
    """It answers so many at once and queues the rest: the best throughput is that of so many in flight."""
    rng, slots, now, queue, replies, flying, done = random.Random(3), Slots(500), 0.0, deque[float](), list[tuple[float, float]](), 0, 0
    while now < 300.0:
        while flying < slots.limit:
            queue.append(now)
            flying += 1
        while queue and len(replies) < servers:
            heapq.heappush(replies, (now + rng.lognormvariate(0, 0.3), queue.popleft()))
        now, sent = heapq.heappop(replies)
        slots.succeeded(sent, now, flying)
        flying, done = flying - 1, done + 1
    assert done / 300.0 >= 0.95 * servers / math.exp(0.3**2 / 2)
    assert slots.limit < 500


def test_a_service_that_became_three_times_slower_by_itself_keeps_its_slots() -> None:
    slots = Slots(64)
    now = fill(slots, 600, 0.0, 1.0)
    assert slots.limit == 64
    now = fill(slots, 3000, now, 3.0)
    assert slots.limit >= 48
