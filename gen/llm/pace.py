"""How fast requests may leave for one endpoint: leaky buckets for requests and tokens, pure arithmetic over a clock's readings.

A bucket holds a fifth of a second's worth, so requests leave evenly instead of in a burst per period. Limits come from the recipe or
are learned: from the reply's headers where they state a refill, else from what got through before a 429. A stated limit that is answered
by 429s all the same (somebody else shares the key) is scaled down and recovers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from gen.llm.limits import Kind, Limit

# A limiter counts arrivals, and the network bunches them a little: 0.5 % below the limit keeps clear of it.
_SAFETY = 0.995
_BURST_SECONDS = 0.2  # what a busy moment of this process may be late by without losing its share

# Correcting a stated limit, and learning one that nobody states, from the 429s alone.
_WINDOW = 256  # outcomes looked at: at chance refusals of 5 %, ten in a hundred of so many are met once in ten thousand windows
_LEARN_FROM = 10  # so many 429s and so many replies must be among them
_LEARN_SHARE = 0.1  # 429s among the outcomes below which they are taken for chance
_CALM_SHARE = 0.05  # a correction that never brings the share below this was none: it is no rate that is refused
_EPISODE_SECONDS = 1.0  # 429s within this time after a correction are no news
_GIVE_UP_SECONDS = 60.0  # for so long nothing is corrected where corrections did not help
_BELOW_SERVED = 0.98  # of what got through: the corrected rate, so that the allowance can recover
_LOWEST_FACTOR = 0.1
_DEAF_SECONDS = 30.0  # how long headers are not believed after 429s have proved them wrong
_GROW_EVERY_SECONDS = 1.0
_GROWTH_PER_SECOND = 0.01  # of a corrected rate; times the seconds since over five, so that an old correction is soon outgrown
_GROWTH_AGE_SECONDS = 5.0

_LONG_PAUSE_SECONDS = 2.0  # a wait that is meant for everybody, not for one request
_CROWD_WEIGHT = 1 / 8  # of each outcome in the running share of 429s; above
_CROWD = 0.4  # everybody waits


class Bucket:
    """A leaky bucket: `rate` per second flows in, up to `capacity`; taking may leave it in debt, which must be paid off first."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.level = self.capacity
        self._at = now

    @property
    def capacity(self) -> float:
        return max(1.0, self.rate * _BURST_SECONDS)

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


class Recent:
    """The last outcomes since a correction."""

    def __init__(self, now: float) -> None:
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_WINDOW)
        self._began = now
        self.refused = 0

    def add(self, now: float, *, refused: bool) -> None:
        """Count an outcome; the oldest goes."""
        if len(self._outcomes) == _WINDOW:
            self._began, was_refused = self._outcomes.popleft()
            self.refused -= was_refused
        self._outcomes.append((now, refused))
        self.refused += refused

    @property
    def served(self) -> int:
        return len(self._outcomes) - self.refused

    @property
    def share(self) -> float:
        """429s among the outcomes."""
        return self.refused / max(1, len(self._outcomes))

    def served_per_second(self, now: float) -> float:
        """The rate that got through."""
        return self.served / max(now - self._began, 1e-3)


class Pace:
    """The rates of one endpoint. `stated` are limits per minute from the recipe, by kind; the others are learned."""

    def __init__(self, stated: dict[Kind, float], now: float) -> None:
        self._stated = {kind: per_minute / 60 * _SAFETY for kind, per_minute in stated.items()}
        self._buckets = {kind: Bucket(rate, now) for kind, rate in self._stated.items()}
        self._factor = 1.0
        self._paused_until = float("-inf")
        self._correct_again_at = float("-inf")
        self._corrected_at = now
        self._deaf_until = float("-inf")
        self._calmed = True
        self._grown_at = now
        self._crowd = 0.0
        self._recent = Recent(now)

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
        self._crowd -= _CROWD_WEIGHT * self._crowd
        self._recent.add(now, refused=False)
        if not self._calmed and self._recent.share < _CALM_SHARE and self._recent.served >= _LEARN_FROM:
            self._calmed = True

    def limited(self, now: float, retry_after: float) -> None:
        """A 429 that asks to wait `retry_after` seconds (0 when it asks nothing).

        All requests wait when the wait is long or most are refused; else only the refused one does, which is the retry's business.
        When they are too many, the rate is corrected to what got through; the 429s of one episode count once.
        """
        self._recent.add(now, refused=True)
        self._crowd += _CROWD_WEIGHT * (1.0 - self._crowd)
        if retry_after >= _LONG_PAUSE_SECONDS or self._crowd >= _CROWD:
            self._paused_until = max(self._paused_until, now + retry_after)
        recent = self._recent
        if now < self._correct_again_at or min(recent.served, recent.refused) < _LEARN_FROM or recent.share < _LEARN_SHARE:
            return
        if self._calmed:
            self._correct(recent.served_per_second(now), now)
        else:
            self._give_up(now)
        self._recent = Recent(now)

    def _correct(self, rate: float, now: float) -> None:
        """Take the rate that got through for the limit. Before the first 429 it may hold a saved-up allowance, so that a second correction
        has to follow; only from then on can it be measured by whether it brought calm."""
        stated = self._stated.get("requests")
        first = "requests" not in self._buckets if stated is None else self._factor == 1.0
        rate *= 1.0 if first else _BELOW_SERVED
        self._calmed = first
        if stated is None:
            self._learn("requests", rate, now)
        else:
            self._factor = min(_BELOW_SERVED, max(_LOWEST_FACTOR, rate / stated))
            self._rescale(now)
        self._corrected_at, self._correct_again_at, self._deaf_until = now, now + _EPISODE_SECONDS, now + _DEAF_SECONDS

    def _give_up(self, now: float) -> None:
        """Slowing down did not help: back to the stated rate, or to none."""
        self._factor, self._calmed, self._correct_again_at = 1.0, True, now + _GIVE_UP_SECONDS
        self._rescale(now)
        if "requests" not in self._stated:
            self._buckets.pop("requests", None)

    def heard(self, told: Iterable[Limit], now: float) -> None:
        """What a reply's headers say. A kind that the recipe states keeps its rate; the others learn theirs once the headers show it.

        While plenty remains, nothing is paced: a fresh allowance may be used at once. It is when less than a tenth remains.
        """
        for limit in told:
            rate = limit.per_second
            if limit.kind in self._stated or rate is None or (limit.kind == "requests" and now < self._deaf_until):
                continue
            if limit.remaining <= 0.1 * limit.limit:
                self._learn(limit.kind, rate * _SAFETY, now)
            elif limit.remaining > 0.5 * limit.limit:
                self._buckets.pop(limit.kind, None)

    def _learn(self, kind: Kind, rate: float, now: float) -> None:
        bucket = self._buckets.get(kind)
        if bucket is None:
            self._buckets[kind] = Bucket(rate, now)
        else:
            bucket.set_rate(rate, now)
        self._grown_at = self._corrected_at = now

    def _grow(self, now: float) -> None:
        """Learned rates probe upwards, corrected ones recover, second by second."""
        seconds = now - self._grown_at
        if seconds < _GROW_EVERY_SECONDS:
            return
        self._grown_at = now
        growth = 1.0 + seconds * _GROWTH_PER_SECOND * max(1.0, (now - self._corrected_at) / _GROWTH_AGE_SECONDS)
        if self._factor < 1.0:
            self._factor = min(1.0, self._factor * growth)
            self._rescale(now)
        for kind, bucket in self._buckets.items():
            if kind not in self._stated:
                bucket.set_rate(bucket.rate * growth, now)

    def _rescale(self, now: float) -> None:
        for kind, rate in self._stated.items():
            self._buckets[kind].set_rate(rate * self._factor, now)
