"""The simulator in a process of its own, for benchmarks: its address first, its counts at the end.

    with simulator({"latency_ms": 200}) as (base_url, counts): …

`counts()` asks the running process: {"requests": …, "ok": …, "limited": …, "waited_seconds": …}.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gen.simulator.options import from_mapping
from gen.simulator.server import Server, serve


@contextmanager
def simulator(options: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """A simulator's base URL (without /v1), and a function that tells its counts so far."""
    process = subprocess.Popen(
        [sys.executable, __file__, json.dumps(dict(options))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    asked, told = process.stdin, process.stdout
    assert asked is not None
    assert told is not None

    def counts() -> dict[str, float]:
        asked.write("counts\n")
        asked.flush()
        answer: dict[str, float] = json.loads(told.readline())
        return answer

    try:
        yield told.readline().strip(), counts
    finally:
        process.kill()
        process.wait()


async def _main(options: Mapping[str, Any]) -> None:
    async with serve(from_mapping(options)) as server:
        print(server.base_url, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(_counts(server)), flush=True)


def _counts(server: Server) -> dict[str, float]:
    statuses = server.counts.items()
    return {
        "requests": server.counts.total(),
        "ok": sum(count for (_, status), count in statuses if status == 200),
        "limited": sum(count for (_, status), count in statuses if status == 429),
        "peak_in_flight": server.peak_in_flight,
        "waited_seconds": server.service.waited_seconds,
    }


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
