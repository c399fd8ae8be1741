"""The admission queue of one endpoint: who may send next, and when.

Later steps go before earlier ones, so samples finish; within a step the first come is the first served, and a call that was refused with
429 keeps its old place. One task paces for all that wait, so a thousand waiters cost nothing until it is their turn. A stated number of
requests per minute is guarded by asyncio-throttle's sliding window as well: whatever the pacing does, no minute ever sees more.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from asyncio_throttle.throttler import Throttler

from gen.errors import ProviderError, RateLimited, Unavailable
from gen.llm.clock import Clock
from gen.llm.forecast import Amounts, taken
from gen.llm.limits import Kind, limits
from gen.llm.pace import Pace
from gen.llm.provider import CAPABILITIES
from gen.llm.slots import Slots
from gen.recipe import ModelLine
from gen.types import Usage

_LOOK_AGAIN_SECONDS = 0.5  # while pacing, how often a corrected rate is looked at
_OVERLOAD_REASONS = frozenset({"overloaded", "timeout"})  # a plain 500 or a reset says nothing about load


@dataclass(slots=True)
class Seat:
    """A call's place in the queue, kept through its retries, and what it is expected to take."""

    line: str
    order: tuple[int, int]
    amounts: Amounts
    sent: float = 0.0
    number: int = 0


@dataclass(order=True, slots=True)
class _Waiter:
    order: tuple[int, int]
    seat: Seat = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


@dataclass(slots=True)
class _Line:
    """One model line at this endpoint: who waits for it and how many of its calls are on the wire."""

    max_concurrency: int
    asked: bool
    waiters: list[_Waiter] = field(default_factory=list)
    in_flight: int = 0


class Admission:
    """The queue of the model lines that share an endpoint's limits."""

    def __init__(self, lines: Mapping[str, ModelLine], clock: Clock) -> None:
        self._clock = clock
        self._lines = {name: _Line(line.max_concurrency, _counts_asked(line)) for name, line in lines.items()}
        self._slots = Slots(sum(line.max_concurrency for line in lines.values()))
        self._pace = Pace(_stated(lines), clock.monotonic())
        self._felt_out()
        self._guard = _guard(_lowest(line.requests_per_minute for line in lines.values()))
        self._numbers = itertools.count()
        self._pump: asyncio.Task[None] | None = None
        self.in_flight = 0

    def seat(self, line: str, step: int, amounts: Amounts) -> Seat:
        """A place behind all calls of the same or a later step that asked before."""
        if self._lines[line].asked:
            amounts = {**amounts, "tokens": amounts["asked"]}
        return Seat(line, (-step, next(self._numbers)), amounts)

    async def enter(self, seat: Seat) -> None:
        """Wait for the turn of `seat`; `leave` must follow."""
        line = self._lines[seat.line]
        waiter = _Waiter(seat.order, seat, asyncio.get_running_loop().create_future())
        heapq.heappush(line.waiters, waiter)
        self._advance()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._release(seat)
            raise

    def leave(self, seat: Seat, *, usage: Usage | None = None, error: ProviderError | None = None) -> None:
        """A call is over, with its usage where one was told, or its error."""
        now = self._clock.monotonic()
        if usage is not None:
            self._pace.served(seat.sent, now)
            self._slots.succeeded(seat.sent, now, self.in_flight)
            if usage.input_tokens or usage.output_tokens:
                self._pace.settle(seat.amounts, self._used(seat, usage))
        elif isinstance(error, RateLimited):
            self._pace.limited(seat.number, seat.sent, now, error.retry_after_seconds or 0.0)
            self._felt_out()
        elif isinstance(error, Unavailable) and error.reason in _OVERLOAD_REASONS:
            self._slots.overloaded(seat.sent, now)
        self._release(seat)

    def heard(self, headers: Mapping[str, str]) -> None:
        """What a reply's headers say about limits."""
        told = limits(headers, self._clock.wall())
        if told:
            self._pace.heard(told, self._clock.monotonic())
            self._felt_out()

    async def close(self) -> None:
        """Stop pacing."""
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    def _felt_out(self) -> None:
        """Where a rate is known, it bounds what leaves: no slow start."""
        if self._pace.known:
            self._slots.open()

    def _used(self, seat: Seat, usage: Usage) -> Amounts:
        used = taken(usage.input_tokens, usage.output_tokens)
        return {**used, "tokens": seat.amounts["tokens"]} if self._lines[seat.line].asked else used

    def _release(self, seat: Seat) -> None:
        self.in_flight -= 1
        self._lines[seat.line].in_flight -= 1
        self._advance()

    def _advance(self) -> None:
        """Let through all whose turn it is now, unless a task is already pacing for them."""
        if self._pump is not None and not self._pump.done():
            return
        while (line := self._next()) is not None:
            if self._guard is not None or self._pace.wait(line.waiters[0].seat.amounts, self._clock.monotonic()) > 0:
                self._pump = asyncio.get_running_loop().create_task(self._paced())
                return
            self._admit(line)

    async def _paced(self) -> None:
        """Let through one after the other, each at its time, until nobody waits or all slots are taken."""
        while (line := self._next()) is not None:
            wait = self._pace.wait(line.waiters[0].seat.amounts, self._clock.monotonic())
            if wait > 0:
                await self._clock.sleep(min(wait, _LOOK_AGAIN_SECONDS))
                continue
            if self._guard is not None:
                await self._guard.acquire()  # type: ignore[no-untyped-call]
                line = self._next()
                if line is None:
                    return
            self._admit(line)

    def _next(self) -> _Line | None:
        """The line whose first waiter comes first among those that have a slot free."""
        if self.in_flight >= self._slots.limit:
            return None
        best: _Line | None = None
        for line in self._lines.values():
            while line.waiters and line.waiters[0].turn.done():  # cancelled while waiting
                heapq.heappop(line.waiters)
            if line.waiters and line.in_flight < line.max_concurrency and (best is None or line.waiters[0].order < best.waiters[0].order):
                best = line
        return best

    def _admit(self, line: _Line) -> None:
        waiter = heapq.heappop(line.waiters)
        waiter.seat.sent = self._clock.monotonic()
        waiter.seat.number = self._pace.take(waiter.seat.amounts, waiter.seat.sent)
        line.in_flight += 1
        self.in_flight += 1
        waiter.turn.set_result(None)


def _counts_asked(line: ModelLine) -> bool:
    capabilities = CAPABILITIES.get(line.provider)
    return capabilities is not None and capabilities.tokens_counted == "asked"


def _stated(lines: Mapping[str, ModelLine]) -> dict[Kind, float]:
    """The lowest limit that any line states, per kind: they share one allowance."""
    stated: dict[Kind, float | None] = {
        "requests": _lowest(line.requests_per_minute for line in lines.values()),
        "tokens": _lowest(line.tokens_per_minute for line in lines.values()),
        "input_tokens": _lowest(line.input_tokens_per_minute for line in lines.values()),
        "output_tokens": _lowest(line.output_tokens_per_minute for line in lines.values()),
    }
    return {kind: value for kind, value in stated.items() if value is not None}


def _lowest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _guard(per_minute: float | None) -> Throttler | None:
    """The sliding window over a minute, or over as long as one request takes where less than one a minute is allowed."""
    if per_minute is None:
        return None
    whole = max(1, int(per_minute))
    return Throttler(rate_limit=whole, period=60.0 * whole / per_minute, retry_interval=0.01)
