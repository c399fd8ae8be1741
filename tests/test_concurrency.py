from __future__ import annotations

import asyncio

import pytest

from gen.concurrency import together


async def test_results_come_in_the_order_given() -> None:
    async def one(number: int) -> int:
        await asyncio.sleep(0.001 * (5 - number))
        return number

    assert await together(one(number) for number in range(5)) == [0, 1, 2, 3, 4]
    assert await together([]) == []


async def test_the_first_error_is_raised_as_it_is_and_ends_the_others() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise ValueError("no")

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(ValueError, match=r"^no$"):
        await together([waits(), fails(), waits()])
    assert ended == ["cancelled", "cancelled"]


async def test_being_cancelled_ends_all_of_them() -> None:
    ended: list[int] = []

    async def waits(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    task = asyncio.create_task(together(waits(number) for number in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]
