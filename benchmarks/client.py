"""Measure the model client against a stub server in another process, side by side with the bare SDK.

    python benchmarks/client.py [throughput] [replay] [commit] [faults]     (all of them by default)

throughput  replies/s of the whole client (cache, budget, admission, retries) and of bare loops over openai and anthropic with their aiohttp
            transport; and of aiohttp alone, which parses the reply and does nothing else: what the stub can give
replay      replies/s from the cache
commit      the longest time that the event loop was held up while replies were being committed
faults      1,000 requests to the simulator with 5 % 429, 5 % 500, 2 % resets, 1 % hanging and 5 % malformed JSON: how many replies
            arrive, and in what time over that without faults
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import anthropic
import openai
from simulator_process import simulator

from gen.llm.cache import Cache
from gen.llm.cache_upkeep import cache_stats
from gen.llm.client import Client
from gen.llm.providers.scripted import ScriptedProvider
from gen.recipe import BudgetLine, ModelLine, PriceLine
from gen.types import Message, Request, Response, Usage

PROMPT = "Write an instruction about data retention that a compliance officer would ask. " * 4
IN_FLIGHT = 64
FAULTS = {"rate_limit": 0.05, "server_error": 0.05, "reset": 0.02, "hang": 0.01, "invalid_json": 0.05}


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


async def whole_client(model: ModelLine, n: int, folder: Path) -> tuple[float, float]:
    cache = Cache(folder / f"throughput-{uuid.uuid4().hex}.db")
    async with Client({"writer": model}, budget=BudgetLine(usd=100), cache=cache) as client:
        figures = await measured(lambda number: client.generate(request(number)), n)
    await cache.close()
    return figures


async def bare_openai(base_url: str, n: int) -> tuple[float, float]:
    async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()) as sdk:

        async def ask(number: int) -> str | None:
            reply = await sdk.chat.completions.create(
                model="stub", messages=[{"role": "user", "content": f"{number}: {PROMPT}"}], max_tokens=1024, seed=number
            )
            return reply.choices[0].message.content

        return await measured(ask, n)


async def bare_anthropic(base_url: str, n: int) -> tuple[float, float]:
    address, transport = base_url.removesuffix("/v1"), anthropic.DefaultAioHttpClient()
    async with anthropic.AsyncAnthropic(api_key="none", base_url=address, max_retries=0, http_client=transport) as sdk:

        async def ask(number: int) -> str:
            reply = await sdk.messages.create(model="stub", messages=[{"role": "user", "content": f"{number}: {PROMPT}"}], max_tokens=1024)
            return reply.content[0].text

        return await measured(ask, n)


async def bare_aiohttp(base_url: str, n: int) -> tuple[float, float]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def ask(number: int) -> str:
            body = {"model": "stub", "messages": [{"role": "user", "content": f"{number}: {PROMPT}"}], "max_tokens": 1024, "seed": number}
            async with session.post(f"{base_url}/chat/completions", json=body) as reply:
                return (await reply.json())["choices"][0]["message"]["content"]

        return await measured(ask, n)


async def measured(ask: Callable[[int], Awaitable[object]], n: int) -> tuple[float, float]:
    """Replies/s and milliseconds of CPU a reply, after 200 calls to warm up."""
    await bounded(lambda number: ask(10**6 + number), 200)
    cpu = time.process_time()
    seconds = await bounded(ask, n)
    return n / seconds, (time.process_time() - cpu) / n * 1000


async def throughput(folder: Path, n: int = 1500) -> None:
    loops: dict[str, Callable[[str, int], Awaitable[tuple[float, float]]]] = {
        "whole client, openai": lambda url, n: whole_client(line(url), n, folder),
        "bare openai SDK": bare_openai,
        "whole client, anthropic": lambda url, n: whole_client(
            line(url.removesuffix("/v1"), provider="anthropic", api_key_env="SLUICE_BENCH_KEY"), n, folder
        ),
        "bare anthropic SDK": bare_anthropic,
        "aiohttp alone": bare_aiohttp,
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(3):
        for name, loop in loops.items():
            with stub() as (url, _):
                runs[name].append(await loop(url, n))
    median = {name: statistics.median(rate for rate, _ in found) for name, found in runs.items()}
    for name, found in runs.items():
        rates, cpu = [rate for rate, _ in found], statistics.median(cpu for _, cpu in found)
        print(f"{name:24} {median[name]:7.0f}/s ({min(rates):.0f}-{max(rates):.0f}), {cpu:.2f} ms CPU")
    for name in ("openai", "anthropic"):
        ours = median[f"whole client, {name}"]
        of_sdk, of_aiohttp = ours / median[f"bare {name} SDK"], ours / median["aiohttp alone"]
        print(f"{name}: {of_sdk:.2f} of the bare SDK (goal: at least 0.9), {of_aiohttp:.2f} of aiohttp alone")


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


async def faults(folder: Path, n: int = 1000) -> None:
    timeout = 5.0
    seconds = {}
    for name, more in (("clean", {}), ("faulty", {"faults": FAULTS, "hang_seconds": 60})):
        cache = Cache(folder / f"{name}.db")
        with simulator({"latency_ms": 50, "flaws": {}, **more}) as (url, counts):
            async with Client({"writer": line(f"{url}/v1", timeout_seconds=timeout)}, cache=cache) as client:
                seconds[name] = await bounded(lambda number, client=client: client.generate(request(number)), n)
                stats = client.stats
            sent = counts()["requests"]
        await cache.close()
        stored = cache_stats(folder / f"{name}.db").replies
    print(
        f"faults: {stored:,} of {n:,} replies in {seconds['faulty']:.1f} s, {seconds['clean']:.1f} s without faults: "
        f"{(seconds['faulty'] - timeout) / seconds['clean']:.2f} × and one timeout of {timeout:g} s (goal: all, at most 1.5 ×); "
        f"{sent:,.0f} requests, {stats.retries} retries, {stats.rate_limited} 429s"
    )


BENCHMARKS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "throughput": throughput,
    "replay": replay,
    "commit": commit,
    "faults": faults,
}

if __name__ == "__main__":
    os.environ.setdefault("SLUICE_BENCH_KEY", "none")
    for chosen in sys.argv[1:] or BENCHMARKS:
        with tempfile.TemporaryDirectory() as place:
            asyncio.run(BENCHMARKS[chosen](Path(place)))
