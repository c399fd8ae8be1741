"""How fast requests may leave for one endpoint: leaky buckets for requests and tokens, pure arithmetic over a clock's readings.

A bucket holds a twentieth of a second's worth, so requests leave evenly instead of in a burst per period. Limits come from the recipe or
are learned: from the reply's headers where they state a refill, else from what got through before a 429. A stated limit that is answered
by 429s all the same (somebody else shares the key) is scaled down and recovers.
"""

from __future__ import annotations

from collections.abc import Iterable

from gen.llm.limits import Kind, Limit

# A limiter counts arrivals, and the network bunches them a little: 0.5 % below the limit keeps clear of it.
_SAFETY = 0.995
_BURST_SECONDS = 0.05
_CORRECTION = 0.95  # per episode of 429s despite a stated limit
_RECOVERY_PER_SECOND = 1.005
_EPISODE_SECONDS = 1.0  # 429s within a second are one piece of news
_LEARN_FROM = 10  # replies that must have come through before their rate says anything about a limit
_PROBE_PER_SECOND = 1.01  # a learned rate grows by 1 % a second until the next 429
_LOW_TOKENS = 1.0


class Bucket:
    """A leaky bucket: `rate` per second flows in, up to `capacity`; taking may leave it in debt, which must be paid off first."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.level = self.capacity
        self._at = now

    @property
    def capacity(self) -> float:
        return max(_LOW_TOKENS, self.rate * _BURST_SECONDS)

    def set_rate(self, rate: float, now: float) -> None:
        self.refill(now)
        self.rate = rate
        self.level = min(self.level, self.capacity)

    def refill(self, now: float) -> None:
        if now > self._at:
            self.level = min(self.capacity, self.level + (now - self._at) * self.rate)
            self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken; more than the capacity may be taken from a full bucket."""
        self.refill(now)
        missing = min(amount, self.capacity) - self.level
        return 0.0 if missing <= 1e-9 else missing / self.rate

    def take(self, amount: float) -> None:
        self.level -= amount


class Pace:
    """The rates of one endpoint. `stated` are limits per minute from the recipe, by kind; the others are learned."""

    def __init__(self, stated: dict[Kind, float], now: float) -> None:
        self._stated = {kind: per_minute / 60 * _SAFETY for kind, per_minute in stated.items()}
        self._buckets = {kind: Bucket(rate, now) for kind, rate in self._stated.items()}
        self._factor = 1.0
        self._paused_until = float("-inf")
        self._corrected_at = now
        self._grown_at = now
        self._served = 0
        self._served_since = now

    def wait(self, amounts: dict[Kind, float], now: float) -> float:
        """Seconds until a request of these amounts may leave; 0 when it may now."""
        paused = max(0.0, self._paused_until - now)
        if not self._buckets:
            return paused
        self._grow(now)
        return max(paused, *(bucket.wait(amounts[kind], now) for kind, bucket in self._buckets.items()))

    def take(self, amounts: dict[Kind, float]) -> None:
        """A request of these amounts leaves."""
        for kind, bucket in self._buckets.items():
            bucket.take(amounts[kind])

    def settle(self, estimated: dict[Kind, float], actual: dict[Kind, float]) -> None:
        """A reply told the true amounts: the difference goes back, or is owed."""
        for kind, bucket in self._buckets.items():
            bucket.level = min(bucket.capacity, bucket.level + estimated[kind] - actual[kind])

    def served(self, now: float) -> None:
        """A request was let through by the endpoint."""
        if self._served == 0:
            self._served_since = now
        self._served += 1

    def limited(self, now: float, retry_after: float, *, told: bool) -> None:
        """A 429: nothing leaves for `retry_after` seconds. Without headers that tell the limit (`told`), the rate that got through so far
        is taken for it; the 429s of one second count once."""
        self._paused_until = max(self._paused_until, now + retry_after)
        if now - self._corrected_at < _EPISODE_SECONDS and self._corrected_at > self._served_since:
            return
        if "requests" in self._stated:
            self._factor *= _CORRECTION
            self._rescale(now)
        elif not told and self._served >= _LEARN_FROM and now > self._served_since:
            self._learn("requests", self._served / (now - self._served_since), now)
        self._corrected_at = now
        self._served, self._served_since = 0, now

    def heard(self, told: Iterable[Limit], now: float) -> None:
        """What a reply's headers say. A kind that the recipe states keeps its rate; the others learn theirs once the headers show it.

        While plenty remains, nothing is paced: a fresh allowance may be used at once. It is when less than a tenth remains.
        """
        for limit in told:
            rate = limit.per_second
            if limit.kind in self._stated or rate is None:
                continue
            if limit.remaining <= 0.1 * limit.limit:
                self._learn(limit.kind, rate * _SAFETY, now)
            elif limit.remaining > 0.5 * limit.limit:
                self._buckets.pop(limit.kind, None)

    def _learn(self, kind: Kind, rate: float, now: float) -> None:
        bucket = self._buckets.get(kind)
        if bucket is None:
            self._buckets[kind] = Bucket(rate, now)
            self._grown_at = now
        else:
            bucket.set_rate(rate, now)

    def _grow(self, now: float) -> None:
        """Learned rates probe upwards, corrected ones recover, second by second."""
        seconds = now - self._grown_at
        if seconds < _EPISODE_SECONDS:
            return
        self._grown_at = now
        if self._factor < 1.0:
            self._factor = min(1.0, self._factor * _RECOVERY_PER_SECOND ** min(seconds, 600.0))
            self._rescale(now)
        for kind, bucket in self._buckets.items():
            if kind not in self._stated:
                bucket.set_rate(bucket.rate * _PROBE_PER_SECOND ** min(seconds, 600.0), now)

    def _rescale(self, now: float) -> None:
        for kind, rate in self._stated.items():
            self._buckets[kind].set_rate(rate * self._factor, now)
