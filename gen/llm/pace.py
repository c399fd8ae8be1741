"""How fast requests may leave for one endpoint: three sources of limits side by side, pure arithmetic over a clock's readings.

Stated in the recipe: a bucket of a fifth of a second's worth, so that requests leave evenly instead of in a burst per period. Told by
the headers of replies: steered by what is left (`told`); where the headers tell a limit no higher than the stated one, they are the truth
about what a call takes of it. Found from 429s where neither is enough (`ceiling`). A request leaves when all of them let it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gen.llm.bucket import Bucket
from gen.llm.ceiling import Ceiling
from gen.llm.forecast import Amounts
from gen.llm.limits import Kind, Limit
from gen.llm.told import Told

# A limiter counts arrivals, and the network bunches them a little: 0.5 % below the limit keeps clear of it.
_SAFETY = 0.995
_BURST_SECONDS = 0.2  # what a busy moment of this process may be late by without losing its share
_FOUND_BURST_SECONDS = 0.1  # the same where the service's own allowance is used up
_RETURNED_SECONDS = 1.0  # of a rate: what replies shorter than expected may give back at most

_FIRST_PER_SECOND = 300.0  # until the first answer, where nothing is known: a refusal of the first ones is heard before all have left
_FIRST_AT_ONCE = 4.0
_LONG_PAUSE_SECONDS = 2.0  # a wait that is meant for everybody, not for one request
_CROWD_WEIGHT = 1 / 8  # of each outcome in the running share of 429s; above
_CROWD = 0.4  # everybody waits
_SEARCH_PAUSE_SECONDS = 0.1  # what everybody waits at most for a 429 that corrects the rate
_DELAY_WEIGHT = 1 / 16  # of each reply in the running mean of latencies
_SAME = 1.01  # a told limit up to this far above the stated one is that one


class Pace:
    """The rates of one endpoint. `stated` are limits per minute from the recipe, by kind; the others are learned."""

    def __init__(self, stated: Mapping[Kind, float], now: float) -> None:
        self._stated = {kind: per_minute / 60 for kind, per_minute in stated.items()}
        self._buckets = {kind: _full(kind, rate * _SAFETY, now) for kind, rate in self._stated.items()}
        self._told: dict[Kind, Told] = {}
        self._ceiling = Ceiling()
        self._found: Bucket | None = None
        self._first: Bucket | None = Bucket(_FIRST_PER_SECOND, now, burst_seconds=_FIRST_AT_ONCE / _FIRST_PER_SECOND, level=_FIRST_AT_ONCE)
        self._paused_until = float("-inf")
        self._crowd = 0.0
        self._delay = 0.0

    @property
    def known(self) -> bool:
        """Whether any rate bounds what leaves, so that nothing needs to be felt out by concurrency."""
        return bool(self._buckets) or self._found is not None or any(told.bucket is not None for told in self._told.values())

    def wait(self, amounts: Amounts, now: float) -> float:
        """Seconds until a request of these amounts may leave; 0 when it may now."""
        wait = max(0.0, self._paused_until - now)
        for kind, bucket in self._buckets.items():
            wait = max(wait, bucket.wait(amounts[kind], now))
        for kind, told in self._told.items():
            wait = max(wait, told.wait(amounts[kind], now))
        for first in (self._first, self._found):
            if first is not None:
                wait = max(wait, first.wait(1.0, now))
        return wait

    def take(self, amounts: Amounts, now: float) -> int:
        """A request of these amounts leaves: its number, by which a 429 names it."""
        for kind, bucket in self._buckets.items():
            bucket.take(amounts[kind])
        for kind, told in self._told.items():
            if told.bucket is not None:
                told.bucket.take(amounts[kind])
        if self._first is not None:
            self._first.take(1.0)
        number = self._ceiling.sent(now)
        if self._found is not None:
            self._found.take(1.0)
            self._follow_ceiling(now)
        return number

    def settle(self, estimated: Amounts, actual: Amounts) -> None:
        """A reply told the true amounts: the difference goes back, or is owed."""
        for kind, bucket in self._active():
            bucket.give_back(estimated[kind] - actual[kind], most=bucket.rate * _RETURNED_SECONDS)

    def served(self, sent: float, now: float) -> None:
        """A request that left then was let through by the endpoint, and answered now."""
        self._first = None
        self._ceiling.served()
        self._crowd -= _CROWD_WEIGHT * self._crowd
        self._delay += (_DELAY_WEIGHT if self._delay else 1.0) * (now - sent - self._delay)

    def limited(self, number: int, sent: float, now: float, retry_after: float) -> None:
        """A 429 to the request of this number, which left then, asks to wait `retry_after` seconds (0 when it asks nothing).

        All requests wait when the wait is long or most are refused; else only the refused one does, which is the retry's business.
        """
        self._crowd += _CROWD_WEIGHT * (1.0 - self._crowd)
        pause = 0.0
        changed = self._ceiling.refused(number, sent, now, retry_after)
        self._follow_ceiling(now)
        if changed:
            pause = min(retry_after, _SEARCH_PAUSE_SECONDS)
        if retry_after >= _LONG_PAUSE_SECONDS or self._crowd >= _CROWD:
            pause = retry_after
        if pause > 0:
            self._paused_until = max(self._paused_until, now + pause)

    def heard(self, told: Iterable[Limit], now: float) -> None:
        """What a reply's headers say. A limit above the stated one is none for us; a request counts one everywhere, so there nothing is
        to be steered either."""
        for limit in told:
            stated = self._stated.get(limit.kind)
            if stated is not None and (limit.kind == "requests" or limit.limit / 60 > _SAME * stated):
                continue
            if (known := self._told.get(limit.kind)) is None:
                known = self._told[limit.kind] = Told(now)
            known.heard(limit, now, self._delay)
            if known.bucket is not None:
                self._buckets.pop(limit.kind, None)

    def _follow_ceiling(self, now: float) -> None:
        rate = self._ceiling.rate
        if rate is None:
            self._found = None
        elif self._found is None:
            self._found = Bucket(rate, now, burst_seconds=_FOUND_BURST_SECONDS)
        else:
            self._found.set_rate(rate, now)

    def _active(self) -> list[tuple[Kind, Bucket]]:
        told = [(kind, told.bucket) for kind, told in self._told.items() if told.bucket is not None]
        return [*self._buckets.items(), *told]


def _full(kind: Kind, rate: float, now: float) -> Bucket:
    """A stated bucket: tokens may be taken at once, requests one after the other."""
    return Bucket(rate, now, burst_seconds=_BURST_SECONDS, level=1.0 if kind == "requests" else max(1.0, rate * _BURST_SECONDS))
