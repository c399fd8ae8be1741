"""Measure the model client against a stub server in another process, side by side with the bare SDK.

    python benchmarks/client.py [throughput] [replay] [commit] [rate] [faults]     (all of them by default)

throughput  replies/s of the whole client (cache, budget, admission, retries) and of a bare loop over openai with its aiohttp transport
replay      replies/s from the cache
commit      the longest time that the event loop was held up while replies were being committed
rate        share of a limit of 100 requests/s that is used over 20 s, and the share of 429s
faults      1,000 requests of which 15 % go wrong: how many replies arrive
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.llm.client import Client
from gen.llm.providers.scripted import ScriptedProvider
from gen.recipe import BudgetLine, ModelLine, PriceLine
from gen.types import Message, Request, Response, Usage

PROMPT = "Write an instruction about data retention that a compliance officer would ask. " * 4
IN_FLIGHT = 64


@contextmanager
def stub(*options: str) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """A stub server's base URL, and a function that ends it and returns its counts."""
    script = Path(__file__).with_name("stub_server.py")
    process = subprocess.Popen([sys.executable, str(script), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    port = process.stdout.readline().strip()

    def end() -> dict[str, float]:
        counts: dict[str, float] = json.loads(process.communicate("")[0])
        return counts

    try:
        yield f"http://127.0.0.1:{port}/v1", end
    finally:
        process.kill()
        process.wait()


def request(number: int) -> Request:
    return Request(model="writer", messages=(Message("user", f"{number}: {PROMPT}"),), draw=number)


def line(base_url: str, **more: object) -> ModelLine:
    return ModelLine.model_validate(
        {"provider": "openai", "model": "stub", "base_url": base_url, "max_concurrency": IN_FLIGHT, "price": PriceLine(input=1, output=1)}
        | more
    )


async def bounded(ask: Callable[[int], Awaitable[object]], n: int) -> float:
    """Seconds for n calls, 64 at a time, each worker taking the next number."""
    numbers = iter(range(n))

    async def worker() -> None:
        for number in numbers:
            await ask(number)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())
    return time.perf_counter() - began


async def whole_client(base_url: str, n: int, folder: Path, name: str) -> tuple[float, float]:
    cache = Cache(folder / f"{name}.db")
    budget = BudgetLine(usd=100)
    async with Client({"writer": line(base_url)}, budget=budget, cache=cache) as client:
        await bounded(lambda number: client.generate(request(10**6 + number)), 200)
        cpu = time.process_time()
        seconds = await bounded(lambda number: client.generate(request(number)), n)
        cpu = time.process_time() - cpu
    await cache.close()
    return n / seconds, cpu / n * 1000


async def bare_sdk(base_url: str, n: int) -> tuple[float, float]:
    async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()) as sdk:

        async def ask(number: int) -> str | None:
            reply = await sdk.chat.completions.create(
                model="stub", messages=[{"role": "user", "content": f"{number}: {PROMPT}"}], max_tokens=1024, seed=number
            )
            return reply.choices[0].message.content

        await bounded(ask, 200)
        cpu = time.process_time()
        seconds = await bounded(ask, n)
        cpu = time.process_time() - cpu
    return n / seconds, cpu / n * 1000


async def throughput(folder: Path, n: int = 1500) -> None:
    ours, bare = [], []
    for turn in range(3):
        with stub() as (url, _):
            ours.append(await whole_client(url, n, folder, f"throughput{turn}"))
        with stub() as (url, _):
            bare.append(await bare_sdk(url, n))
    for name, runs in (("whole client", ours), ("bare openai SDK, aiohttp transport", bare)):
        rates = [rate for rate, _ in runs]
        print(
            f"{name:36} {statistics.median(rates):7.0f}/s ({min(rates):.0f}-{max(rates):.0f}), "
            f"{statistics.median(cpu for _, cpu in runs):.2f} ms CPU"
        )
    ratio = statistics.median(rate for rate, _ in ours) / statistics.median(rate for rate, _ in bare)
    print(f"ratio {ratio:.2f} (goal: at least 0.9)")


async def replay(folder: Path, n: int = 5000) -> None:
    cache = Cache(folder / "replay.db")
    text = "An answer. " * 40
    scripted = ScriptedProvider(lambda _: Response(text=text, usage=Usage(50, 80), model="stub"))
    async with Client({"writer": line("http://127.0.0.1:9/v1")}, cache=cache, providers={"writer": scripted}) as client:
        seconds = await bounded(lambda number: client.generate(request(number)), n)
        print(f"{n / seconds:,.0f}/s through the client and into the cache without a wire")
    async with Client({"writer": line("http://127.0.0.1:9/v1")}, cache=cache, providers={"writer": scripted}) as client:
        seconds = await bounded(lambda number: client.generate(request(number)), n)
        assert client.stats.cache_hits == n
    await cache.close()
    print(f"replay {n / seconds:,.0f}/s (goal: at least 5,000)")


async def lateness(work: Awaitable[float]) -> tuple[float, float, float]:
    """Seconds that `work` says it took; by how much the loop was late meanwhile: at most, and in 99 % of its turns."""
    gaps: list[float] = []

    async def watch() -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - before - 0.001)
            before = now

    watching = asyncio.create_task(watch())
    seconds = await work
    watching.cancel()
    gaps.sort()
    return seconds, gaps[-1] * 1000, gaps[int(len(gaps) * 0.99)] * 1000


async def commit(folder: Path, n: int = 20_000) -> None:
    cache = Cache(folder / "commit.db")
    reply = Response(text="x" * 2000, usage=Usage(50, 80), model="stub")
    _, idle, idle_mostly = await lateness(bounded(lambda _: asyncio.sleep(0.002), n))
    seconds, most, mostly = await lateness(
        bounded(lambda number: cache.put(f"{number:064x}", reply, requested_model="stub", created=0.0), n)
    )
    await cache.close()
    print(
        f"commit {n / seconds:,.0f} replies of 2 KB/s; the loop was late by {most:.1f} ms at most, {mostly:.1f} ms in 99 % "
        f"(without a cache {idle:.1f} and {idle_mostly:.1f}; goal: 10 ms)"
    )


async def rate(folder: Path, seconds: float = 20.0, per_second: float = 100.0) -> None:
    for name, more in (("stated in the recipe", {"requests_per_minute": per_second * 60}), ("learned from 429s", {})):
        with stub("--latency-ms", "200", "--rpm", str(per_second * 60)) as (url, end):
            cache = Cache(folder / f"rate-{len(more)}.db")
            async with Client({"writer": line(url, **more)}, cache=cache) as client:
                took = await bounded(lambda number, client=client: client.generate(request(number)), int(seconds * per_second))
            await cache.close()
            counts = end()
        used = (counts["ok"] - 1) / counts["seconds"] / per_second
        print(
            f"rate {name}: {used:.1%} of the limit over {counts['seconds']:.1f} s ({took:.1f} s in all), "
            f"{counts['limited'] / counts['requests']:.2%} 429s (goal: at least 98 %, at most 1 %)"
        )


async def faults(folder: Path, n: int = 1000) -> None:
    with stub("--latency-ms", "50", "--faults", "0.15") as (url, end):
        cache = Cache(folder / "faults.db")
        async with Client({"writer": line(url, timeout_seconds=5)}, cache=cache) as client:
            seconds = await bounded(lambda number: client.generate(request(number)), n)
            stats = client.stats
        await cache.close()
        stored = cache_stats(folder / "faults.db").replies
        counts = end()
    print(
        f"faults: {stored:,} of {n:,} replies in {seconds:.1f} s; {counts['faults']} faults, "
        f"{stats.retries} retries, {stats.rate_limited} 429s (goal: all)"
    )


BENCHMARKS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "throughput": throughput,
    "replay": replay,
    "commit": commit,
    "rate": rate,
    "faults": faults,
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or BENCHMARKS:
        with tempfile.TemporaryDirectory() as place:
            asyncio.run(BENCHMARKS[chosen](Path(place)))
