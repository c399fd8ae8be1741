"""The pace against a scripted service in virtual time: a bucket that refuses at once, and replies that come later."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gen.llm.forecast import Amounts
from gen.llm.limits import Kind, Limit
from gen.llm.pace import Pace

ONE: Amounts = {"requests": 1.0, "tokens": 1.0, "input_tokens": 1.0, "output_tokens": 1.0, "asked": 1.0}


@dataclass
class Outcome:
    """When requests were let through and refused."""

    served: list[float]
    refused: list[float]

    def share(self) -> float:
        return len(self.refused) / (len(self.served) + len(self.refused))

    def used(self, start: float, end: float, per_second: float) -> float:
        return sum(start <= at < end for at in self.served) / (end - start) / per_second


def constant(per_second: float) -> Callable[[float], float]:
    return lambda _: per_second


def run(
    rate: Callable[[float], float],
    seconds: float,
    *,
    stated: dict[Kind, float] | None = None,
    headers: bool = False,
    in_flight: int = 64,
    burst_seconds: float = 1.0,
    chance: float = 0.0,
) -> Outcome:
    """A client with always more to send and at most `in_flight` on the wire, at a service of `rate` requests per second."""
    rng, pace, outcome = random.Random(1), Pace(stated or {}, 0.0), Outcome([], [])
    level, filled_at, now, flying, slots = rate(0.0) * burst_seconds, 0.0, 0.0, 0, min(32, in_flight)
    events: list[tuple[float, int, str, int, float, float]] = []

    def post(at: float, what: str, number: int, sent: float, wait: float = 0.0) -> None:
        heapq.heappush(events, (at, rng.getrandbits(32), what, number, sent, wait))

    while now < seconds:
        wait = 0.0
        while flying < slots and (wait := pace.wait(ONE, now)) <= 0:
            post(now + 0.003 * rng.uniform(0.3, 0.8), "arrives", pace.take(ONE, now), now)
            flying += 1
        now = max(now, min(events[0][0] if events else now + 1, now + wait + 1e-9 if wait > 0 else float("inf")))
        while events and events[0][0] <= now:
            _, _, what, number, sent, asked = heapq.heappop(events)
            level, filled_at = min(max(1.0, rate(now) * burst_seconds), level + (now - filled_at) * rate(now)), now
            if what == "arrives" and (level < 1 or rng.random() < chance):
                outcome.refused.append(now)
                post(now + 0.001, "refused", number, sent, max(0.001, (1 - level) / rate(now)))
            elif what == "arrives":
                level -= 1
                outcome.served.append(now)
                post(now + 0.2 * rng.lognormvariate(0, 0.5), "served", number, sent)
            else:
                slots = in_flight if pace.known else min(in_flight, slots + (what == "served"))
                flying -= 1
                if what == "refused":
                    pace.limited(number, sent, now, asked)
                    continue
                pace.served(sent, now)
                if headers:
                    full = rate(now) * burst_seconds
                    pace.heard([Limit("requests", rate(now) * 60, float(int(max(0.0, level))), (full - level) / rate(now))], now)
    return outcome


@pytest.mark.parametrize("burst_seconds", [0.1, 1.0, 5.0])
@pytest.mark.parametrize(
    "how", [{"stated": {"requests": 6000.0}}, {"headers": True}, {}], ids=["stated in the recipe", "told in headers", "not told at all"]
)
def test_a_limit_is_used_to_98_percent_for_1_percent_of_429s(how: dict[str, object], burst_seconds: float) -> None:
    outcome = run(constant(100.0), 20.0, burst_seconds=burst_seconds, **how)  # type: ignore[arg-type]
    assert outcome.used(0.0, 20.0, 100.0) >= 0.98
    assert outcome.share() <= 0.01


@pytest.mark.parametrize("per_second", [10.0, 1000 / 60])
def test_finding_a_low_limit_takes_a_dozen_429s(per_second: float) -> None:
    outcome = run(constant(per_second), 60.0)
    assert outcome.used(0.0, 60.0, per_second) >= 0.98
    assert len(outcome.refused) <= 15


def test_a_found_limit_stays_within_its_budget_of_429s() -> None:
    outcome = run(constant(100.0), 120.0)
    later = [at for at in outcome.refused if at >= 20.0]
    assert outcome.used(20.0, 120.0, 100.0) >= 0.98
    assert len(later) <= 0.0075 * 10_000


def test_a_limit_that_falls_is_followed_at_once() -> None:
    outcome = run(lambda now: 100.0 if now < 30 else 50.0, 60.0)
    assert sum(30 <= at < 32 for at in outcome.refused) <= 10
    assert outcome.used(32.0, 60.0, 50.0) >= 0.98
    assert outcome.share() <= 0.01


def test_a_limit_that_doubles_is_found_within_a_quarter_of_a_minute() -> None:
    outcome = run(lambda now: 100.0 if now < 30 else 200.0, 60.0, in_flight=128)
    assert outcome.used(45.0, 60.0, 200.0) >= 0.98


def test_a_limit_that_doubles_in_the_headers_is_used_at_once() -> None:
    outcome = run(lambda now: 100.0 if now < 30 else 200.0, 60.0, in_flight=128, headers=True)
    assert outcome.used(32.0, 60.0, 200.0) >= 0.98
    assert outcome.share() <= 0.01


@pytest.mark.parametrize("chance", [0.01, 0.05, 0.2])
def test_refusals_by_chance_do_not_slow_a_run_down(chance: float) -> None:
    free = run(constant(10_000.0), 60.0)
    assert len(run(constant(10_000.0), 60.0, chance=chance).served) >= 0.85 * (1 - chance) * len(free.served)


def test_refusals_that_are_no_limit_never_slow_the_pace_to_a_crawl() -> None:
    """Every request is refused twelve times and told to come back at once: whatever is measured from that, it must not be a crawl."""
    pace, now, served = Pace({}, 0.0), 0.0, 0
    while served < 20 and now < 60.0:
        for _ in range(12):
            now += pace.wait(ONE, now) + 0.002
            pace.limited(pace.take(ONE, now), now, now + 0.001, 0.001)
        now += pace.wait(ONE, now) + 0.002
        pace.take(ONE, now)
        pace.served(now, now + 0.001)
        served += 1
    assert served == 20
    assert now < 20.0
