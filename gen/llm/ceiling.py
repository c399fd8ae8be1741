"""Finds a request limit that nobody states, from the 429s alone, and spends few of them.

A limiter that refuses has an empty bucket. Between two refusals it has therefore let through exactly what flowed in: n accepted requests
in t seconds mean a limit between (n - 1) / t and (n + 1) / t, whatever the bucket's size. So each refusal is a measurement, and each
measurement holds for longer than all before it together: the pace stays at the measured rate until so many more have passed (at least
`_HOLD` once the rate is known), and only then creeps upwards, at first by 1 %, doubling the step while nothing is refused. A limit that
fell shows at once as refusals where none can be, one that rose is followed by the creeping.

Refusals by chance (a gateway that sheds a share of the load) must not slow a run down: where slowing does not end them, it is given up. So
it is where nothing at all is let through any more: then there is no rate to find, and how long to wait is what the 429s say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# What the search may cost: one probe (it ends at the second or third refusal) after so many accepted requests, so about 0.5 %.
_HOLD = 400
_KNOWN = 200  # accepted requests between two refusals that fix the rate to 0.5 %
_STEP = 100  # requests per step of the creeping once the rate is known
_FIRST_STEP = 0.01
_MARGIN = 0.997  # of a measured rate, while it is held: the allowance recovers by a request in 300
_ROSE = 1.08  # a probe that came this far above the measured mean says that the limit rose meanwhile
_FELL = 0.8  # a measurement this far below the last one is a new limit, not noise

# Suspicion that refusals are more than chance: a running sum, as in Page's CUSUM test of 3 % against 0.3 % refused.
_SUSPECT = 2.3
_TRUST = 0.03
_ALARM = 4.0  # two within twenty requests, three within ninety
# The same while refusals are held to be chance: only a share above 30 % counts.
_CHANCE_SUSPECT = 1.0
_CHANCE_TRUST = 0.3
_CHANCE_ALARM = 6.0
_CHANCE_SECONDS = 60.0
_FUTILE = 4  # corrections in a row without calm after which refusals are held to be chance
_FALLS = 3  # corrections in a row, each from a few requests and far below the last: no limiter measures so
_FAR_BELOW = 0.7
_LONGER = 1.5  # times the accepted requests of the last measurement: this one is better
_BARREN = 40  # refusals in a row without one reply between them: at the least rate, two seconds
_CALM = 100  # accepted requests without an alarm that prove a correction right
_TELLING = 8  # accepted requests that make a correction one that should have helped
_MOST_STEPS = 10
_AHEAD = 1.5  # times the rate at which requests do leave: the creeping goes no further ahead of a lower demand
_UNMEASURED = 20.0  # requests per second, below which only a measurement leads
_HONEST = 0.1  # of the rate at which the 429s themselves invite to come back: none is believed below it
_RECENT_WAITS = 8  # the longest of them is about the time between two slots; a single one may name a slot that is nearly free
_RECENT_SENDS = 64
_MAX_REFUSALS = 512


@dataclass(frozen=True, slots=True)
class _Moment:
    """The request of this number left at this time and found the limiter empty."""

    number: int
    at: float


class Ceiling:
    """The rate that a service was found to let through, in requests per second; `rate` is None while none is known."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self._sends = 0
        self._recent: deque[float] = deque(maxlen=_RECENT_SENDS)
        self._refusals: deque[_Moment] = deque(maxlen=_MAX_REFUSALS)
        self._anchor = _Moment(0, 0.0)
        self._measured = 0  # accepted requests behind the estimate
        self._low = self._high = 0.0
        self._since = 0  # the number of the first request sent at this estimate
        self._suspicion = 0.0
        self._suspect = _Moment(0, 0.0)  # the first refusal of the present suspicion
        self._last_refused = 0
        self._futile = 0
        self._told: deque[float] = deque(maxlen=_RECENT_WAITS)
        self._falls = 0
        self._barren = 0  # refusals since the last reply
        self._chance_until = float("-inf")

    def sent(self, now: float) -> int:
        """A request leaves: its number."""
        self._sends += 1
        self._recent.append(now)
        if self.rate is not None:
            self.rate = max(self._low * _MARGIN, min(self._creep(), _AHEAD * self._throughput(now)))
        return self._sends

    def served(self) -> None:
        """A request was let through and answered."""
        self._barren = 0

    def refused(self, number: int, sent: float, now: float, retry_after: float = 0.0) -> bool:
        """The request of this number, sent then, was refused and told to wait so many seconds (0: not told). True when that changed the
        rate."""
        self._barren += 1
        self._told.append(retry_after)
        if self._barren >= _BARREN:
            self.rate = None
            self._calm_down(number)
            return False
        refusal = _Moment(number, sent)
        previous = self._refusals[-1] if self._refusals else None
        self._refusals.append(refusal)
        if number < self._since:  # sent before the last change: no news
            return False
        chance = now < self._chance_until
        self._suspect_more(refusal, chance=chance)
        alarmed = self._suspicion >= (_CHANCE_ALARM if chance else _ALARM)
        if self.rate is None:
            if alarmed:
                self._anchor = self._suspect
                few = self._accepted(self._anchor, refusal) < _TELLING
                self._measure(refusal, most=self._throughput(now) / (2 if few else 1))
            return alarmed
        if not alarmed and self._measured >= _KNOWN:
            return False
        self._correct(refusal, previous, now)
        return True

    def _correct(self, refusal: _Moment, previous: _Moment | None, now: float) -> None:
        """The rate is refused: measure it anew, or give up where that has not helped."""
        held = self._suspect.number - self._since
        longer = self._accepted(self._anchor, refusal) >= _LONGER * self._measured  # as a search goes
        self._futile = 0 if held >= _CALM else self._futile + (self._measured >= _TELLING and not longer)
        if self._futile >= _FUTILE or self._falls >= _FALLS:
            self.rate, self._futile, self._falls, self._chance_until = None, 0, 0, now + _CHANCE_SECONDS
            self._calm_down(refusal.number)
            return
        assert self.rate is not None
        before = self.rate
        if self._measured >= _KNOWN:
            if held < _HOLD:
                self._anchor = self._suspect
            elif self.rate > _ROSE * self._mean(self._anchor, refusal):
                self._anchor = self._suspect
                high = min(self.rate, self._throughput(now))
                self._take(low=_FELL * high, high=high, measured=1)
                return
        elif previous is not None and previous.number >= self._since and self._most(previous, refusal) < _FELL * self._low:
            self._anchor = previous
        self._measure(refusal, most=self.rate)
        self._falls = self._falls + 1 if self._measured < _TELLING and self.rate < _FAR_BELOW * before else 0

    def _measure(self, refusal: _Moment, *, most: float) -> None:
        accepted, seconds = self._accepted(self._anchor, refusal), max(refusal.at - self._anchor.at, 1e-3)
        high = min(most, (accepted + 1) / seconds)
        low = min(high, max(0.5, accepted - 0.5) / seconds)
        if accepted == 0:  # nothing was measured: how long to wait is what the 429s say
            low = high = max(_UNMEASURED, low)
        self._take(low=low, high=high, measured=accepted)
        if accepted >= _KNOWN:
            self._anchor = refusal

    def _take(self, *, low: float, high: float, measured: int) -> None:
        floor = self._least()
        self._low, self._high, self._measured = max(low, floor), max(high, floor), measured
        self._since = self._sends + 1
        self.rate = self._low * _MARGIN
        self._calm_down(self._since)

    def _least(self) -> float:
        """What the 429s' own waits say that the rate is at least; 0 where they say nothing."""
        wait = max(self._told, default=0.0)
        return min(_UNMEASURED, _HONEST / wait) if wait > 0 and len(self._told) == _RECENT_WAITS else 0.0

    def _creep(self) -> float:
        """The rate for the next request: held, then ever faster."""
        known = self._measured >= _KNOWN
        hold = _HOLD if known else max(2, 2 * self._measured)
        beyond = self._sends - self._since - hold
        if beyond < 0:
            return self._low * _MARGIN
        step = _STEP if known else max(4, min(_STEP, self._measured // 2))
        return (self._low if known else self._high) * (1.0 + _FIRST_STEP * (2.0 ** min(_MOST_STEPS, 1 + beyond // step) - 1.0))

    def _suspect_more(self, refusal: _Moment, *, chance: bool) -> None:
        trust, suspect = (_CHANCE_TRUST, _CHANCE_SUSPECT) if chance else (_TRUST, _SUSPECT)
        self._suspicion = max(0.0, self._suspicion - trust * (refusal.number - self._last_refused))
        if self._suspicion == 0.0:
            self._suspect = refusal
        self._suspicion += suspect
        self._last_refused = refusal.number

    def _calm_down(self, number: int) -> None:
        self._suspicion, self._last_refused = 0.0, number

    def _accepted(self, first: _Moment, last: _Moment) -> int:
        """Requests between the two that were not refused."""
        refused = sum(first.number < refusal.number < last.number for refusal in self._refusals)
        return max(0, last.number - first.number - 1 - refused)

    def _mean(self, first: _Moment, last: _Moment) -> float:
        return self._accepted(first, last) / max(last.at - first.at, 1e-3)

    def _most(self, first: _Moment, last: _Moment) -> float:
        """What the limit may be at most, after what passed between two refusals."""
        return (self._accepted(first, last) + 1) / max(last.at - first.at, 1e-3)

    def _throughput(self, now: float) -> float:
        """Requests per second that left lately."""
        return len(self._recent) / max(now - self._recent[0], 1e-3) if self._recent else 1.0
