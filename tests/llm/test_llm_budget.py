from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gen.errors import BudgetReached
from gen.llm.budget import NANO, Amount, Budget, prompt_bytes, spent_on, worst_case
from gen.llm.prices import FlatPrice
from gen.recipe import BudgetLine
from gen.types import Message, Request, Sampling, Usage

PRICE = FlatPrice(1.0, 2.0, 1.0, "test")


async def test_a_call_that_does_not_fit_is_refused_at_once_when_nothing_is_in_flight() -> None:
    with pytest.raises(BudgetReached, match=r"budget of 10 tokens .* 11; raise `budget.tokens`") as caught:
        await Budget(BudgetLine(tokens=10)).reserve(Amount(1, 11))
    assert caught.value.reason == "budget_reached"


async def test_a_call_waits_while_refunds_could_make_room() -> None:
    budget = Budget(BudgetLine(tokens=10))
    await budget.reserve(Amount(1, 8))
    second = asyncio.create_task(budget.reserve(Amount(1, 8)))
    await asyncio.sleep(0)
    assert not second.done()
    budget.settle(Amount(1, 8), Amount(1, 2))
    await second
    assert budget.reserved == Amount(1, 8)


async def test_a_waiting_call_is_refused_when_the_refund_was_too_small() -> None:
    budget = Budget(BudgetLine(tokens=10))
    await budget.reserve(Amount(1, 8))
    second = asyncio.create_task(budget.reserve(Amount(1, 8)))
    await asyncio.sleep(0)
    budget.settle(Amount(1, 8), Amount(1, 3))
    with pytest.raises(BudgetReached):
        await second


async def test_a_cancelled_waiter_leaves_no_reservation() -> None:
    budget = Budget(BudgetLine(calls=1))
    await budget.reserve(Amount(1))
    second = asyncio.create_task(budget.reserve(Amount(1)))
    third = asyncio.create_task(budget.reserve(Amount(1), step=1))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    budget.settle(Amount(1), Amount())
    await third
    assert budget.reserved == Amount(1)
    budget.settle(Amount(1), Amount())
    assert budget.reserved == Amount()


async def test_later_steps_get_the_room_first() -> None:
    budget = Budget(BudgetLine(calls=1))
    await budget.reserve(Amount(1))
    order: list[str] = []

    async def take(name: str, step: int) -> None:
        await budget.reserve(Amount(1), step=step)
        order.append(name)
        budget.settle(Amount(1), Amount())

    waiting = [asyncio.create_task(take("first step", 0)), asyncio.create_task(take("second step", 1))]
    await asyncio.sleep(0)
    budget.settle(Amount(1), Amount())
    await asyncio.gather(*waiting)
    assert order == ["second step", "first step"]


def test_the_worst_case_counts_a_token_per_byte_and_all_of_max_tokens(ask: Callable[..., Request]) -> None:
    request = ask("ä" * 100, response_schema="{}")
    size = prompt_bytes(request)
    need = worst_case(request, Sampling(max_tokens=50), PRICE, size)
    assert size == 202
    assert need.tokens >= 252
    assert need.nano_usd >= (202 * 1 + 50 * 2) * NANO / 1_000_000


def test_a_reply_without_counts_keeps_the_whole_reservation() -> None:
    assert spent_on(Usage(), None, Amount(1, 99, 5)) == Amount(1, 99, 5)


def test_lone_surrogates_can_be_counted() -> None:
    assert prompt_bytes(Request(model="m", messages=(Message("user", "\ud800"),))) > 0
