from __future__ import annotations

import itertools

from gen.llm.limits import Kind, Limit
from gen.llm.pace import Pace
from gen.llm.slots import Slots

ONE: dict[Kind, float] = {"requests": 1.0, "tokens": 100.0, "input_tokens": 60.0, "output_tokens": 40.0}


def leave(pace: Pace, seconds: float, start: float = 0.0) -> list[float]:
    """When requests leave if they always want to."""
    now, times = start, []
    while now < start + seconds:
        wait = pace.wait(ONE, now)
        if wait > 0:
            now += wait
            continue
        pace.take(ONE)
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
    pace.take(ONE)
    assert pace.wait(ONE, 0.0) > 0
    pace.settle(ONE, {**ONE, "tokens": 5.0})
    assert pace.wait({**ONE, "tokens": 5.0}, 0.0) == 0


def test_a_long_retry_after_pauses_everybody() -> None:
    pace = Pace({}, 0.0)
    pace.limited(10.0, 20.0)
    assert pace.wait(ONE, 10.0) == 20.0


def test_a_short_retry_after_of_one_request_pauses_nobody_else() -> None:
    pace = Pace({}, 0.0)
    for _ in range(20):
        pace.served(9.0)
    pace.limited(10.0, 0.05)
    assert pace.wait(ONE, 10.0) == 0


def test_a_low_allowance_in_the_headers_sets_the_pace() -> None:
    pace = Pace({}, 0.0)
    pace.heard([Limit("requests", 600.0, 590.0, 1.0)], 0.0)
    assert pace.wait(ONE, 0.0) == 0
    pace.heard([Limit("requests", 600.0, 30.0, 57.0)], 0.0)
    assert 95 <= len(leave(pace, 10.0)) <= 110


def simulate(pace: Pace, limit_per_second: float, seconds: float, demand: float = 300.0) -> tuple[int, int]:
    """Served and refused by a limiter with a bucket of one second, for a client that would send `demand` per second."""
    level, at, now, served, refused = limit_per_second, 0.0, 0.0, 0, 0
    while now < seconds:
        wait = pace.wait(ONE, now)
        if wait > 0:
            now += wait
            continue
        pace.take(ONE)
        level, at = min(limit_per_second, level + (now - at) * limit_per_second), now
        if level >= 1:
            level -= 1
            served += 1
            pace.served(now)
        else:
            refused += 1
            pace.limited(now, 0.01)
        now += 1 / demand
    return served, refused


def test_a_limit_that_nobody_states_is_learned_from_the_429s() -> None:
    served, refused = simulate(Pace({}, 0.0), 100.0, 60.0)
    assert served >= 0.97 * 6000
    assert refused <= 0.2 * served


def test_a_stated_limit_that_is_too_high_is_corrected() -> None:
    served, refused = simulate(Pace({"requests": 18_000}, 0.0), 100.0, 60.0)
    assert served >= 0.95 * 6000
    assert refused <= 0.2 * served


def test_429s_by_chance_do_not_slow_the_run_down() -> None:
    pace = Pace({}, 0.0)
    sent, now = 0, 0.0
    while now < 60.0:
        wait = pace.wait(ONE, now)
        if wait > 0:
            now += wait
            continue
        pace.take(ONE)
        sent += 1
        pace.limited(now, 0.01) if sent % 5 == 0 else pace.served(now)
        now += 1 / 300
    assert sent >= 0.85 * 60 * 300


def fill(slots: Slots, replies: int, now: float, latency: float) -> float:
    """`replies` come in at a full house."""
    for _ in range(replies):
        now += latency / slots.limit
        slots.succeeded(now - latency, now, slots.limit)
    return now


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
