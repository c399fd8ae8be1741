"""Run a recipe: parts → pipeline → ledger, then pairs and outputs; running again resumes.

Resuming has no code of its own: the loop starts from the beginning, finds every reply in the cache and every final error in the ledger, and
goes on from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from gen import outputs
from gen.errors import ServiceStopped
from gen.ledger import Ledger
from gen.llm.batching.batcher import UnderWay
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.stats import ClientStats
from gen.pairs_stage import make_pairs
from gen.parts import Parts, build_parts, plan_of
from gen.pipeline import Pipeline
from gen.recipe import Recipe
from gen.recorder import Recorder, session_of
from gen.run_folder import claim, exclusive
from gen.sequences import ENDED_BY_ITSELF
from gen.types import Call, Outcome, SequenceEnd, Session, Sources

Result = TypeVar("Result")

FLUSH_EVERY = 50  # outcomes; a kill loses at most these from the ledger, and none of their replies
FLUSH_SECONDS = 1.0
LANDING = "waiting for replies that are already paid for"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `goal_reached` decides the exit status; `stop` is a code, `reason` a sentence for people; `batches`
    go on at their provider. `refused` counts what a person rejected in review and nobody has asked for again."""

    folder: Path
    accepted: int
    candidates: int
    goal: int
    stop: str
    reason: str
    ends: tuple[SequenceEnd, ...]
    session: Session
    written: outputs.Written
    batches: tuple[UnderWay, ...] = ()
    refused: int = 0

    @property
    def goal_reached(self) -> bool:
        """All accepted that were asked for, and nothing cut the run short: no budget, interrupt or stopped service, pairs included."""
        return self.accepted >= self.goal and self.stop in ENDED_BY_ITSELF


@dataclass
class Progress:
    """What a live view may look at while a run goes on; nothing here changes what the run does."""

    pipeline: Pipeline | None = None
    stats: Callable[[], ClientStats] | None = None
    batches: Callable[[], tuple[UnderWay, ...]] | None = None
    goal: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    candidates: int = 0
    phase: str = "starting"

    def take(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.candidates += 1
        failure = outcome.failure
        if failure is None:
            self.accepted += 1
        else:
            name = f"{failure.gate}/{failure.reason}"
            self.reasons[name] = self.reasons.get(name, 0) + 1


async def run(
    recipe: Recipe,
    folder: Path,
    *,
    cache_path: Path,
    progress: Progress | None = None,
    interrupt: asyncio.Event | None = None,
    regenerate: Iterable[str] = (),
    unsafe: Iterable[str] = (),
    sources: Sources | None = None,
) -> RunResult:
    """Run `recipe` in `folder` until its goal is met or there is an honest reason to stop, and write everything.

    `interrupt` ends it cleanly: what is out stays, what is in flight is dropped, outputs are written. `regenerate` names rejected
    candidates to ask for again once the goal's own tasks are out (remembered: a later run replays them), `unsafe` those among them that are
    asked for again although they were unsafe. `sources` stands in for the
    recipe's files. Raises RecipeError and StorageError; a service that stops answering is no error but a reason to stop.
    """
    progress = progress or Progress()
    parts = build_parts(recipe, sources)
    with exclusive(folder):
        ledger = Ledger(folder / "run.db")
        try:
            claim(ledger, recipe, parts.sources)
            outputs.check_splits(ledger, recipe)
            ledger.order_again(regenerate, unsafe=unsafe)
            return await _run(recipe, parts, ledger, folder, cache_path, progress, interrupt or asyncio.Event())
        finally:
            ledger.close()


async def _run(
    recipe: Recipe, parts: Parts, ledger: Ledger, folder: Path, cache_path: Path, progress: Progress, interrupt: asyncio.Event
) -> RunResult:
    started, clock = datetime.now(UTC), time.monotonic()
    cache = Cache(cache_path)
    try:
        async with Client(recipe.config.models, budget=recipe.config.budget, cache=cache) as client:
            client.check()
            recorder = Recorder(client.generate, ledger, client.embed)
            pipeline = Pipeline(
                plan_of(
                    recipe,
                    parts,
                    before=ledger.sequences(),
                    regenerate=ledger.regenerate(),
                    unsafe=ledger.unsafe(),
                    refused=ledger.refused(),
                ),
                recorder.generate,
                recorder.embed,
            )
            progress.pipeline, progress.stats, progress.phase = pipeline, lambda: client.stats, "generating"
            progress.batches = lambda: client.batches
            progress.goal = sum(one.quota for one in parts.sequences)
            seen = await _until_interrupted(_consume(pipeline, recorder, ledger, progress), interrupt)
            complete = seen is not None and not pipeline.stopped
            if seen is not None and complete:
                await asyncio.to_thread(ledger.keep_only, seen)
            ends = pipeline.ends()
            ledger.record_ends(ends)
            if complete:
                progress.phase = "making pairs" if parts.pairs else progress.phase
                await _pairs(parts, ledger, client, pipeline, interrupt)
            if interrupt.is_set():
                client.interrupt()
            progress.phase = LANDING
        stats, batches = client.stats, client.batches  # with the replies that landed while the client was closing
    finally:
        await cache.close()
    stop, reason = _why_it_ended(ends, pipeline, interrupt)
    session = session_of(stats, started, time.monotonic() - clock, stop)
    ledger.add_session(session)
    progress.phase = "writing"
    written = await asyncio.to_thread(outputs.write_all, ledger, recipe, parts, folder, lock_test=complete)
    return RunResult(
        folder=folder,
        accepted=written.accepted,
        candidates=written.candidates,
        goal=progress.goal,
        stop=stop,
        reason=reason,
        ends=tuple(ends),
        session=session,
        written=written,
        batches=batches,
        refused=len(ledger.refused().keys() - ledger.regenerate()),
    )


async def _consume(pipeline: Pipeline, recorder: Recorder, ledger: Ledger, progress: Progress) -> set[str]:
    """Move outcomes from the pipeline to the ledger; the ids of all that came out."""
    seen: set[str] = set()
    waiting: list[tuple[int, Outcome]] = []
    flushed = time.monotonic()

    async def flush() -> None:
        nonlocal waiting, flushed
        batch, waiting, flushed = waiting, [], time.monotonic()
        calls = recorder.take_calls(outcome for _, outcome in batch)
        await _to_the_end(asyncio.to_thread(_store, ledger, batch, calls, recorder.take_errors()))

    try:
        async with aclosing(pipeline.outcomes()) as outcomes:
            async for outcome in outcomes:
                waiting.append((len(seen), outcome))
                seen.add(outcome.item.id)
                progress.take(outcome)
                if len(waiting) >= FLUSH_EVERY or time.monotonic() - flushed >= FLUSH_SECONDS:
                    await flush()
    finally:
        await flush()
    return seen


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work that an interrupt must not leave half done: it is finished first, then the interrupt goes on."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _store(ledger: Ledger, batch: list[tuple[int, Outcome]], calls: list[Call], errors: list[tuple[str, str, str, int | None]]) -> None:
    ledger.write(batch, calls)
    ledger.write_errors(errors)


async def _pairs(parts: Parts, ledger: Ledger, client: Client, pipeline: Pipeline, interrupt: asyncio.Event) -> None:
    """The pairs of a run that came to its end; where the service stops under them, that is why the run ended."""
    try:
        await _until_interrupted(make_pairs(parts, ledger, client.generate), interrupt)
    except ServiceStopped as error:
        pipeline.stopped, pipeline.stopped_detail = error.reason, f"no pairs were made: {error}"


async def _until_interrupted(work: Coroutine[Any, Any, Result], interrupt: asyncio.Event) -> Result | None:
    """The work's result; None when `interrupt` was set first (the work is then cancelled and cleaned up)."""
    task = asyncio.create_task(work)
    bell = asyncio.create_task(interrupt.wait())
    try:
        await asyncio.wait({task, bell}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, bell):
            one.cancel()
        for one in (task, bell):
            with suppress(asyncio.CancelledError, ServiceStopped):
                await one


def _why_it_ended(ends: list[SequenceEnd], pipeline: Pipeline, interrupt: asyncio.Event) -> tuple[str, str]:
    if interrupt.is_set():
        return "interrupted", "interrupted; run again to go on"
    if pipeline.stopped:
        return pipeline.stopped, pipeline.stopped_detail
    short = [end for end in ends if end.accepted < end.goal]
    if not short:
        return "goal_reached", "goal reached"
    return short[0].stop, "; ".join(end.detail for end in short[:3]) + (f"; and {len(short) - 3} more" if len(short) > 3 else "")
