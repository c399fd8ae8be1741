"""Ask each model line one tiny question: whether it answers, how soon, as which model, and what its headers say about limits.

One attempt on the wire, without cache, budget, queue or retries: what is wrong shall be seen as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gen.errors import ProviderError, RecipeError
from gen.llm.check import KEY_REASONS, check_models
from gen.llm.clock import Clock
from gen.llm.limits import Limit, limits
from gen.llm.prices import price_of
from gen.llm.provider import Embedder, connect
from gen.recipe import BudgetLine, ModelLine
from gen.types import Message, Request, Sampling

QUESTION = "Say OK."
MAX_TOKENS = 8
LONGEST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Pong:
    """How a model line answered. `error` is empty for an answer; `reported` the model as the service names it; `price` whose it is, empty
    when unknown; `limits` as the headers state them."""

    name: str
    error: str = ""
    reason: str = ""
    seconds: float = 0.0
    reported: str = ""
    price: str = ""
    simulated: bool = False
    limits: tuple[Limit, ...] = ()


async def ping(name: str, line: ModelLine, *, raw: bool = False, clock: Clock = Clock()) -> Pong:  # noqa: B008 (frozen)
    """One question to the model of a line, as a raw prompt where the recipe asks it nothing else, as a text to embed where
    its id says that it embeds."""
    try:
        route = check_models({name: line}, BudgetLine())[name]
    except RecipeError as error:
        return Pong(name, error=error.message, reason="recipe", price=_price(line))
    told: dict[str, str] = {}

    def heard(_: ModelLine, headers: Mapping[str, str]) -> None:
        told.update(headers)

    provider = connect(route.endpoint, heard)
    request = Request(
        model=name,
        messages=() if raw else (Message("user", QUESTION),),
        prompt=QUESTION if raw else None,
        sampling=Sampling(max_tokens=MAX_TOKENS),
        purpose="ping",
    )
    longest = min(line.timeout_seconds, LONGEST_SECONDS)
    began = clock.monotonic()
    try:
        async with asyncio.timeout(longest):
            if isinstance(provider, Embedder) and "embed" in line.model.lower():
                reply = await provider.embed(request, line)
            else:
                reply = await provider.send(request, line)
    except TimeoutError:
        return Pong(name, error=f"{line.provider} did not answer within {longest:g} s", reason="timeout", price=_price(line))
    except ProviderError as error:
        known = tuple(limits(told, clock.wall()))
        hint = route.key_hint if error.reason in KEY_REASONS else ""
        return Pong(name, error=" ".join(f"{error}{hint}".split()), reason=error.reason, price=_price(line), limits=known)
    finally:
        await provider.close()
    return Pong(
        name,
        seconds=clock.monotonic() - began,
        reported=reply.model,
        price=_price(line),
        simulated=reply.simulated,
        limits=tuple(limits(told, clock.wall())),
    )


def _price(line: ModelLine) -> str:
    price = price_of(line)
    return price.source if price is not None else ""
