"""How far a gating is, as a bar on a terminal; nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from gen.gating.job import Progress

REFRESH_PER_SECOND = 4


@contextmanager
def gating_bar(*, show: bool) -> Iterator[Callable[[Progress], None]]:
    """What shows each Progress on stderr while the block runs, where that is a terminal."""
    if not show or not sys.stderr.isatty():
        yield lambda _: None
        return
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True, refresh_per_second=REFRESH_PER_SECOND) as bars:
        started: dict[str, tuple[float, int]] = {}
        bar = bars.add_task("gating", total=None, told="")

        def tell(progress: Progress) -> None:
            now = bars.get_time()
            if progress.phase not in started:
                started[progress.phase] = (now, progress.rows)
                bars.reset(bar, description=progress.phase)
            since, first = started[progress.phase]
            told = _told(progress, (progress.rows - first) / (now - since) if now > since else 0.0)
            bars.update(bar, total=None if progress.fraction is None else 1.0, completed=progress.fraction or 0.0, told=told)

        yield tell


def _told(progress: Progress, rows_per_second: float) -> str:
    counts = progress.counts
    fates = f"  {counts.accepted:,} kept  {counts.rejected:,} rejected" if counts.records else ""
    return f"{progress.rows:,} rows  {rows_per_second:,.0f} rows/s{fates}"
