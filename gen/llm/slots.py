"""How many calls may be in flight at one endpoint: adapted to what it bears, pure arithmetic over outcomes.

Slow start (one more per reply, so the limit doubles each round) until the first sign of overload or the ceiling; then additive increase,
one more per round. When failures that look like overload (502, 503, 504, 529, timeouts) pass a share of the recent replies, the limit is
taken times 0.7, once per episode: replies to requests that were sent before the last decrease say nothing new. A few failures at random
are left to the retries: they would otherwise bring a healthy service down to one call at a time. Rising latency counts as overload when
it buys nothing: a window whose mean latency is twice that of the best window although no more replies came per second (a queue is
building up at the other end).
"""

from __future__ import annotations

_START = 32  # in flight at first; a single GPU bears that, a cloud doubles it within a round trip
_DECREASE = 0.7  # CUBIC's factor: a halved limit takes too long to come back at latencies of many seconds
_LATENCY_DECREASE = 0.85
_DISTRESS_WEIGHT = 1 / 32  # of each outcome in the running share of failures
_DISTRESS = 0.15  # six failures in a row, or about one in six for a while
_LATENCY_RATIO = 2.0
_THROUGHPUT_GAIN = 1.05  # a window that is no more than this faster has bought nothing
_MIN_WINDOW = 32  # replies in a latency window at least, so that one slow reply does not speak for all
_MAX_WINDOW = 128  # and at most, so that slow start does not run away before anyone looks
_FORGET = 1.02  # per window the best latency ages by this factor, so that a service that became slower is not throttled for ever


class Slots:
    """The adaptive limit of one endpoint."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = max(1, ceiling)
        self._limit = float(min(self.ceiling, _START))
        self._slow_start = True
        self._changed_at = float("-inf")
        self._distress = 0.0
        self._window_start: float | None = None
        self._latencies: list[float] = []
        self._best_latency = float("inf")
        self._best_throughput = 0.0

    @property
    def limit(self) -> int:
        """How many may be in flight now; at least 1."""
        return max(1, int(self._limit))

    def open(self) -> None:
        """Slow start is over without a sign of overload: a known rate bounds what leaves."""
        if self._slow_start:
            self._limit, self._slow_start = float(self.ceiling), False

    def succeeded(self, sent: float, now: float, in_flight: int) -> None:
        """A reply to a request sent at `sent`; `in_flight` calls were on the wire with it. An unused limit does not grow."""
        self._distress -= _DISTRESS_WEIGHT * self._distress
        if in_flight >= self.limit - 1:
            grown = self._limit + (1.0 if self._slow_start else 1.0 / self._limit)
            self._limit = min(float(self.ceiling), grown)
        if sent >= self._changed_at:
            self._observe(now - sent, now)

    def overloaded(self, sent: float, now: float) -> None:
        """A sign of overload in answer to a request sent at `sent`."""
        if sent < self._changed_at:
            return
        self._distress += _DISTRESS_WEIGHT * (1.0 - self._distress)
        if self._distress >= _DISTRESS:
            self._slow_start = False
            self._decrease(_DECREASE, now)

    def _observe(self, latency: float, now: float) -> None:
        if self._window_start is None:
            self._window_start = now
        self._latencies.append(latency)
        if len(self._latencies) < max(_MIN_WINDOW, min(2 * self.limit, _MAX_WINDOW)):
            return
        mean = sum(self._latencies) / len(self._latencies)
        throughput = len(self._latencies) / max(now - self._window_start, 1e-9)
        if mean > _LATENCY_RATIO * self._best_latency and throughput <= _THROUGHPUT_GAIN * self._best_throughput:
            self._slow_start = False
            self._decrease(_LATENCY_DECREASE, now)
        if mean < self._best_latency:
            self._best_latency, self._best_throughput = mean, throughput
        else:
            self._best_latency *= _FORGET
            self._best_throughput = max(self._best_throughput, throughput)
        self._latencies.clear()
        self._window_start = now

    def _decrease(self, factor: float, now: float) -> None:
        self._limit = max(1.0, self._limit * factor)
        self._changed_at = now
        self._distress = 0.0
