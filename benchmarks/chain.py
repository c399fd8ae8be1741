"""Measure what a chain of steps costs in time over the ideal, which is all latencies together divided by the slots.

    python benchmarks/chain.py [client] [run] [--slots 64]     (both by default)

client  3,000 chains of three calls each (question, answer, judge) through the client alone, the last step first in the queue
run     a whole recipe of 50 topics and 6,000 accepted: instructions, answers, a rubric's opinions, gates and ledger

The simulator answers from another process with heavy-tailed latencies (lognormal, median 400 ms, sigma 0.8: one in a hundred takes over two
and a half seconds). Exits with status 1 where a ratio is above 1.1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from simulator_process import simulator

from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.recipe import ModelLine, parse
from gen.run import run
from gen.types import Message, Request

GOAL = 1.1
LATENCY = {"jitter_ms": 400, "jitter_sigma": 0.8, "flaws": {}}
CHAINS, TOPICS, PER_TOPIC = 3000, 50, 120


async def client_chain(base_url: str, slots: int, folder: Path) -> tuple[float, int]:
    """Seconds for all chains, and how many there were."""
    line = ModelLine(provider="openai", model="m", base_url=f"{base_url}/v1", api_key_env="SLUICE_BENCH_KEY", max_concurrency=slots)
    cache = Cache(folder / "cache.db")
    async with Client({"writer": line}, cache=cache) as client:

        async def chain(number: int) -> None:
            said = f"Question {number} about data retention."
            for step, purpose in enumerate(("question", "answer", "judge")):
                request = Request(model="writer", messages=(Message("user", said),), draw=number, step=step, purpose=purpose)
                said = (await client.generate(request)).text

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(CHAINS):
                group.create_task(chain(number))
        seconds = time.perf_counter() - began
    await cache.close()
    return seconds, CHAINS


async def whole_run(base_url: str, slots: int, folder: Path) -> tuple[float, int]:
    """Seconds until the run's last candidate was out (its files are written after that), and how many samples it accepted."""
    topics = "\n".join(f"    - topic number {number} of the handbook" for number in range(TOPICS))
    text = f"""\
name: chain
models:
  writer: {{provider: openai, model: m, base_url: "{base_url}/v1", api_key_env: SLUICE_BENCH_KEY, max_concurrency: {slots}}}
sources:
  topics:
{topics}
strategies:
  - {{name: self_instruct, model: writer, instructions_per_call: 5}}
judges: [{{name: rubric, model: writer}}]
gates: [schema, refusal, truncation, exact_dup]
goal: {{per_topic: {PER_TOPIC}}}
"""
    result = await run(parse(text, folder / "recipe.yaml"), folder / "run", cache_path=folder / "cache.db")
    return result.session.seconds, result.accepted


BENCHMARKS: dict[str, Callable[[str, int, Path], Awaitable[tuple[float, int]]]] = {"client": client_chain, "run": whole_run}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help=", ".join(BENCHMARKS))
    parser.add_argument("--slots", type=int, default=64)
    chosen = parser.parse_args()
    os.environ.setdefault("SLUICE_BENCH_KEY", "none")
    missed = 0
    for name in chosen.which or BENCHMARKS:
        with tempfile.TemporaryDirectory() as place, simulator(LATENCY) as (base_url, counts):
            seconds, made = asyncio.run(BENCHMARKS[name](base_url, chosen.slots, Path(place)))
            told = counts()
        ideal = told["waited_seconds"] / chosen.slots
        missed += seconds / ideal > GOAL
        print(
            f"{name:7} {made:,} made, {told['ok']:,.0f} calls, {seconds:.1f} s; ideal {ideal:.1f} s "
            f"({told['waited_seconds']:,.0f} s of latencies in {chosen.slots} slots): {seconds / ideal:.2f} × (at most {GOAL})"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
