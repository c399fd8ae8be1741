"""Measure how much of a rate limit the model client uses, and how many 429s that costs, against the simulator in another process.

    python benchmarks/limits.py [--seconds 20] [NAME …]     (all scenarios by default; a NAME may be
    the beginning of several, unless it is the whole of one)

Each scenario has more work than the limit lets through. `used` is what the server admitted from its first request on, as a share of
limit × seconds; more than 100 % is the saved-up burst. Exit status 1 when a bound is missed: 98 % used at least, 1 % 429s at most; where a
limit has to be found by being refused, up to 15 429s are allowed whatever their share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gen.llm.client import Client
from gen.recipe import ModelLine, PriceLine
from gen.simulator.limits import Limits
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import Server, serve
from gen.types import Message, Request, Sampling

LEAST_USED, MOST_LIMITED, SEARCH = 0.98, 0.01, 15
TOKENS = 600_000  # a minute: ten thousand a second


@dataclass(frozen=True)
class Scenario:
    """`counts` names the limit that binds; `line` is what the recipe says, `server` what the simulator enforces."""

    name: str
    server: dict[str, Any]
    line: dict[str, Any] = field(default_factory=dict)
    counts: str = "requests"
    provider: str = "openai"
    concurrency: int = 64
    least_used: float = LEAST_USED
    search: int = 0


def requests(per_minute: float, **more: Any) -> dict[str, Any]:
    return {"requests_per_minute": per_minute, "jitter_ms": 200} | more


def scenarios() -> list[Scenario]:
    found: list[Scenario] = []
    for name, server, concurrency, least in (
        ("100/s", requests(6000), 64, LEAST_USED),
        ("100/s, burst 0.1 s", requests(6000, burst_seconds=0.1), 64, LEAST_USED),
        ("100/s, burst 5 s", requests(6000, burst_seconds=5), 64, LEAST_USED),
        ("100/s, latency 50 ms", requests(6000, jitter_ms=50), 64, LEAST_USED),
        ("100/s, latency 2 s", requests(6000, jitter_ms=2000), 400, 0.85),  # slow start lasts until the first refusal
        ("1,000/min", requests(1000), 64, LEAST_USED),
        ("10/s", requests(600), 64, LEAST_USED),
    ):
        given = {"requests_per_minute": server["requests_per_minute"]}
        found.append(Scenario(f"given {name}", server, given, concurrency=concurrency))
        found.append(Scenario(f"headers {name}", server, concurrency=concurrency, search=SEARCH))
        found.append(
            Scenario(f"unstated {name}", {**server, "limit_headers": False}, concurrency=concurrency, least_used=least, search=SEARCH)
        )
    openai = {"tokens_per_minute": TOKENS, "jitter_ms": 200}
    output = {"output_tokens_per_minute": TOKENS / 4, "jitter_ms": 200}
    both = {"input_tokens_per_minute": TOKENS / 8, "jitter_ms": 200}
    for kind, server, provider in (
        ("tokens", openai, "openai"),
        ("output_tokens", output, "anthropic"),
        ("input_tokens", both, "anthropic"),
    ):
        given = {f"{kind}_per_minute": server[f"{kind}_per_minute"]}
        silent = {**server, "limit_headers": False}
        found.append(Scenario(f"given {kind}", silent, given, counts=kind, provider=provider, search=SEARCH))
        found.append(Scenario(f"headers {kind}", server, counts=kind, provider=provider, search=SEARCH))
    return found


# --- the server, in a process of its own -----------------------------------------------------------------------------------------------


class Watched(Limits):
    """Limits that note what they admitted, refused and counted, with the time."""

    def __init__(self, limits: Limits) -> None:
        self.inner = limits
        self.notes: list[tuple[float, str, float]] = []

    def admit(self, tokens: int, input_tokens: int) -> tuple[str, float]:
        name, seconds = self.inner.admit(tokens, input_tokens)
        now = time.monotonic()
        if seconds > 0:
            self.notes.append((now, "refused", 1))
        else:
            self.notes += [(now, "requests", 1), (now, "tokens", tokens), (now, "input_tokens", input_tokens)]
        return name, seconds

    def wrote(self, output_tokens: int, *, asked: bool) -> None:
        self.inner.wrote(output_tokens, asked=asked)
        self.notes.append((time.monotonic(), "output_tokens", output_tokens))

    def openai_headers(self) -> dict[str, str]:
        return self.inner.openai_headers()

    def anthropic_headers(self) -> dict[str, str]:
        return self.inner.anthropic_headers()


async def run_server(options: dict[str, Any]) -> None:
    async with serve(SimulatorOptions(**options)) as server:
        watched = watch(server)
        print(server.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(watched.notes), flush=True)


def watch(server: Server) -> Watched:
    watched = server.service.limits = Watched(server.service.limits)
    return watched


@contextmanager
def server_process(options: dict[str, Any]) -> Iterator[tuple[str, Callable[[], list[tuple[float, str, float]]]]]:
    """The address, and a function that ends the server and returns its notes."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    url = process.stdout.readline().strip()

    def end() -> list[tuple[float, str, float]]:
        return [tuple(note) for note in json.loads(process.communicate("")[0])]

    try:
        yield url, end
    finally:
        process.kill()
        process.wait()


# --- the client ---------------------------------------------------------------------------------------------------------------------------


def request(number: int, rng: random.Random) -> Request:
    """Prompts and replies of uneven length: lognormal sizes, sigma 0.7."""
    words = int(30 * rng.lognormvariate(0, 0.7)) + 1
    text = f"{number}: Why does a bank keep records? " + "word " * words
    most = min(2000, max(8, int(150 * rng.lognormvariate(0, 0.7))))
    return Request(model="writer", messages=(Message("user", text),), sampling=Sampling(max_tokens=most), draw=number)


async def use(scenario: Scenario, url: str, seconds: float) -> None:
    suffix = "" if scenario.provider == "anthropic" else "/v1"
    line = ModelLine.model_validate(
        {
            "provider": scenario.provider,
            "model": "simulated-writer",
            "base_url": url + suffix,
            "max_concurrency": scenario.concurrency,
            "price": PriceLine(input=1, output=1),
        }
        | scenario.line
    )
    rng, numbers = random.Random(7), iter(range(10**9))
    async with Client({"writer": line}, cache=None) as client:

        async def worker() -> None:
            while True:
                await client.generate(request(next(numbers), rng))

        workers = [asyncio.create_task(worker()) for _ in range(2 * scenario.concurrency)]
        done, _ = await asyncio.wait(workers, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for task in done:
            task.result()


def measure(scenario: Scenario, seconds: float) -> bool:
    with server_process({"flaws": {}, **scenario.server}) as (url, end):
        asyncio.run(use(scenario, url, seconds))
        notes = end()
    began = min(at for at, _, _ in notes)
    within = [(name, amount) for at, name, amount in notes if at - began <= seconds]
    per_second = scenario.server[f"{scenario.counts}_per_minute"] / 60
    used = sum(amount for name, amount in within if name == scenario.counts) / seconds / per_second
    refused = sum(name == "refused" for name, _ in within)
    sent = refused + sum(name == "requests" for name, _ in within)
    fine = used >= scenario.least_used and (refused <= MOST_LIMITED * sent or refused <= scenario.search)
    allowed = f"{MOST_LIMITED:.0%}" + (f" or {scenario.search}" if scenario.search else "")
    print(
        f"{scenario.name:32} {used:7.1%} {scenario.least_used:7.0%} {sent:6,} {refused:5} {refused / sent:7.2%} {allowed:>8}"
        f"  {'' if fine else 'MISSED'}",
        flush=True,
    )
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(run_server(json.loads(given.serve)))
        return 0
    every = scenarios()
    exact = {one.name for one in every} & set(given.names)
    begins = tuple(name for name in given.names if name not in exact)
    chosen = [one for one in every if not given.names or one.name in exact or (begins and one.name.startswith(begins))]
    print(f"{'limit':32} {'used':>7} {'least':>7} {'sent':>6} {'429s':>5} {'share':>7} {'most':>8}")
    missed = sum(not measure(scenario, given.seconds) for scenario in chosen)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
