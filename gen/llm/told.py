"""Follows a limit that replies tell in their headers: keeps the service's bucket low, but not empty.

The headers say how fast the bucket fills and what is left in it. What a call takes from it is known less well (one service counts what
may be written, another what was written), and others may drink from it too. So the pace is steered by what is left, as a control loop:
in proportion to the distance from a quarter, with a slow integral that learns what the proportion cannot hold.
"""

from __future__ import annotations

import math

from gen.llm.bucket import Bucket
from gen.llm.limits import Limit

_TARGET = 0.25  # of the bucket: enough for what is on its way unseen, little enough to lose nothing
_PLENTY = 0.5  # above, and with `_PLENTY_SECONDS` worth of refill, nothing is paced: a fresh allowance may be used at once
_PLENTY_SECONDS = 5.0
_GAIN = 2.0
_DELAY_GAIN = 0.5  # gain × refill × delay / bucket stays below this third of the loop's stability bound (pi / 2)
_SLOWEST, _FASTEST = 0.2, 8.0  # bounds of what the integral may learn
_SLOWNESS = 16.0  # of the integral; at 4 the loop would be critically damped
_LOWEST, _HIGHEST = 0.1, 1.5
_SAFETY = 0.995
_SIZE_KNOWN = 8  # replies until the most that was ever left is taken for the bucket's size
_BURST_SECONDS = 0.2


class Told:
    """One limit as the headers tell it, in units of its kind per second."""

    def __init__(self, now: float) -> None:
        self.rate = 0.0
        self.bucket: Bucket | None = None
        self._limit = self._capacity = 0.0
        self._learned = 0.0  # logarithm of the factor
        self._heard = 0
        self._heard_at = now
        self._bound_at = float("-inf")

    def heard(self, told: Limit, now: float, delay: float) -> None:
        """Steer by one reply's headers; `delay` is the seconds between a request's sending and the news of what it left."""
        # A reset in whole seconds says nothing where the bucket fills faster: then the limit is one per minute.
        rate = told.per_second or (told.limit / 60 if told.remaining < told.limit else None)
        if told.limit != self._limit:
            self._limit, self._capacity, self._learned = told.limit, told.remaining, 0.0
        self._capacity = max(self._capacity, told.remaining, 1.0)
        if rate is not None:
            self.rate = rate
        if self.rate <= 0:
            return
        share = told.remaining / self._capacity
        if share > _PLENTY and told.remaining > _PLENTY_SECONDS * self.rate:
            self.bucket, self._learned = None, 0.0
            return
        self._heard += 1
        if self._heard < _SIZE_KNOWN:
            self._set(self.rate * _SAFETY, now)
            return
        gain = min(_GAIN, _DELAY_GAIN * self._capacity / (self.rate * max(delay, 1e-3)))
        if now - self._bound_at < 1.0:  # only where pacing is what held requests back
            pull = gain**2 * self.rate / (_SLOWNESS * self._capacity) * min(1.0, now - self._heard_at)
            self._learned = min(math.log(_FASTEST), max(math.log(_SLOWEST), self._learned + pull * (share - _TARGET)))
        self._heard_at = now
        steered = min(_HIGHEST, max(_LOWEST, 1.0 + gain * (share - _TARGET)))
        self._set(self.rate * math.exp(self._learned) * steered, now)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken."""
        if self.bucket is None:
            return 0.0
        wait = self.bucket.wait(amount, now)
        if wait > 0:
            self._bound_at = now
        return wait

    def _set(self, rate: float, now: float) -> None:
        burst = min(_BURST_SECONDS, _PLENTY * self._capacity / self.rate)
        if self.bucket is None:
            self.bucket = Bucket(rate, now, burst_seconds=burst)
        else:
            self.bucket.burst_seconds = burst
            self.bucket.set_rate(rate, now)
