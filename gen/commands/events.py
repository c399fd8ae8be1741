"""A run's progress as JSON lines, for programs: one event a line, flushed at once. No prompt, reply or key is in them.

An event stream must never end a run that costs money: when its reader leaves or its disk is full, the stream falls silent with a warning,
and the run goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from gen import __version__
from gen.errors import InputError, SluiceError
from gen.run import Progress

EVERY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass
class Events:
    """Where events go. `file` is None for a stream that nobody asked for, or that fell silent."""

    file: TextIO | None
    started: float = field(default_factory=time.monotonic)

    def tell(self, event: str, **values: Any) -> None:
        """Write one event with the time (UTC, ISO 8601) and the seconds since the stream began."""
        if self.file is None:
            return
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "time": moment, "seconds": round(time.monotonic() - self.started, 3), **values}
        try:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
        except OSError as error:
            self.file = None
            log.warning("the event stream ends here: %s; the run goes on", error.strerror or error)


SILENT = Events(None)


@contextmanager
def opened(target: str) -> Iterator[Events]:
    """The stream to `target`: a file, written anew, or `-` for standard output; empty for none.

    Raises InputError for a file that cannot be written.
    """
    if not target or target == "-":
        yield Events(sys.stdout if target else None)
        return
    try:
        file = Path(target).open("w", encoding="utf-8")  # noqa: SIM115 (closed below; only opening may fail here)
    except OSError as error:
        raise InputError(f"--json-events {target}: cannot be written: {error.strerror or error}") from error
    try:
        yield Events(file)
    finally:
        with suppress(OSError):
            file.close()


@asynccontextmanager
async def told(events: Events, progress: Progress, **about: Any) -> AsyncIterator[None]:
    """Tell `started` with what the run is `about`, then `progress` every second while the block runs, and once more at its end; `failed`
    when the block raises an error of ours."""
    events.tell("started", version=__version__, **about)
    teller = asyncio.create_task(_tell_progress(events, progress))
    try:
        yield
    except SluiceError as error:
        events.tell("failed", error=" ".join(str(error).split()))
        raise
    else:
        events.tell("progress", **snapshot(progress))
    finally:
        teller.cancel()
        with suppress(asyncio.CancelledError):
            await teller


def snapshot(progress: Progress) -> Mapping[str, Any]:
    """The counts of a `progress` event. Requests, tokens and `cost` (USD, None when unknown) are those of this start of the run; all are 0
    before it has a client."""
    stats = progress.stats() if progress.stats else None
    return {
        "phase": progress.phase,
        "goal": progress.goal,
        "accepted": progress.accepted,
        "rejected": progress.candidates - progress.accepted,
        "reasons": dict(progress.reasons),
        "requests": stats.requests if stats else 0,
        "in_flight": stats.in_flight if stats else 0,
        "cache_hits": stats.cache_hits if stats else 0,
        "rate_limited": stats.rate_limited if stats else 0,
        "retries": stats.retries if stats else 0,
        "failed": stats.failed if stats else 0,
        "input_tokens": stats.input_tokens if stats else 0,
        "output_tokens": stats.output_tokens if stats else 0,
        "cost": stats.cost if stats else 0.0,
    }


async def _tell_progress(events: Events, progress: Progress) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        events.tell("progress", **snapshot(progress))
