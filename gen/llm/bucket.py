"""A leaky bucket: how a rate becomes moments at which requests leave."""

from __future__ import annotations


class Bucket:
    """`rate` per second flows in, up to `burst_seconds` worth of it (at least one unit); taking may leave a debt, which must be paid off
    first. It starts with one unit unless told otherwise, so that nothing leaves in a burst before anything is known."""

    def __init__(self, rate: float, now: float, *, burst_seconds: float, level: float = 1.0) -> None:
        self.rate = rate
        self.burst_seconds = burst_seconds
        self.level = level
        self._at = now

    @property
    def capacity(self) -> float:
        return max(1.0, self.rate * self.burst_seconds)

    def set_rate(self, rate: float, now: float) -> None:
        """Another rate from now on; what is saved up stays, within the new capacity."""
        self.refill(now)
        self.rate = rate
        self.level = min(self.level, self.capacity)

    def refill(self, now: float) -> None:
        """Let flow in what has come since the last look. What was given back above the capacity stays."""
        if now > self._at:
            if self.level < self.capacity:
                self.level = min(self.capacity, self.level + (now - self._at) * self.rate)
            self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken; more than the capacity may be taken from a full bucket."""
        self.refill(now)
        missing = min(amount, self.capacity) - self.level
        return 0.0 if missing <= 1e-9 else missing / self.rate

    def take(self, amount: float) -> None:
        """Take it, whatever is there."""
        self.level -= amount

    def give_back(self, amount: float, *, most: float) -> None:
        """Return what was taken and not needed (or take more when negative); at most `most` is then held."""
        self.level = min(max(self.level, most), self.level + amount)
