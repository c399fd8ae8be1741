"""The live view of a run: a Rich panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gen.run import Progress

REFRESH_PER_SECOND = 4
PLAIN_EVERY_SECONDS = 5.0
MAX_ROWS = 12
ROOM_FOR_CTRL_C = 3  # the terminal writes ^C at the end of the last line: were that full, the view would not clear itself whole


@asynccontextmanager
async def live_view(progress: Progress, *, title: str, show: bool = True) -> AsyncIterator[None]:
    """Show `progress` on stderr while the block runs."""
    if not show:
        yield
        return
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    viewer = asyncio.create_task(
        _on_terminal(console, progress, title, started) if console.is_terminal else _plain(progress, title, started)
    )
    try:
        yield
    finally:
        viewer.cancel()
        with suppress(asyncio.CancelledError):
            await viewer


async def _on_terminal(console: Console, progress: Progress, title: str, started: float) -> None:
    with Live(
        console=console,
        refresh_per_second=REFRESH_PER_SECOND,
        transient=True,
        get_renderable=lambda: _panel(progress, title, started, width=console.width - ROOM_FOR_CTRL_C),
    ):
        await asyncio.Event().wait()  # until cancelled; Live refreshes in a thread of its own


async def _plain(progress: Progress, title: str, started: float) -> None:
    while True:
        await asyncio.sleep(PLAIN_EVERY_SECONDS)
        print(f"{title}: {_line(progress, time.monotonic() - started)}", file=sys.stderr, flush=True)


def _line(progress: Progress, seconds: float) -> str:
    stats = progress.stats() if progress.stats else None
    parts = [progress.phase, f"{progress.accepted}/{progress.goal} accepted", f"{progress.candidates - progress.accepted} rejected"]
    if stats is not None:
        parts += [
            f"{stats.in_flight} in flight{_batches(progress)}",
            f"{stats.requests} requests",
            f"{stats.input_tokens + stats.output_tokens} tokens",
            _cost(stats.cost),
        ]
    if progress.reasons:
        worst, count = max(progress.reasons.items(), key=lambda item: item[1])
        parts[2] += f" (most by {worst}: {count})"
    return ", ".join([*parts, _left(progress, seconds)])


def _panel(progress: Progress, title: str, started: float, *, width: int) -> Panel:
    seconds = time.monotonic() - started
    stats = progress.stats() if progress.stats else None
    topics = Table.grid(padding=(0, 2))
    for name, accepted, goal in _per_topic(progress)[:MAX_ROWS]:
        topics.add_row(Text(name[:50]), ProgressBar(total=max(goal, 1), completed=min(accepted, goal), width=24), f"{accepted}/{goal}")
    if len(_per_topic(progress)) > MAX_ROWS:
        topics.add_row(f"and {len(_per_topic(progress)) - MAX_ROWS} more", "", "")
    reasons = sorted(progress.reasons.items(), key=lambda item: -item[1])[:6]
    rejected = Text("rejected  " + ("  ".join(f"{name} {count}" for name, count in reasons) or "none"), style="yellow")
    figures = Text(f"{progress.phase}  {progress.accepted}/{progress.goal} accepted  {_left(progress, seconds)}")
    if stats is not None:
        rate = stats.requests / seconds if seconds > 0 else 0.0
        figures.append(
            f"\n{stats.in_flight} in flight{_batches(progress)}  {stats.requests} requests ({rate:.1f}/s)  {stats.cache_hits} from cache  "
            f"{stats.rate_limited} × 429  {stats.retries} retries\n"
            f"{stats.input_tokens:,} + {stats.output_tokens:,} tokens  {_cost(stats.cost)}"
        )
    return Panel(
        Group(topics, Text(), rejected, figures), title=f"sluice: {title}", subtitle="Ctrl-C stops cleanly", padding=(0, 1), width=width
    )


def _per_topic(progress: Progress) -> list[tuple[str, int, int]]:
    tally: dict[str, list[int]] = {}
    for one in progress.pipeline.sequences if progress.pipeline else ():
        row = tally.setdefault(one.spec.topic or one.spec.title, [0, 0])
        row[0] += one.accepted
        row[1] += one.spec.quota
    return [(name, accepted, goal) for name, (accepted, goal) in tally.items()]


def _batches(progress: Progress) -> str:
    """How many batches the requests in flight wait for; nothing without any."""
    count = len(progress.batches()) if progress.batches else 0
    return f" ({count} batch{'es' if count > 1 else ''} under way)" if count else ""


def _cost(cost: float | None) -> str:
    return "cost unknown" if cost is None else f"${cost:.4f}"


def _left(progress: Progress, seconds: float) -> str:
    if progress.accepted < 5 or progress.accepted >= progress.goal:
        return f"{seconds:.0f} s"
    left = (progress.goal - progress.accepted) * seconds / progress.accepted
    return f"{seconds:.0f} s, about {left / 60:.0f} min left" if left >= 90 else f"{seconds:.0f} s, about {left:.0f} s left"
