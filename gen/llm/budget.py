"""Hard caps on USD, tokens and calls: the worst case of a call is reserved before it is sent and the difference given back after it.

All arithmetic is in whole numbers (USD in billionths), so nothing drifts. A call that timed out keeps its reservation, because it may
be billed. When the next call does not fit but calls in flight may still give room back, it waits for them; later steps go first.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from dataclasses import dataclass, field

from gen.errors import BudgetReached
from gen.llm.prices import Price
from gen.recipe import BudgetLine
from gen.types import Request, Sampling, Usage

NANO = 1_000_000_000  # billionths of a USD in one USD
# A byte-level tokenizer never makes more tokens than there are bytes; templates add a few control tokens per message.
_TOKENS_PER_MESSAGE = 16


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens (input and output) and billionths of a USD."""

    calls: int = 0
    tokens: int = 0
    nano_usd: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.nano_usd + other.nano_usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.nano_usd - other.nano_usd)


def prompt_bytes(request: Request) -> int:
    """The UTF-8 length of all that is sent as prompt."""
    texts = [message.content for message in request.messages]
    texts += [text for text in (request.prompt, request.response_schema) if text]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def worst_case(request: Request, sampling: Sampling, price: Price | None, size: int, *, kept: bool = False) -> Amount:
    """The most that one answer to `request` can take; `size` from `prompt_bytes`. `kept` is whether its beginning may be put into the
    provider's prompt cache, which may cost more than reading it."""
    prompt = size + _TOKENS_PER_MESSAGE * (len(request.messages) + 1)
    output = sampling.max_tokens or 0
    usage = Usage(input_tokens=prompt, output_tokens=output, cache_write_tokens=prompt if kept else 0)
    cost = price.cost(usage) if price else 0.0
    return Amount(calls=1, tokens=prompt + output, nano_usd=math.ceil(cost * NANO))


def spent_on(usage: Usage, cost: float | None, reserved: Amount) -> Amount:
    """What an answered call took; a service that counts no tokens keeps the whole reservation."""
    if usage.input_tokens == 0 and usage.output_tokens == 0:
        return reserved
    return Amount(calls=1, tokens=usage.input_tokens + usage.output_tokens, nano_usd=math.ceil((cost or 0.0) * NANO))


@dataclass(order=True, slots=True)
class _Waiter:
    order: tuple[int, int]
    amount: Amount = field(compare=False)
    future: asyncio.Future[None] = field(compare=False)


class Budget:
    """The account of one client. Every `reserve` must be followed by exactly one `settle` of the same amount."""

    def __init__(self, line: BudgetLine) -> None:
        self._line = line
        self._caps = (line.calls, line.tokens, None if line.usd is None else math.floor(line.usd * NANO))
        self._waiters: list[_Waiter] = []
        self._numbers = itertools.count()
        self.spent = Amount()
        self.reserved = Amount()

    async def reserve(self, amount: Amount, *, step: int = 0) -> None:
        """Set `amount` aside, waiting for calls in flight where they may give room back.

        Raises BudgetReached when it fits not even after they gave back all.
        """
        if not self._waiters and self._fits(self.spent + self.reserved, amount):
            self.reserved += amount
            return
        if self._hopeless(amount):
            raise self._reached(amount)
        waiter = _Waiter((-step, next(self._numbers)), amount, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiters, waiter)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self.settle(amount, Amount())
            else:
                self._drop(waiter)
            raise

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Give a reservation back and book what was spent of it."""
        self.reserved -= reserved
        self.spent += spent
        self._admit()

    def _admit(self) -> None:
        """Let waiters in, in order; the first that must wait holds back the rest, so a large call is not passed by for ever."""
        while self._waiters:
            waiter = self._waiters[0]
            if not waiter.future.done():
                if self._fits(self.spent + self.reserved, waiter.amount):
                    self.reserved += waiter.amount
                    waiter.future.set_result(None)
                elif self._hopeless(waiter.amount):
                    waiter.future.set_exception(self._reached(waiter.amount))
                else:
                    return
            heapq.heappop(self._waiters)

    def _drop(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            heapq.heapify(self._waiters)
            self._admit()

    def _hopeless(self, amount: Amount) -> bool:
        """Whether `amount` would not fit even if every call in flight gave all of its reservation back."""
        return self.reserved == Amount() or not self._fits(self.spent, amount)

    def _fits(self, taken: Amount, amount: Amount) -> bool:
        total = taken + amount
        return all(cap is None or value <= cap for value, cap in zip((total.calls, total.tokens, total.nano_usd), self._caps, strict=True))

    def _reached(self, amount: Amount) -> BudgetReached:
        total = self.spent + self.reserved + amount
        for name, cap, value, spent, need in (
            ("calls", self._caps[0], total.calls, self.spent.calls, amount.calls),
            ("tokens", self._caps[1], total.tokens, self.spent.tokens, amount.tokens),
        ):
            if cap is not None and value > cap:
                return _budget_reached(name, f"{cap}", f"{spent}", f"{need}")
        return _budget_reached("usd", f"{self._line.usd:g}", f"{self.spent.nano_usd / NANO:.4f}", f"{amount.nano_usd / NANO:.4f}")


def _budget_reached(name: str, cap: str, spent: str, need: str) -> BudgetReached:
    return BudgetReached(
        f"the budget of {cap} {name} is reached: {spent} spent, and the next call could take {need}; raise `budget.{name}` and run again",
        reason="budget_reached",
    )
